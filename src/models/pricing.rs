//! A price, and what tokens cost at it.

use super::tokens::Tokens;
use serde::{Deserialize, Serialize};

/// A billionth of a US dollar: the cheapest token costs ten.
pub type Nanodollars = u64;

/// A cost in US dollars.
pub fn in_dollars(cost: Nanodollars) -> f64 {
    cost as f64 / 1e9
}

/// The price of a model, in US dollars per million tokens. Overrides the price in the
/// catalogue, or adds a model to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Model id. The price also applies to the other ids of the same model: with and
    /// without a date, and those of other hosts.
    pub model: String,
    /// Prices of calls up to `long_context_threshold`.
    pub rates: Rates,
    /// Number of input tokens above which the whole call is charged at
    /// `long_context_rates`. Must be set together with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context_threshold: Option<u64>,
    /// Prices of calls with more input tokens than `long_context_threshold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context_rates: Option<Rates>,
}

/// Prices in US dollars per million tokens, each 0 to 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Price of input tokens that are neither read from nor written to the
    /// prompt cache.
    pub input: f64,
    /// Price of output tokens, thinking included.
    pub output: f64,
    /// Price of input tokens written to the prompt cache for 5 minutes.
    pub cache_write: f64,
    /// Price of input tokens written to the prompt cache for 1 hour.
    pub cache_write_1h: f64,
    /// Price of input tokens read from the prompt cache.
    pub cache_read: f64,
}

impl Rates {
    /// Whether each rate is between 0 and 1,000,000 dollars.
    pub fn are_prices(self) -> bool {
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

/// What a call to a model costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    rates: Rates,
    /// Input tokens above which the whole call costs other rates, and those.
    long_context: Option<(u64, Rates)>,
}

impl Price {
    /// The price at these rates. The long context has a price of its own only if its
    /// threshold and its rates are both known.
    pub fn new(rates: Rates, threshold: Option<u64>, long_context_rates: Option<Rates>) -> Self {
        Price {
            rates,
            long_context: threshold.zip(long_context_rates),
        }
    }

    /// The cost of a call, at `factor` times the price.
    pub fn cost(&self, tokens: &Tokens, factor: f64) -> Nanodollars {
        let rates = match &self.long_context {
            Some((threshold, rates)) if tokens.all_input() > *threshold => rates,
            _ => &self.rates,
        };
        let of = |tokens: u64, rate: f64| {
            // A dollar per million tokens is a thousand nanodollars per token.
            (tokens as f64 * rate * factor * 1000.0).round() as Nanodollars
        };
        [
            of(tokens.input, rates.input),
            of(tokens.output, rates.output),
            of(tokens.cache_write_5m, rates.cache_write),
            of(tokens.cache_write_1h, rates.cache_write_1h),
            of(tokens.cache_read, rates.cache_read),
        ]
        .into_iter()
        .fold(0, Nanodollars::saturating_add)
    }
}

impl From<&ModelPrice> for Price {
    fn from(price: &ModelPrice) -> Self {
        Price::new(
            price.rates,
            price.long_context_threshold,
            price.long_context_rates,
        )
    }
}
