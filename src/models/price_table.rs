//! The prices in force: the catalogue, with what the operator overrides and adds.

use super::{
    catalogue::{catalogue, undated},
    day::Day,
    pricing::{ModelPrice, Nanodollars, Price},
    tokens::Tokens,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The prices of all models, by model id. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct PriceTable(Arc<HashMap<String, Periods>>);

/// The prices of a model and their first days, the oldest first; not empty. The
/// first one holds until the second one begins.
type Periods = Arc<[(Day, Price)]>;

// === impl PriceTable ===

impl PriceTable {
    /// The prices of the catalogue from `today` on, and these, which take precedence.
    /// If a model is listed twice, its first price applies.
    pub fn new(overrides: &[ModelPrice], today: Day) -> Self {
        let mut by_id = HashMap::new();
        let mut insert = |id: &str, periods: &Periods| {
            by_id.insert(id.to_owned(), Arc::clone(periods));
        };
        for model in catalogue().models() {
            let ended = model.prices.iter().skip(1);
            let ended = ended.take_while(|later| later.from <= today).count();
            let prices = model.prices.iter().skip(ended);
            let periods: Periods = prices.map(|one| (one.from, one.price())).collect();
            if !periods.is_empty() {
                model.ids().for_each(|id| insert(id, &periods));
            }
        }
        let named: HashSet<&str> = overrides.iter().map(|it| it.model.as_str()).collect();
        // The first one is inserted last.
        for price in overrides.iter().rev() {
            let periods: Periods = Arc::new([(today, Price::from(price))]);
            let known = catalogue().at_its_price(&price.model);
            let others = known.into_iter().flat_map(|model| model.ids());
            let others = others.filter(|id| !named.contains(id));
            others.for_each(|id| insert(id, &periods));
            insert(&price.model, &periods);
        }
        PriceTable(Arc::new(by_id))
    }

    /// The cost of a call; `None` if the price of the model is not known. `today` is
    /// asked only if the price of the model is about to change.
    pub fn cost(
        &self,
        model: &str,
        tokens: &Tokens,
        today: impl FnOnce() -> Day,
    ) -> Option<Nanodollars> {
        let (periods, factor) = self.periods(model)?;
        let price = match &**periods {
            [(_, price)] => price,
            periods => {
                let today = today();
                let begun = periods.iter().rev().find(|(from, _)| *from <= today);
                &begun.or_else(|| periods.first())?.1
            }
        };
        Some(price.cost(tokens, factor))
    }

    /// The prices of a model, and what a call with this id costs, as a multiple.
    fn periods(&self, id: &str) -> Option<(&Periods, f64)> {
        let table = &*self.0;
        let listed = table.get(id).or_else(|| table.get(undated(id)?));
        if let Some(periods) = listed {
            return Some((periods, 1.0));
        }
        let on_host = catalogue().resolve(id)?;
        let periods = table.get(&on_host.model.name)?;
        Some((periods, on_host.price_factor?))
    }
}
