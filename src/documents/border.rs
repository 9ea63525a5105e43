//! Where a text is cut: at the border that a reader would choose.

/// How well a text can be cut at a place, from the worst to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Border {
    /// Behind white space.
    Word,
    /// Behind the end of a sentence.
    Sentence,
    /// Between two lines; the rows of a table are lines.
    Line,
    /// Behind a blank line.
    Paragraph,
    /// Before a heading.
    Heading,
}

/// How far a border depends on what follows it, in bytes.
pub const LOOKAHEAD: usize = 256;

/// The macros of manual pages that begin a section.
const ROFF_HEADINGS: [&str; 5] = [".SH", ".SS", ".Sh", ".Ss", ".TH"];

/// Where to cut a text so that at most `end` bytes are before the cut: the best border in
/// the second half of them, and of equal ones the last. `end` must be between two
/// characters and less than the length of the text. What is more than [`LOOKAHEAD`] behind
/// it changes nothing.
pub fn border(text: &str, end: usize) -> usize {
    let start = ceil_char_boundary(text, end / 2).min(end);
    let of_lines = best(line_borders(text, start, end));
    let best = of_lines
        .or_else(|| last_behind(text, start, end, Border::Sentence))
        .or_else(|| last_behind(text, start, end, Border::Word));
    match best {
        Some(position) => position,
        // A single character is longer than that.
        None if end == 0 => ceil_char_boundary(text, 1),
        None => end,
    }
}

/// The last one of the best borders.
fn best(borders: impl Iterator<Item = (Border, usize)>) -> Option<usize> {
    borders.max().map(|(_, position)| position)
}

/// The places between two lines in a range.
fn line_borders(text: &str, start: usize, end: usize) -> impl Iterator<Item = (Border, usize)> {
    let breaks = memchr::memchr_iter(b'\n', &text.as_bytes()[..end]);
    breaks
        .map(|position| position + 1)
        .filter(move |position| *position > start)
        .map(|position| (between_lines(text, position), position))
}

/// What is between the line that ends here and the next one.
fn between_lines(text: &str, position: usize) -> Border {
    let (before, after) = text.split_at(position);
    let after = &after[..floor_char_boundary(after, LOOKAHEAD)];
    let next = after.lines().next().unwrap_or_default();
    let underline = after.lines().nth(1).unwrap_or_default();
    if is_heading(next) || (!next.trim().is_empty() && is_underline(underline)) {
        return Border::Heading;
    }
    let last = before.trim_end_matches(['\n', '\r']);
    let breaks = before[last.len()..].matches('\n').count();
    if breaks > 1 && !next.trim().is_empty() {
        return Border::Paragraph;
    }
    Border::Line
}

/// Whether a line is a heading of Markdown or of a manual page, or begins a page.
fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    (1..=6).contains(&level) && rest.starts_with(' ')
        || ROFF_HEADINGS.iter().any(|it| line.starts_with(it))
        || line.starts_with('\u{c}')
}

/// Whether a line makes a heading of the one before it.
fn is_underline(line: &str) -> bool {
    let line = line.trim_end();
    line.len() >= 3 && (line.bytes().all(|it| it == b'=') || line.bytes().all(|it| it == b'-'))
}

/// The last place in a range that is behind a word or a sentence.
fn last_behind(text: &str, start: usize, end: usize, border: Border) -> Option<usize> {
    let range = &text[start..end];
    let mut follows = text[end..].chars().next();
    for (position, character) in range.char_indices().rev() {
        let is_behind = match border {
            Border::Word => character.is_whitespace(),
            _ => ends_sentence(character, follows),
        };
        if is_behind {
            return Some(start + position + character.len_utf8());
        }
        follows = Some(character);
    }
    None
}

/// Whether a character ends a sentence, before another one.
fn ends_sentence(character: char, follows: Option<char>) -> bool {
    match character {
        '。' | '！' | '？' => true,
        '.' | '!' | '?' => follows.is_none_or(char::is_whitespace),
        _ => false,
    }
}

fn floor_char_boundary(text: &str, position: usize) -> usize {
    let mut positions = (0..=position.min(text.len())).rev();
    positions
        .find(|position| text.is_char_boundary(*position))
        .unwrap_or(0)
}

fn ceil_char_boundary(text: &str, position: usize) -> usize {
    (position..text.len())
        .find(|position| text.is_char_boundary(*position))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is before the cut.
    fn cut(text: &str, end: usize) -> &str {
        &text[..border(text, end)]
    }

    #[test]
    fn the_best_border_wins_over_a_later_one() {
        let text = "one two three. four\nfive six\n\nseven eight\n# nine\nten\n\neleven twelve\n";
        let end = text.find("twelve").unwrap();
        assert!(text[cut(text, end).len()..].starts_with("# nine"));
        let end = text.find("# nine").unwrap() - 2;
        assert!(text[cut(text, end).len()..].starts_with("seven"));
        assert_eq!(cut(text, 25), "one two three. four\n");
        assert_eq!(cut(text, 17), "one two three.");
        assert_eq!(cut(text, 10), "one two ");
    }

    #[test]
    fn headings_are_those_of_markdown_manual_pages_and_pages() {
        for heading in [
            "## b\n",
            ".SH NAME\n",
            "\u{c}page\n",
            "Title\n=====\n",
            "Title\n---\n",
        ] {
            let text = format!("aaaa aaaa aaaa\n\nbbb\n{heading}rest\nrest\n");
            let at = text.find(heading).unwrap();
            assert_eq!(border(&text, text.len() - 4), at, "{heading:?}");
        }
        for line in ["#b\n", "####### b\n", "a\n--\n"] {
            let text = format!("aaaa aaaa aaaa\n\nbbb\n{line}rest\nrest\n");
            assert_ne!(border(&text, text.len() - 4), text.find(line).unwrap());
        }
    }

    #[test]
    fn rows_of_a_table_stay_whole() {
        let row = "| one. two | three four. five |\n";
        let text = row.repeat(4);
        for end in row.len() + 1..text.len() {
            assert_eq!(border(&text, end) % row.len(), 0, "{end}");
        }
    }

    #[test]
    fn a_character_is_never_cut() {
        let text = "漢字漢字漢字";
        for end in [3, 6, 9] {
            assert_eq!(border(text, end), end);
        }
        assert_eq!(border(text, 0), 3);
        assert_eq!(cut("漢字。漢字漢字", 15), "漢字。漢字");
        assert_eq!(cut("漢字漢。字漢字", 18), "漢字漢。");
    }
}
