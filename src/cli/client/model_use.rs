//! What calls have used, by model.

use crate::{models::Tokens, proto::v1::Usage};

/// What calls of a model have used.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelUse {
    /// The id of the model.
    pub model: String,
    /// The tokens.
    pub tokens: Tokens,
}

// === impl ModelUse ===

impl ModelUse {
    /// What an answer of this model says.
    pub fn new(model: &str, usage: Option<&Usage>) -> Self {
        ModelUse {
            model: model.to_owned(),
            tokens: tokens(usage),
        }
    }
}

/// The tokens of a usage report of the service.
fn tokens(usage: Option<&Usage>) -> Tokens {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let usage = usage.cloned().unwrap_or_default();
    let written = count(usage.cache_creation_input_tokens);
    let for_an_hour = count(usage.cache_creation_1h_input_tokens).min(written);
    Tokens {
        input: count(usage.input_tokens),
        output: count(usage.output_tokens),
        cache_read: count(usage.cache_read_input_tokens),
        cache_write_5m: written - for_an_hour,
        cache_write_1h: for_an_hour,
    }
}
