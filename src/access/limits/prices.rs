//! What usage costs.

use super::config::{ModelPrice, Rates};
use crate::claude::answer::Usage;

/// A billionth of a dollar: the cheapest token costs ten.
pub type Nanodollars = u64;

/// The price table.
#[derive(Debug, Clone)]
pub struct Prices(Vec<ModelPrice>);

impl Prices {
    /// From the configuration.
    pub fn new(prices: Vec<ModelPrice>) -> Self {
        Prices(prices)
    }

    /// What a usage costs.
    pub fn cost(&self, model: &str, usage: &Usage) -> Nanodollars {
        match self.of(model) {
            Some(price) => cost(price, usage),
            // A model without a price must not be a way around a budget.
            None => {
                let costs = self.0.iter().map(|price| cost(price, usage));
                costs.max().unwrap_or(0)
            }
        }
    }

    fn of(&self, model: &str) -> Option<&ModelPrice> {
        let exact = self.0.iter().find(|price| price.model == model);
        exact.or_else(|| {
            let dated = |price: &&ModelPrice| {
                let date = model.strip_prefix(&*price.model)?.strip_prefix('-')?;
                Some(date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
            };
            self.0.iter().find(|price| dated(price) == Some(true))
        })
    }
}

fn cost(price: &ModelPrice, usage: &Usage) -> Nanodollars {
    let long = price
        .long_above
        .is_some_and(|above| usage.total_input_tokens() > above);
    let rates = match (&price.long_rates, long) {
        (Some(rates), true) => rates,
        _ => &price.rates,
    };
    let written = usage.cache_creation_input_tokens.unwrap_or(0);
    let for_an_hour = usage.cache_creation.as_ref();
    let for_an_hour = for_an_hour.map_or(0, |it| it.ephemeral_1h_input_tokens.min(written));
    let Rates {
        input,
        output,
        cache_write,
        cache_write_1h,
        cache_read,
    } = *rates;
    let of = |tokens: u64, rate: f64| {
        // A dollar for a million tokens is a thousand nanodollars for one.
        (tokens as f64 * rate * 1000.0).round() as Nanodollars
    };
    [
        of(usage.input_tokens.unwrap_or(0), input),
        of(usage.output_tokens.unwrap_or(0), output),
        of(written - for_an_hour, cache_write),
        of(for_an_hour, cache_write_1h),
        of(usage.cache_read_input_tokens.unwrap_or(0), cache_read),
    ]
    .into_iter()
    .fold(0, Nanodollars::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::limits::LimitsConfig;

    const DOLLAR: Nanodollars = 1_000_000_000;
    const MILLION: u64 = 1_000_000;

    fn prices() -> Prices {
        Prices::new(LimitsConfig::default().prices)
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage {
            input_tokens: Some(input),
            output_tokens: Some(output),
            ..Usage::default()
        }
    }

    #[test]
    fn a_million_tokens_cost_what_the_table_says() {
        let table = [
            ("claude-sonnet-5-5", usage(MILLION, MILLION), 12 * DOLLAR),
            ("claude-haiku-5-5", usage(100_000, 0), DOLLAR / 100),
            // One token more, and the whole call is dear.
            ("claude-haiku-5-5", usage(100_001, 0), 50_000_500),
            ("claude-haiku-4-5-20251001", usage(MILLION, 0), DOLLAR),
            ("claude-haiku-5-5", usage(1, 0), 100),
            ("not-listed", usage(MILLION, 0), 10 * DOLLAR),
            ("claude-haiku-4-5-preview", usage(MILLION, 0), 10 * DOLLAR),
        ];
        for (model, usage, expected) in table {
            assert_eq!(prices().cost(model, &usage), expected, "{model} {usage:?}");
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
        let cost = prices().cost("claude-sonnet-5-5", &usage);
        assert_eq!(cost, 6_600_000_000);
    }
}
