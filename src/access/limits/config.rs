//! `[limits]`: where usage is kept, and what tokens cost.

use crate::{
    pricing::{self, ModelPrice, Rates},
    store::{StoreAddress, StoreFailureMode},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the limits of the clients file are counted in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// `memory`, or `redis://host:port` for limits that hold over all replicas: those
    /// of the clients, and those of the API (`upstream.pacing`).
    pub store: StoreAddress,
    /// What happens while Redis does not answer: `fail_open` counts in this
    /// process; `fail_closed` refuses calls of clients that have limits, and with
    /// `upstream.pacing` all others that would go to the API.
    pub store_failure_mode: StoreFailureMode,
    /// File that keeps the budgets of days and months over a restart, with the
    /// store `memory`. Without it, a restart forgets what was used.
    pub budget_file: Option<PathBuf>,
    /// What models cost, in US dollars for a million tokens. One that is not
    /// listed is charged as the most expensive one that is. Dated ids
    /// (`claude-haiku-4-5-20251001`) cost what their family does. A list in the
    /// configuration replaces the default one as a whole.
    pub prices: Vec<ModelPrice>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            store: StoreAddress::default(),
            store_failure_mode: StoreFailureMode::default(),
            budget_file: None,
            prices: pricing::list_prices(),
        }
    }
}

impl LimitsConfig {
    /// Checks what the types do not say. `wrong` is told the key and the
    /// problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if !self.store.is_usable() {
            wrong("store", "has to be memory or redis://host:port".to_owned());
        }
        for (index, price) in self.prices.iter().enumerate() {
            let mut fault = |problem: &str| wrong(&format!("prices.{index}"), problem.to_owned());
            if price.model.is_empty() {
                fault("needs the id of a model");
            }
            if price.long_context_threshold.is_some() != price.long_context_rates.is_some() {
                fault("long_context_threshold and long_context_rates go together");
            }
            let all = [Some(price.rates), price.long_context_rates];
            if !all.into_iter().flatten().all(Rates::are_prices) {
                fault("a price is 0 to 1,000,000 dollars");
            }
        }
    }
}
