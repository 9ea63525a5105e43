//! Checks of text fields.

use crate::status::{Path, Violations};

/// Adds a violation if a required text is empty or blank.
pub fn required(text: &str, path: Path<'_>, wrong: &mut Violations) {
    if text.trim().is_empty() {
        wrong.add(path, "must not be empty");
    }
}

/// Adds a violation if a text has more than `limit` characters.
pub fn at_most(text: &str, limit: usize, path: Path<'_>, wrong: &mut Violations) {
    // A text has at most as many characters as bytes, so most texts are never
    // counted.
    if text.len() > limit && text.chars().count() > limit {
        wrong.add(path, format!("must have at most {limit} characters"));
    }
}

/// The length of a summary relative to the length of its text, both in
/// characters.
pub fn length_ratio(summary: usize, text: usize) -> f64 {
    if text == 0 {
        return 0.0;
    }
    summary as f64 / text as f64
}
