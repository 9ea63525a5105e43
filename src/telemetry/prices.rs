//! What calls cost.

/// Prices of one model, in dollars for a million tokens. The entry with the
/// highest `above_input_tokens` that a call exceeds is the one that counts,
/// for the whole call.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// Model id; it holds for the dated ids of the model as well.
    pub model: String,
    /// Holds for calls with more input tokens than this.
    pub above_input_tokens: u64,
    /// Input that the cache has nothing to do with.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: f64,
    /// Input written to the cache for an hour.
    pub cache_write_1h: f64,
    /// Input read from the cache.
    pub cache_read: f64,
}

/// Tokens of one call, each under one head only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input that the cache has nothing to do with.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Input written to the cache for an hour.
    pub cache_write_1h: u64,
}

impl Tokens {
    /// All input.
    pub fn all_input(&self) -> u64 {
        self.input + self.cache_read + self.cache_write()
    }

    /// Input written to the cache.
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m + self.cache_write_1h
    }

    /// Adds another call's.
    pub fn add(&mut self, more: &Tokens) {
        self.input += more.input;
        self.output += more.output;
        self.cache_read += more.cache_read;
        self.cache_write_5m += more.cache_write_5m;
        self.cache_write_1h += more.cache_write_1h;
    }
}

/// What a call costs, in billionths of a dollar, if there is a price.
pub fn cost(prices: &[Price], model: &str, tokens: &Tokens) -> Option<u64> {
    let input = tokens.all_input();
    let price = prices
        .iter()
        .filter(|price| is_model(&price.model, model))
        .filter(|price| price.above_input_tokens == 0 || input > price.above_input_tokens)
        .max_by_key(|price| price.above_input_tokens)?;
    let parts = [
        (tokens.input, price.input),
        (tokens.output, price.output),
        (tokens.cache_read, price.cache_read),
        (tokens.cache_write_5m, price.cache_write_5m),
        (tokens.cache_write_1h, price.cache_write_1h),
    ];
    // A dollar for a million tokens is a thousand billionths for each.
    let cost: f64 = parts
        .iter()
        .map(|(tokens, price)| *tokens as f64 * price * 1000.0)
        .sum();
    Some(cost.round() as u64)
}

/// `claude-x-1` is `claude-x-1` and `claude-x-1-20260101`.
fn is_model(priced: &str, model: &str) -> bool {
    model.strip_prefix(priced).is_some_and(|rest| {
        let date = rest.strip_prefix('-').unwrap_or(rest);
        rest.is_empty() || date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_prices() -> Vec<Price> {
        let price =
            |model: &str, above, [input, output, write_5m, write_1h, read]: [f64; 5]| Price {
                model: model.to_owned(),
                above_input_tokens: above,
                input,
                output,
                cache_write_5m: write_5m,
                cache_write_1h: write_1h,
                cache_read: read,
            };
        vec![
            price("claude-haiku-5-5", 0, [0.10, 0.50, 0.125, 0.20, 0.01]),
            price("claude-haiku-5-5", 100_000, [0.50, 2.50, 0.625, 1.0, 0.05]),
            price("claude-sonnet-5-5", 0, [2.0, 10.0, 2.5, 4.0, 0.10]),
            price("claude-opus-5-5", 0, [4.0, 20.0, 5.0, 8.0, 0.20]),
            price("claude-fable-5-1", 0, [10.0, 50.0, 12.5, 20.0, 0.25]),
            price("claude-haiku-4-5", 0, [1.0, 5.0, 1.25, 2.0, 0.10]),
        ]
    }

    #[test]
    fn a_call_costs_what_its_tokens_cost() {
        let tokens = Tokens {
            input: 1_000_000,
            output: 100_000,
            cache_read: 10_000,
            cache_write_5m: 1_000,
            cache_write_1h: 100,
        };
        let cost = cost(&list_prices(), "claude-sonnet-5-5-20261001", &tokens);
        let dollars = 2.0 + 1.0 + 0.001 + 0.0025 + 0.0004;
        assert_eq!(cost, Some((dollars * 1e9) as u64));
    }

    #[test]
    fn a_long_prompt_has_its_own_price() {
        let of = |input| {
            let tokens = Tokens {
                input,
                ..Tokens::default()
            };
            cost(&list_prices(), "claude-haiku-5-5", &tokens)
        };
        assert_eq!(of(100_000), Some(10_000_000));
        assert_eq!(of(100_001), Some(50_000_500));
    }

    #[test]
    fn an_unknown_model_has_no_price() {
        for model in ["claude-haiku-5-5-fast", "claude", ""] {
            assert_eq!(cost(&list_prices(), model, &Tokens::default()), None);
        }
    }
}
