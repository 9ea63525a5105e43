//! Words, cut to their stems so that `bills` and `billing` meet.

use std::collections::BTreeMap;

/// Words that are in every English text and say nothing about it.
const COMMON: &[&str] = &[
    "about", "above", "after", "again", "all", "also", "an", "and", "any", "are", "as", "at", "be",
    "because", "been", "before", "being", "between", "both", "but", "by", "can", "could", "did",
    "do", "does", "doing", "during", "each", "few", "for", "from", "further", "had", "has", "have",
    "he", "her", "here", "him", "his", "how", "if", "in", "into", "is", "it", "its", "just", "may",
    "me", "more", "most", "must", "my", "no", "nor", "not", "of", "off", "on", "once", "only",
    "or", "other", "our", "out", "over", "own", "same", "shall", "she", "should", "so", "some",
    "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "through", "to", "too", "under", "until", "up", "us", "very", "was", "we", "were",
    "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with", "would",
    "you", "your",
];

/// The words of a text in lower case; each character of a script without
/// blanks is a word.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = rest.chars().next()?;
        let end = if is_without_blanks(first) {
            first.len_utf8()
        } else {
            rest.find(|c: char| !c.is_alphanumeric() || is_without_blanks(c))
                .unwrap_or(rest.len())
        };
        let word = rest[..end].to_lowercase();
        rest = &rest[end..];
        Some(word)
    })
}

fn is_without_blanks(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// The stems of the words of a text that say something about it.
pub(super) fn stems(text: &str) -> impl Iterator<Item = String> {
    words(text)
        .filter(|word| {
            let single = word.len() == 1 && !word.as_bytes()[0].is_ascii_digit();
            !single && COMMON.binary_search(&word.as_str()).is_err()
        })
        .map(stem)
}

/// Cuts the most common endings of English, where at least three letters stay.
fn stem(mut word: String) -> String {
    for ending in ["ing", "ies", "ed", "es", "s", "ly", "y", "e"] {
        let left = word.len().saturating_sub(ending.len());
        if left >= 3 && word.ends_with(ending) && !word.ends_with("ss") {
            word.truncate(left);
            break;
        }
    }
    word
}

/// The stems of a text and how often each comes.
#[derive(Debug, Default)]
pub(super) struct WordCounts(BTreeMap<String, u32>);

impl WordCounts {
    pub(super) fn of(text: &str) -> Self {
        let mut counts = BTreeMap::new();
        for stem in stems(text) {
            *counts.entry(stem).or_insert(0) += 1;
        }
        WordCounts(counts)
    }

    /// How often a stem comes.
    pub(super) fn count(&self, stem: &str) -> u32 {
        self.0.get(stem).copied().unwrap_or(0)
    }

    /// How well the text knows a stem: more than 1 when it has it, 0.5 when it
    /// has a word that begins with it, 0 when it has not.
    pub(super) fn affinity(&self, stem: &str) -> f64 {
        let count = self.count(stem);
        if count > 0 {
            return 1.0 + f64::from(count).ln();
        }
        let begins = |(word, _): (&String, &u32)| word.starts_with(stem);
        let longer = stem.len() >= 4 && self.0.range(stem.to_owned()..).next().is_some_and(begins);
        if longer { 0.5 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_words_are_sorted_for_search() {
        assert!(COMMON.is_sorted());
    }

    #[test]
    fn forms_of_a_word_meet() {
        let stems = |text| stems(text).collect::<Vec<_>>();
        assert_eq!(stems("The bills, billing & BILLED!"), ["bill"; 3]);
        assert_eq!(stems("companies company"), ["compan"; 2]);
        assert_eq!(stems("支払い"), ["支", "払", "い"]);
        assert_eq!(stems("of the"), [""; 0]);
    }
}
