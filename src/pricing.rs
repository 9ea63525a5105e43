//! What usage costs: the one price table, for budgets and for metrics.
//!
//! A model that is not listed costs as much as the most expensive one, so that
//! it cannot be used to bypass a budget; the metric
//! `claude_grpc.tokens.unpriced` counts its tokens.

use crate::claude::answer::Usage;
use serde::{Deserialize, Serialize};

/// A billionth of a US dollar: the cheapest token costs ten.
pub type Nanodollars = u64;

/// The price of a model, in US dollars per million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Model id, without a date.
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

/// The list prices of autumn 2026.
pub fn list_prices() -> Vec<ModelPrice> {
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
        long_context_threshold: None,
        long_context_rates: None,
    };
    vec![
        ModelPrice {
            long_context_threshold: Some(100_000),
            long_context_rates: Some(rates(0.5, 2.5, 0.625, 1.0, 0.05)),
            ..price("claude-haiku-5-5", rates(0.1, 0.5, 0.125, 0.2, 0.01))
        },
        price("claude-sonnet-5-5", rates(2.0, 10.0, 2.5, 4.0, 0.1)),
        price("claude-opus-5-5", rates(4.0, 20.0, 5.0, 8.0, 0.2)),
        price("claude-fable-5-1", rates(10.0, 50.0, 12.5, 20.0, 0.25)),
        price("claude-haiku-4-5", rates(1.0, 5.0, 1.25, 2.0, 0.1)),
    ]
}

/// Token counts of a call. No token is in two of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input, neither read from nor written to the cache.
    pub input: u64,
    /// Output, thinking included.
    pub output: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Input written to the cache for an hour.
    pub cache_write_1h: u64,
}

impl Tokens {
    /// The token counts of a usage report; a count that the API left out is 0.
    pub fn of(usage: &Usage) -> Tokens {
        let written = usage.cache_creation_input_tokens.unwrap_or(0);
        let for_an_hour = usage.cache_creation.as_ref();
        let for_an_hour = for_an_hour.map_or(0, |it| it.ephemeral_1h_input_tokens.min(written));
        Tokens {
            input: usage.input_tokens.unwrap_or(0),
            output: usage.output_tokens.unwrap_or(0),
            cache_read: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write_5m: written - for_an_hour,
            cache_write_1h: for_an_hour,
        }
    }

    /// Overwrites every count that a later report has.
    pub fn update(&mut self, later: &Usage) {
        self.input = later.input_tokens.unwrap_or(self.input);
        self.output = later.output_tokens.unwrap_or(self.output);
        self.cache_read = later.cache_read_input_tokens.unwrap_or(self.cache_read);
        let written = later.cache_creation_input_tokens;
        let written = written.unwrap_or_else(|| self.cache_write());
        let for_an_hour = later.cache_creation.as_ref();
        let for_an_hour =
            for_an_hour.map_or(self.cache_write_1h, |it| it.ephemeral_1h_input_tokens);
        self.cache_write_1h = for_an_hour.min(written);
        self.cache_write_5m = written - self.cache_write_1h;
    }

    /// All input tokens, from the cache or not.
    pub fn all_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write())
    }

    /// Input written to the cache, for 5 minutes or for 1 hour.
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }

    /// Adds the tokens of another attempt.
    pub fn add(&mut self, more: &Tokens) {
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        add(&mut self.input, more.input);
        add(&mut self.output, more.output);
        add(&mut self.cache_read, more.cache_read);
        add(&mut self.cache_write_5m, more.cache_write_5m);
        add(&mut self.cache_write_1h, more.cache_write_1h);
    }
}

/// The prices of all models, looked up by model id.
#[derive(Debug, Clone, Default)]
pub struct PriceTable(Vec<ModelPrice>);

impl PriceTable {
    /// Makes a table of a list. If a model is listed twice, its first price
    /// applies.
    pub fn new(prices: Vec<ModelPrice>) -> Self {
        PriceTable(prices)
    }

