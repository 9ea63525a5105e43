//! `[limits]`: where usage is stored, and what tokens cost.

use crate::{
    models::{ModelPrice, Rates},
    store::{RedisConfig, StoreAddress, StoreFailureMode},
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The usage store that the limits of the clients file are enforced with, and
/// the prices of tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Store of usage: `memory` for this process only, or a Redis URL,
    /// `redis://user@host:port/database`, for limits that hold across all replicas:
    /// those of the clients and the rate limits of the API (`upstream.pacing`).
    /// `redis+sentinel://host:port,host:port/master/database` names sentinels and
    /// the master, `redis+cluster://host:port,host:port` nodes of a cluster, and
    /// `rediss` instead of `redis` has TLS. The password can be in the URL
    /// (`user:password@`, percent-encoded), and better is in
    /// `limits.redis.password_file`.
    pub store: StoreAddress,
    /// Behaviour while Redis does not answer: `fail_open` counts per process;
    /// `fail_closed` rejects calls of clients that have limits and, with
    /// `upstream.pacing`, every call that would go to the API.
    pub store_failure_mode: StoreFailureMode,
    /// File in which the store `memory` persists the daily and monthly usage.
    /// Unset, that usage is lost on restart.
    pub budget_file: Option<PathBuf>,
    /// Prices that override those of the catalogue (docs/models.md), or add models to
    /// it; all other models keep their price. A client with a budget in dollars
    /// cannot use a model without a price (`MODEL_UNPRICED`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<ModelPrice>,
    /// How Redis is reached.
    pub redis: RedisConfig,
}

impl LimitsConfig {
    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        self.redis.check(&self.store, wrong);
        for (index, price) in self.prices.iter().enumerate() {
            let mut fault = |problem: &str| wrong(&format!("prices.{index}"), problem.to_owned());
            if price.model.is_empty() {
                fault("model must not be empty");
            }
            if price.long_context_threshold.is_some() != price.long_context_rates.is_some() {
                fault("long_context_threshold and long_context_rates must be set together");
            }
            let all = [Some(price.rates), price.long_context_rates];
            if !all.into_iter().flatten().all(Rates::are_prices) {
                fault("rates must be between 0 and 1,000,000 dollars");
            }
        }
    }
}
