//! A text that matches a regular expression.
//!
//! JSON schemas write patterns in the dialect of ECMAScript, and `rand_regex`
//! reads that of Rust. It cannot generate lookarounds, backreferences and word
//! boundaries: such patterns have no example. It knows no anchors either, so
//! they are taken out first, and a text that does not match the pattern with
//! its anchors is dropped.

use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_regex::Regex;
use regex_syntax::hir::{
    Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition,
};
use serde_json::json;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Repetitions beyond the required ones where the pattern sets no maximum.
const EXTRA_REPETITIONS: u32 = 8;

/// Maximum length of an example, in bytes.
const MAX_BYTES: usize = 4096;

/// Characters that a class is narrowed to, if it has any of them: first those
/// that can be read everywhere, then all that can be typed.
const PREFERRED: [&[(char, char)]; 2] = [&[('0', '9'), ('A', 'Z'), ('a', 'z')], &[(' ', '~')]];

/// A text that the pattern matches, the same for the same pattern; `None` when
/// none can be made.
pub(super) fn example(pattern: &str) -> Option<String> {
    let expression = readable(regex_syntax::parse(pattern).ok()?);
    if expression.properties().maximum_len()? > MAX_BYTES {
        return None;
    }
    let regex = Regex::with_hir(expression, EXTRA_REPETITIONS).ok()?;
    let mut hasher = DefaultHasher::new();
    pattern.hash(&mut hasher);
    let text: String = StdRng::seed_from_u64(hasher.finish()).sample(&regex);
    let schema = json!({"type": "string", "pattern": pattern});
    let validator = jsonschema::validator_for(&schema).ok()?;
    validator.is_valid(&json!(text)).then_some(text)
}

/// The expression without anchors, with an end to each repetition, and with
/// readable characters where it leaves the choice.
fn readable(expression: Hir) -> Hir {
    match expression.into_kind() {
        HirKind::Look(Look::Start | Look::End) => Hir::empty(),
        HirKind::Class(Class::Unicode(class)) => Hir::class(Class::Unicode(narrowed(class))),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            max: repetition
                .max
                .or_else(|| repetition.min.checked_add(EXTRA_REPETITIONS)),
            sub: Box::new(readable(*repetition.sub)),
            ..repetition
        }),
        HirKind::Capture(Capture { sub, .. }) => readable(*sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(readable).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.into_iter().map(readable).collect()),
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Class(class) => Hir::class(class),
    }
}

fn narrowed(class: ClassUnicode) -> ClassUnicode {
    for ranges in PREFERRED {
        let ranges = ranges
            .iter()
            .map(|(first, last)| ClassUnicodeRange::new(*first, *last));
        let mut narrow = class.clone();
        narrow.intersect(&ClassUnicode::new(ranges));
        if !narrow.ranges().is_empty() {
            return narrow;
        }
    }
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_matches() {
        for pattern in [
            "^[A-Z]{2}-\\d{4}$",
            "^(red|green)$",
            "^[a-z0-9_-]+$",
            "^\\+?[0-9]{3,}$",
            "^[^a-y]x*$",
            "^(?:ab){2}c?$",
            "colou?r",
            "^.{3}\\s\\p{L}$",
        ] {
            let text = example(pattern).unwrap();
            let schema = json!({"type": "string", "pattern": pattern});
            assert!(
                jsonschema::is_valid(&schema, &json!(text)),
                "{pattern}: {text}"
            );
            assert!(text.is_ascii(), "{pattern}: {text}");
            assert_eq!(example(pattern), Some(text), "{pattern}");
        }
    }

    #[test]
    fn what_cannot_be_generated_has_no_example() {
        for pattern in [
            "(?=x)",
            "(a)\\1",
            "\\bword",
            "a^b",
            "(",
            "[",
            "a{5000}",
            "(((a{99}){99}){99}){99}",
        ] {
            assert_eq!(example(pattern), None, "{pattern}");
        }
    }
}
