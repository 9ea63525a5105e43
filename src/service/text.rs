//! Short texts that callers give beside the data.

use crate::status::{Path, Violations};

/// Notes it when a required text is missing: empty or only blanks.
pub fn required(text: &str, path: Path<'_>, wrong: &mut Violations) {
    if text.trim().is_empty() {
        wrong.add(path, "must not be empty");
    }
}

/// Notes it when a text has more than `limit` characters.
pub fn at_most(text: &str, limit: usize, path: Path<'_>, wrong: &mut Violations) {
    // Bytes bound characters, so most texts are never counted.
    if text.len() > limit && text.chars().count() > limit {
        wrong.add(path, format!("must have at most {limit} characters"));
    }
}

/// The length of a summary as a share of the length of its text, both in
/// characters.
pub fn length_ratio(summary: usize, text: usize) -> f64 {
    if text == 0 {
        return 0.0;
    }
    summary as f64 / text as f64
}
