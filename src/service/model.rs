//! Selects the model of a call.

use crate::{
    documents::TextMeasure,
    models::catalogue,
    status::{Path, Violations},
};

/// Maximum length of a model id; the API's are shorter than 64 characters.
const MAX_LEN: usize = 256;

/// Characters for each token of a model that the catalogue does not know: the fewest.
const UNKNOWN_CHARACTERS_PER_TOKEN: f64 = 2.5;

/// Estimates the tokens of texts for a model.
pub fn measure(model: &str) -> TextMeasure {
    let families = catalogue().tokenizers();
    let family = catalogue().find(model);
    let family = family.and_then(|model| families.get(&model.tokenizer));
    TextMeasure::new(family.map_or(UNKNOWN_CHARACTERS_PER_TOKEN, |it| it.characters_per_token))
}

/// The requested model, or the default if none is set.
pub fn choose(
    requested: String,
    default: &str,
    allowed: &[String],
    path: Path<'_>,
    wrong: &mut Violations,
) -> String {
    if requested.is_empty() {
        return default.to_owned();
    }
    if !is_model_id(&requested) {
        wrong.add(
            path,
            format!("must be a model id: 1 to {MAX_LEN} characters of letters, digits and -._:@/"),
        );
    } else if !is_allowed(&requested, allowed) {
        wrong.add(
            path,
            format!("is not allowed; allowed: {}", allowed.join(", ")),
        );
    }
    requested
}

/// Whether callers may use a model. An empty list allows all.
pub fn is_allowed(model: &str, allowed: &[String]) -> bool {
    allowed.is_empty() || allowed.iter().any(|one| one == model)
}

/// Whether a text could be a model id.
pub fn is_model_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_LEN
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:@/".contains(&b))
}
