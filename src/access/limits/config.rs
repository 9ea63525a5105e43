//! `[limits]`: where usage is kept, and what tokens cost.

use crate::store::{OnStoreFailure, StoreAddress};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the limits of the clients file are counted in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// `memory`, or `redis://host:port` for limits that hold over all replicas: those
    /// of the clients, and those of the API (`upstream.pacing`).
    pub store: StoreAddress,
    /// What happens while Redis does not answer: `local` counts in this
    /// process; `refuse` refuses calls of clients that have limits, and with
    /// `upstream.pacing` all others that would go to the API.
    pub on_store_failure: OnStoreFailure,
    /// File that keeps the budgets of days and months over a restart, with the
    /// store `memory`. Without it, a restart forgets what was used.
    pub budget_file: Option<PathBuf>,
    /// What models cost, in US dollars for a million tokens. One that is not
    /// listed is charged as the most expensive one that is. Dated ids
    /// (`claude-haiku-4-5-20251001`) cost what their family does. A list in the
    /// configuration replaces the default one as a whole.
    pub prices: Vec<ModelPrice>,
}

/// The price of a model, in US dollars for a million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Model id.
    pub model: String,
    /// The price.
    pub rates: Rates,
    /// Input tokens above which the whole call costs `long_rates`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_above: Option<u64>,
    /// The price of calls with more input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_rates: Option<Rates>,
}

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Input, neither read from nor written to the cache.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input that is written to the cache for five minutes.
    pub cache_write: f64,
    /// Input that is written to the cache for an hour.
    pub cache_write_1h: f64,
    /// Input that is read from the cache.
    pub cache_read: f64,
}

impl Default for LimitsConfig {
    /// With the prices of autumn 2026.
    fn default() -> Self {
        let rates = |input, output, cache_write, cache_write_1h, cache_read| Rates {
            input,
            output,
            cache_write,
            cache_write_1h,
            cache_read,
        };
        let price = |model: &str, rates| ModelPrice {
            model: model.to_owned(),
            rates,
            long_above: None,
            long_rates: None,
        };
        LimitsConfig {
            store: StoreAddress::default(),
            on_store_failure: OnStoreFailure::default(),
            budget_file: None,
            prices: vec![
                ModelPrice {
                    long_above: Some(100_000),
                    long_rates: Some(rates(0.5, 2.5, 0.625, 1.0, 0.05)),
                    ..price("claude-haiku-5-5", rates(0.1, 0.5, 0.125, 0.2, 0.01))
                },
                price("claude-sonnet-5-5", rates(2.0, 10.0, 2.5, 4.0, 0.1)),
                price("claude-opus-5-5", rates(4.0, 20.0, 5.0, 8.0, 0.2)),
                price("claude-fable-5-1", rates(10.0, 50.0, 12.5, 20.0, 0.25)),
                price("claude-haiku-4-5", rates(1.0, 5.0, 1.25, 2.0, 0.1)),
            ],
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
            if price.long_above.is_some() != price.long_rates.is_some() {
                fault("long_above and long_rates go together");
            }
            let all = [Some(price.rates), price.long_rates];
            if !all.into_iter().flatten().all(Rates::are_prices) {
                fault("a price is 0 to 1,000,000 dollars");
            }
        }
    }
}

impl Rates {
    fn are_prices(self) -> bool {
        let rates = [
            self.input,
            self.output,
            self.cache_write,
            self.cache_write_1h,
            self.cache_read,
        ];
        rates.iter().all(|rate| (0.0..=1e6).contains(rate))
    }
}
