//! What a name looks like.
//!
//! A reader cannot distinguish two labels that look the same, and a model cannot
//! reliably do so: it writes back the spelling that it has learned, without the
//! zero-width space, and in the usual normalization. The data comes from ICU4X,
//! the Unicode Consortium's own library.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};

/// The same text for all names that look the same: in compatibility
/// normalization (NFKC) and one case, without invisible characters, and with
/// one space for each whitespace. Empty when nothing is visible.
pub fn look(name: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    let invisible = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    // Before normalization, since an invisible character keeps a letter and its
    // accent apart.
    let visible: String = name.chars().filter(|c| !invisible.contains(*c)).collect();
    let normal = normalizer.normalize(&visible);
    let folded = CaseMapper::new().fold_string(&normal);
    // Folding may take a text out of its normal form.
    let normal = normalizer.normalize(&folded);
    normal.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (one, other) in [
            ("bug", "BUG"),
            ("bug", "  bug\u{3000}"),
            ("two words", "two\u{a0}words"),
            ("two words", "two \u{2009} words"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{c5}", "\u{212b}"),
            ("file", "\u{fb01}le"),
            ("1", "\u{2460}"),
            ("bug", "\u{ff42}\u{ff55}\u{ff47}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("Stra\u{df}e", "STRASSE"),
            ("\u{3c3}\u{3bf}\u{3c2}", "\u{3a3}\u{39f}\u{3a3}"),
        ] {
            assert_eq!(look(one), look(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_looks_different_is_different() {
        for (one, other) in [
            ("bug", "bugs"),
            ("a b", "ab"),
            ("resume", "r\u{e9}sum\u{e9}"),
            ("k\u{131}l", "kil"),
            ("C", "C++"),
            ("", "\u{2800}"),
        ] {
            assert_ne!(look(one), look(other), "{one:?} {other:?}");
        }
    }

    /// Zero-width, soft hyphen, bidi controls, variation selectors, joiners, fillers,
    /// tags, byte order mark.
    const INVISIBLE: &str = "[\u{ad}\u{34f}\u{61c}\u{115f}\u{180b}-\u{180f}\u{200b}-\u{200f}\u{202a}-\u{202e}\u{2060}-\u{206f}\u{3164}\u{fe00}-\u{fe0f}\u{feff}\u{ffa0}\u{e0001}\u{e0020}-\u{e007f}\u{e0100}-\u{e01ef}]";

    proptest! {
        #[test]
        fn an_invisible_character_changes_nothing(
            before in "\\PC{0,8}",
            invisible in INVISIBLE,
            after in "\\PC{0,8}",
        ) {
            prop_assert_eq!(look(&format!("{before}{invisible}{after}")), look(&format!("{before}{after}")));
            prop_assert_eq!(look(&invisible), "");
        }

        #[test]
        fn the_look_of_a_look_is_itself(name in "\\PC{0,12}") {
            let once = look(&name);
            prop_assert_eq!(look(&once), once);
        }
    }
}
