//! Which model answers.

use crate::status::{Path, Violations};

/// Longest model id taken; the API's are below 64 characters.
const MAX_LEN: usize = 256;

/// The requested model, or the default where none is named.
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

/// Whether callers may ask for a model. An empty list allows all.
pub fn is_allowed(model: &str, allowed: &[String]) -> bool {
    allowed.is_empty() || allowed.iter().any(|one| one == model)
}

/// Whether a text could be the id of a model.
pub fn is_model_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_LEN
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:@/".contains(&b))
}
