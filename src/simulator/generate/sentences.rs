//! Splitting a text into sentences.
//!
//! `unicode-segmentation` follows UAX #29, which ends a sentence after an
//! abbreviation, and knows no headings, bullets or clause numbers: what stands
//! here would be needed on top of it.

/// Words after which a full stop does not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "apr", "art", "aug", "bros", "ca", "cf", "co", "corp", "dec", "dept", "dr",
    "e.g", "ed", "eds", "eq", "esq", "est", "etc", "feb", "fig", "figs", "gen", "gov", "i.e",
    "inc", "jan", "jr", "jul", "jun", "lt", "ltd", "mar", "messrs", "mr", "mrs", "ms", "mt", "no",
    "nos", "nov", "oct", "op", "p", "para", "pp", "prof", "rep", "resp", "rev", "sec", "sect",
    "sen", "sep", "sept", "sr", "st", "u.k", "u.s", "viz", "vol", "vs",
];

/// The sentences of a text in their order, each on one line. Headings, that is
/// short paragraphs that do not end like a sentence, are left out unless there
/// is nothing else.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut headings = Vec::new();
    for paragraph in paragraphs(text) {
        if is_heading(&paragraph) {
            headings.push(paragraph);
        } else {
            split(&paragraph, &mut sentences);
        }
    }
    if sentences.is_empty() {
        headings
    } else {
        sentences
    }
}

/// Paragraphs, each on one line: an empty line, a bullet or the number of a
/// clause begins a new one.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() || line.chars().all(|c| !c.is_alphanumeric()) {
            open = false;
            continue;
        }
        let (line, is_item) = without_bullet(&line);
        match paragraphs.last_mut() {
            Some(paragraph) if open && !is_item => {
                paragraph.push(' ');
                paragraph.push_str(line);
            }
            _ => paragraphs.push(line.to_owned()),
        }
        open = true;
    }
    paragraphs
}

/// The line without the bullet, `#` or number that begins it, and whether
/// there was one.
fn without_bullet(line: &str) -> (&str, bool) {
    let rest = line.trim_start_matches(['#', '*', '-', '•', '–']);
    if rest.len() < line.len() && rest.starts_with(' ') {
        return (rest.trim_start(), true);
    }
    match line.split_once(' ') {
        Some((first, rest)) if is_clause_number(first) => (rest, true),
        _ => (line, false),
    }
}

/// `1.`, `2.3.`, `a)`, `(iv)`.
fn is_clause_number(word: &str) -> bool {
    let inner = word
        .trim_start_matches('(')
        .trim_end_matches(['.', ')', ':']);
    let marked = inner.len() < word.len();
    let digits = inner.chars().all(|c| c.is_ascii_digit() || c == '.');
    let roman = inner.chars().all(|c| matches!(c, 'i' | 'v' | 'x'));
    let letter = inner.chars().count() == 1 && inner.chars().all(|c| c.is_ascii_lowercase());
    marked && !inner.is_empty() && inner.len() <= 8 && (digits || roman || letter)
}

fn is_heading(paragraph: &str) -> bool {
    let ends_like_a_sentence = paragraph
        .trim_end_matches(is_closing)
        .trim_end_matches(" and")
        .trim_end_matches(" or")
        .ends_with(|c: char| is_end(c) || matches!(c, ';' | ':' | ','));
    !ends_like_a_sentence && paragraph.split(' ').count() <= 12
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

/// Ends of sentences in scripts that do not separate sentences by spaces.
fn is_wide_end(c: char) -> bool {
    matches!(c, '。' | '！' | '？')
}

fn is_closing(c: char) -> bool {
    matches!(c, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '」')
}

fn split(paragraph: &str, sentences: &mut Vec<String>) {
    let mut start = 0;
    for (position, c) in paragraph.char_indices() {
        let end = position + c.len_utf8();
        if !is_end(c) || end < start {
            continue;
        }
        let after = paragraph[end..].trim_start_matches(is_closing);
        let end = paragraph.len() - after.len();
        let sentence = &paragraph[start..end];
        let ends = is_wide_end(c)
            || after.is_empty()
            || after.starts_with(' ')
                && begins_sentence(after.trim_start())
                && !(c == '.' && is_abbreviation(&paragraph[start..position]));
        if ends {
            push(sentence, sentences);
            start = end;
        }
    }
    push(&paragraph[start.min(paragraph.len())..], sentences);
}

fn push(sentence: &str, sentences: &mut Vec<String>) {
    let sentence = sentence.trim();
    if sentence.chars().any(char::is_alphanumeric) {
        sentences.push(sentence.to_owned());
    }
}

fn begins_sentence(text: &str) -> bool {
    text.trim_start_matches(|c: char| {
        is_closing(c) || matches!(c, '(' | '[' | '“' | '‘' | '«' | '「')
    })
    .starts_with(|c: char| !c.is_lowercase())
}

/// Whether a full stop behind this text belongs to its last word.
fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(' ').next().unwrap_or_default();
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    let clause = word == before.trim() && is_clause_number(&format!("{word}."));
    // `I` ends sentences more often than it begins names.
    (initial && word != "I")
        || clause
        || ABBREVIATIONS
            .binary_search(&word.to_lowercase().as_str())
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_abbreviations_are_sorted_for_search() {
        assert!(ABBREVIATIONS.is_sorted());
    }

    #[test]
    fn a_full_stop_does_not_always_end_a_sentence() {
        let text = "Dr. J. Smith of Acme Inc. paid $3.50, e.g. for tea. \"Why?\" he asked. \
                    It was No. 5 (see Fig. 2)... and then some. Done!";
        assert_eq!(
            sentences(text),
            [
                "Dr. J. Smith of Acme Inc. paid $3.50, e.g. for tea.",
                "\"Why?\" he asked.",
                "It was No. 5 (see Fig. 2)... and then some.",
                "Done!",
            ]
        );
    }

    #[test]
    fn headings_numbers_and_wrapped_lines_are_undone() {
        let text = "GNU GENERAL PUBLIC LICENSE\n\n                TERMS AND CONDITIONS\n\n  \
                    0. Definitions.\n\n  \"This License\" refers to version 3\nof the License.  \
                    Each licensee is \"you\".\n\n    a) The work must carry notices; and\n\n    \
                    b) You must license it.\n\n# A heading\n\n- first point\n- second point.\n";
        assert_eq!(
            sentences(text),
            [
                "Definitions.",
                "\"This License\" refers to version 3 of the License.",
                "Each licensee is \"you\".",
                "The work must carry notices; and",
                "You must license it.",
                "second point.",
            ]
        );
        assert_eq!(sentences("Only a heading"), ["Only a heading"]);
        assert_eq!(sentences("一つ。二つ！"), ["一つ。", "二つ！"]);
    }

    proptest! {
        #[test]
        fn every_text_can_be_split(text in "(?s)[ -~\n。é]{0,80}") {
            for sentence in sentences(&text) {
                prop_assert!(!sentence.contains('\n'));
                prop_assert!(sentence.chars().any(char::is_alphanumeric));
            }
        }
    }
}