    /// The ids of the listed models.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|price| price.model.as_str())
    }

    /// Whether a model has a price of its own.
    pub fn lists(&self, model: &str) -> bool {
        self.price(model).is_some()
    }

    /// The cost of a call. For a model that is not listed, the highest cost over
    /// all listed models.
    pub fn cost(&self, model: &str, tokens: &Tokens) -> Nanodollars {
        match self.price(model) {
            Some(price) => price.cost(tokens),
            None => {
                let costs = self.0.iter().map(|price| price.cost(tokens));
                costs.max().unwrap_or(0)
            }
        }
    }

    /// The price of an id, or of the model whose dated id it is.
    fn price(&self, model: &str) -> Option<&ModelPrice> {
        let exact = self.0.iter().find(|price| price.model == model);
        exact.or_else(|| {
            let dateless = without_date(model)?;
            self.0.iter().find(|price| price.model == dateless)
        })
    }
}

/// The id of a model without its date, if it has one: `claude-haiku-4-5` for
/// `claude-haiku-4-5-20251001`.
pub fn without_date(model: &str) -> Option<&str> {
    let (id, date) = model.rsplit_once('-')?;
    let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
    is_date.then_some(id)
}

impl ModelPrice {
    fn cost(&self, tokens: &Tokens) -> Nanodollars {
        let is_long = self
            .long_context_threshold
            .is_some_and(|above| tokens.all_input() > above);
        let rates = match (&self.long_context_rates, is_long) {
            (Some(rates), true) => rates,
            _ => &self.rates,
        };
        let of = |tokens: u64, rate: f64| {
            // A dollar per million tokens is a thousand nanodollars per token.
            (tokens as f64 * rate * 1000.0).round() as Nanodollars
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

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: Nanodollars = 1_000_000_000;
    const MILLION: u64 = 1_000_000;

    fn prices() -> PriceTable {
        PriceTable::new(list_prices())
    }

    fn tokens(input: u64, output: u64) -> Tokens {
        Tokens {
            input,
            output,
            ..Tokens::default()
        }
    }

    #[test]
    fn a_million_tokens_cost_what_the_table_says() {
        let table = [
            ("claude-sonnet-5-5", tokens(MILLION, MILLION), 12 * DOLLAR),
            ("claude-haiku-5-5", tokens(100_000, 0), DOLLAR / 100),
            // One token more, and the whole call is dear.
            ("claude-haiku-5-5", tokens(100_001, 0), 50_000_500),
            ("claude-haiku-4-5-20251001", tokens(MILLION, 0), DOLLAR),
            ("claude-haiku-5-5", tokens(1, 0), 100),
            ("not-listed", tokens(MILLION, 0), 10 * DOLLAR),
            ("claude-haiku-4-5-preview", tokens(MILLION, 0), 10 * DOLLAR),
            // A dated id needs its hyphen.
            ("claude-haiku-5-520251001", tokens(MILLION, 0), 10 * DOLLAR),
        ];
        for (model, tokens, expected) in table {
            assert_eq!(
                prices().cost(model, &tokens),
                expected,
                "{model} {tokens:?}"
            );
        }
    }

    #[test]
    fn the_cache_has_prices_of_its_own() {
        let usage = Usage {
            cache_creation_input_tokens: Some(2 * MILLION),
            cache_read_input_tokens: Some(MILLION),
            cache_creation: Some(crate::claude::answer::CacheCreation {
                ephemeral_5m_input_tokens: MILLION,
                ephemeral_1h_input_tokens: MILLION,
            }),
            ..Usage::default()
        };
        let tokens = Tokens::of(&usage);
        assert_eq!(tokens.all_input(), usage.total_input_tokens());
        let cost = prices().cost("claude-sonnet-5-5", &tokens);
        assert_eq!(cost, 6_600_000_000);
    }

    #[test]
    fn a_model_is_listed_by_its_id_and_its_dated_ids() {
        let prices = prices();
        assert!(prices.lists("claude-haiku-4-5-20251001"));
        for unknown in [
            "claude-haiku-4-5-preview",
            "claude-haiku-5-520251001",
            "claude",
            "",
        ] {
            assert!(!prices.lists(unknown), "{unknown}");
        }
    }
}
