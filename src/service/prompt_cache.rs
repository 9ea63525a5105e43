//! Marks the stable part of a prompt for the prompt cache of the API.
//!
//! What calls have in common stands first, as the system prompt, and the text of each after
//! it. A prefix below the minimum of its model is not cached, so it is not marked. When the
//! estimate leaves that open it is: the API ignores a mark that is not enough.

use super::model;
use crate::{
    claude::request::{CacheControl, CacheTtl, InputBlock, SystemPrompt},
    models::catalogue,
    proto::v1,
    status::{Path, Violations},
};

/// How much more tokens a prompt may have than is estimated.
const MARGIN: f64 = 1.25;

/// The minimum of a model for which no source states one, in tokens: the smallest one.
const MIN_TOKENS: u64 = 512;

/// Whether the API may cache a prefix for a model.
pub fn may_cache(model: &str, prefix: &str) -> bool {
    let known = catalogue().find(model);
    let minimum = known.and_then(|it| it.limits.cache_minimum);
    let tokens = model::measure(model).tokens(prefix);
    tokens as f64 * MARGIN >= minimum.unwrap_or(MIN_TOKENS) as f64
}

/// How long a prefix is kept, as a request says it; `None` for the default of the API.
pub fn ttl(value: i32, path: Path<'_>, wrong: &mut Violations) -> Option<CacheTtl> {
    match v1::CacheTtl::try_from(value) {
        Ok(v1::CacheTtl::Unspecified) => None,
        Ok(v1::CacheTtl::CacheTtl5m) => Some(CacheTtl::FiveMinutes),
        Ok(v1::CacheTtl::CacheTtl1h) => Some(CacheTtl::OneHour),
        Err(_) => {
            wrong.add(path, "is an unknown value");
            None
        }
    }
}

/// A system prompt that many calls have in common, with this mark if the API may cache it.
pub fn shared_system(text: String, model: &str, mark: Option<CacheControl>) -> SystemPrompt {
    if mark.is_some() && may_cache(model, &text) {
        return SystemPrompt::Blocks(vec![InputBlock::Text {
            text,
            cache_control: mark,
            citations: None,
        }]);
    }
    SystemPrompt::Text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Option<CacheControl> = Some(CacheControl::Ephemeral { ttl: None });

    #[test]
    fn a_prompt_is_marked_from_the_minimum_of_its_model_on() {
        let is_marked = |model: &str, characters: usize| {
            let system = shared_system("x".repeat(characters), model, MARK);
            matches!(system, SystemPrompt::Blocks(_))
        };
        // At 2.5 characters a token, and 3.4.
        for (model, enough) in [
            ("claude-haiku-5-5", 1024),
            ("claude-sonnet-5", 2048),
            ("claude-haiku-4-5", 11_142),
            ("a-model-of-ours", 1024),
        ] {
            assert!(is_marked(model, enough), "{model}");
            assert!(!is_marked(model, enough - 10), "{model}");
        }
        let off = shared_system("x".repeat(20_000), "claude-haiku-5-5", None);
        assert!(matches!(off, SystemPrompt::Text(_)));
    }
}
