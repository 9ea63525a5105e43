//! Escapes of roff in text: fonts vanish, characters and strings are put in.

use super::glyphs::glyph;
use std::collections::HashMap;

/// How deep strings may be in each other.
const DEEPEST: u32 = 8;

/// How long a line may become by its strings, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// The strings and number registers that a page may use.
#[derive(Debug)]
pub struct Strings {
    strings: HashMap<String, String>,
    registers: HashMap<String, i64>,
}

impl Default for Strings {
    fn default() -> Self {
        let strings = [
            ("R", "\u{ae}"),
            ("Tm", "\u{2122}"),
            ("lq", "\u{201c}"),
            ("rq", "\u{201d}"),
            ("L\"", "\u{201c}"),
            ("R\"", "\u{201d}"),
            ("C`", "\""),
            ("C'", "\""),
            ("--", "\u{2014}"),
            ("PI", "\u{3c0}"),
            ("Ba", "|"),
            ("Ge", "\u{2265}"),
            ("Le", "\u{2264}"),
            ("Gt", ">"),
            ("Lt", "<"),
            ("Ne", "\u{2260}"),
            ("Pm", "\u{b1}"),
            ("Px", "POSIX"),
            ("Ai", "ANSI"),
            ("q", "\""),
        ];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Strings {
            strings: strings.into_iter().map(own).collect(),
            registers: HashMap::from([(".g".to_owned(), 1)]),
        }
    }
}

impl Strings {
    /// Defines a string, or adds to one.
    pub fn define(&mut self, name: &str, value: &str, is_added: bool) {
        let string = self.strings.entry(name.to_owned()).or_default();
        if !is_added {
            string.clear();
        }
        string.push_str(value);
    }

    /// Whether there is a string of this name.
    pub fn has(&self, name: &str) -> bool {
        self.strings.contains_key(name)
    }

    /// Sets a number register, as `.nr` does.
    pub fn set_register(&mut self, rest: &str) {
        let mut words = rest.split_whitespace();
        if let (Some(name), Some(value)) = (words.next(), words.next()) {
            let value = self.expanded(value);
            let end = value.find(|it: char| !it.is_ascii_digit() && it != '-');
            let value = value[..end.unwrap_or(value.len())].parse().unwrap_or(0);
            self.registers.insert(name.to_owned(), value);
        }
    }

    /// The text that a line shows.
    pub fn expanded(&self, line: &str) -> String {
        let mut text = String::new();
        self.expand(line, &mut text, 0);
        text
    }

    fn expand(&self, line: &str, text: &mut String, depth: u32) {
        let mut rest = line;
        while let Some(at) = memchr::memchr2(b'\\', b'`', rest.as_bytes()) {
            text.push_str(&rest[..at]);
            if text.len() > MAX_LINE && depth > 0 {
                return;
            }
            let is_backtick = rest.as_bytes()[at] == b'`';
            rest = &rest[at + 1..];
            if is_backtick {
                text.push('\u{2018}');
                continue;
            }
            match self.escape(rest, text, depth) {
                Some(after) => rest = after,
                // A comment.
                None => {
                    text.truncate(text.trim_end_matches([' ', '\t']).len());
                    return;
                }
            }
        }
        text.push_str(rest);
    }

    /// Adds what an escape shows, and returns what follows it; `None` at a comment.
    fn escape<'t>(&self, escape: &'t str, text: &mut String, depth: u32) -> Option<&'t str> {
        let mut characters = escape.chars();
        let Some(first) = characters.next() else {
            return Some("");
        };
        let rest = characters.as_str();
        match first {
            '"' | '#' => return None,
            'e' | '\\' => text.push('\\'),
            '-' => text.push('-'),
            '\'' => text.push('\u{b4}'),
            '`' => text.push('`'),
            ' ' | '0' => text.push(' '),
            '~' => text.push('\u{a0}'),
            't' => text.push('\t'),
            '(' | '[' => {
                let (name, rest) = name(escape);
                match glyph(name) {
                    Some(shown) => text.push_str(&shown),
                    // An own one of the page, or one that is not known.
                    None => self.put_in(name, text, depth),
                }
                return Some(rest);
            }
            '*' => {
                let (name, rest) = name(rest);
                let name = name.split(' ').next().unwrap_or_default();
                self.put_in(name, text, depth);
                return Some(rest);
            }
            'n' => {
                let (name, rest) = name(rest.trim_start_matches(['+', '-']));
                let value = self.registers.get(name).copied().unwrap_or(0);
                text.push_str(&value.to_string());
                return Some(rest);
            }
            'f' | 'F' | 'm' | 'M' | 'g' | 'k' | 'V' | 'Y' | 'O' => return Some(name(rest).1),
            's' => return Some(after_size(rest)),
            'N' => {
                let (code, rest) = quoted(rest);
                text.extend(code.parse().ok().and_then(char::from_u32));
                return Some(rest);
            }
            'o' => {
                let (shown, rest) = quoted(rest);
                self.expand(&shown.chars().take(1).collect::<String>(), text, DEEPEST);
                return Some(rest);
            }
            'h' | 'v' | 'w' | 'l' | 'L' | 'D' | 'b' | 'A' | 'B' | 'H' | 'R' | 'S' | 'x' | 'X'
            | 'Z' | 'C' => {
                let (what, rest) = quoted(rest);
                if first == 'C' {
                    text.push_str(&glyph(what).unwrap_or_default());
                }
                return Some(rest);
            }
            'z' => return Some(rest),
            _ if !first.is_ascii_alphanumeric() => {
                // Spaces without width, hyphenation, and blocks.
                if !"&|^%:/,{}!?)acdprup".contains(first) {
                    text.push(first);
                }
            }
            'a' | 'c' | 'd' | 'p' | 'r' | 'u' | 'E' => {}
            other => text.push(other),
        }
        Some(rest)
    }

    fn put_in(&self, name: &str, text: &mut String, depth: u32) {
        let has_room = depth < DEEPEST && text.len() <= MAX_LINE;
        if let Some(value) = self.strings.get(name).filter(|_| has_room) {
            self.expand(value, text, depth + 1);
        }
    }
}

/// The name after an escape, `x`, `(xx` or `[any]`, and what follows it.
fn name(text: &str) -> (&str, &str) {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.split_once(']').unwrap_or((inner, ""));
    }
    let (inner, length) = match text.strip_prefix('(') {
        Some(inner) => (inner, 2),
        None => (text, 1),
    };
    let end = inner
        .char_indices()
        .nth(length)
        .map_or(inner.len(), |(at, _)| at);
    inner.split_at(end)
}

/// What is between two equal characters, and what follows them.
fn quoted(text: &str) -> (&str, &str) {
    let mut characters = text.chars();
    match characters.next() {
        Some(quote) => characters
            .as_str()
            .split_once(quote)
            .unwrap_or(("", characters.as_str())),
        None => ("", ""),
    }
}

/// What follows a size, such as `-1`, `+2`, `10` or `(12`.
fn after_size(text: &str) -> &str {
    let unsigned = text.trim_start_matches(['+', '-']);
    if let Some(rest) = unsigned.strip_prefix('(') {
        return rest.get(2..).unwrap_or("");
    }
    if unsigned.starts_with('[') {
        return name(unsigned).1;
    }
    if unsigned.starts_with('\'') {
        return quoted(unsigned).1;
    }
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    // Without a sign, 10 to 39 are one size; else each is a digit.
    let length = match unsigned.as_bytes() {
        [b'1'..=b'3', ..] if digits > 1 && unsigned.len() == text.len() => 2,
        _ => digits.min(1),
    };
    &unsigned[length..]
}
