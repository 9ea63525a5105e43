//! Conditions (`.if`, `.ie`, `.el`) and their blocks.

use super::escapes::Strings;
use std::{borrow::Cow, collections::HashMap};

/// The blocks that are open.
#[derive(Debug, Default)]
pub struct Blocks {
    /// How many of those that are processed.
    open: usize,
    /// How deep in a block that is not.
    skipped: usize,
    /// Whether the last condition held, for its `.el`.
    pub last: bool,
}

/// What conditions are about.
pub struct Condition<'a> {
    strings: &'a Strings,
    macros: &'a HashMap<String, Vec<String>>,
}

// === impl Blocks ===

impl Blocks {
    /// Begins a block that is processed, or is not.
    pub fn begin(&mut self, is_processed: bool) {
        if is_processed {
            self.open += 1;
        } else {
            self.skipped = 1;
        }
    }

    /// What is to be processed of a line, without the ends of blocks.
    pub fn open_part<'a>(&mut self, line: &'a str) -> Option<Cow<'a, str>> {
        if self.skipped > 0 {
            self.skipped += line.matches("\\{").count();
            self.skipped = self.skipped.saturating_sub(line.matches("\\}").count());
            return None;
        }
        if self.open == 0 || !line.contains("\\}") {
            return Some(Cow::Borrowed(line));
        }
        let ends = line.matches("\\}").count();
        self.open = self.open.saturating_sub(ends);
        let line = line.replace("\\}", "");
        let is_empty = matches!(line.trim(), "." | "'" | "");
        (!is_empty).then_some(Cow::Owned(line))
    }
}

// === impl Condition ===

impl<'a> Condition<'a> {
    /// About these definitions.
    pub fn new(strings: &'a Strings, macros: &'a HashMap<String, Vec<String>>) -> Self {
        Condition { strings, macros }
    }

    /// Whether the condition at the beginning of a text holds, and what follows it.
    pub fn of<'t>(&self, text: &'t str) -> (bool, &'t str) {
        let inner = text.trim_start_matches(['!', ' ']);
        let is_negated = text[..text.len() - inner.len()].matches('!').count() % 2 == 1;
        let (holds, rest) = self.simple(inner);
        (holds != is_negated, rest)
    }

    fn simple<'t>(&self, text: &'t str) -> (bool, &'t str) {
        let mut characters = text.chars();
        match characters.next() {
            None => (false, ""),
            Some('n' | 'o') => (true, characters.as_str()),
            Some('t' | 'e' | 'v') => (false, characters.as_str()),
            Some(what @ ('d' | 'r' | 'c' | 'm' | 'F' | 'S')) => {
                let rest = characters.as_str().trim_start();
                let end = rest.find([' ', '\t']).unwrap_or(rest.len());
                let (name, rest) = rest.split_at(end);
                let is_defined = self.macros.contains_key(name) || self.strings.has(name);
                (what == 'd' && is_defined, rest)
            }
            Some(quote @ ('\'' | '"' | '`')) => {
                let mut parts = characters.as_str().splitn(3, quote);
                let first = parts.next().unwrap_or_default();
                let second = parts.next().unwrap_or_default();
                let rest = parts.next().unwrap_or_default();
                (
                    self.strings.expanded(first) == self.strings.expanded(second),
                    rest,
                )
            }
            Some(_) => self.number(text),
        }
    }

    /// A number, or a comparison of two. What is more than that does not hold.
    fn number<'t>(&self, text: &'t str) -> (bool, &'t str) {
        let end = end_of_expression(text);
        let (expression, rest) = text.split_at(end);
        let expression = self.strings.expanded(expression);
        let expression = expression.trim_matches(['(', ')']);
        for (operator, holds) in [
            (">=", i64::ge as fn(&i64, &i64) -> bool),
            ("<=", i64::le),
            ("==", i64::eq),
            ("=", i64::eq),
            (">", i64::gt),
            ("<", i64::lt),
        ] {
            if let Some((left, right)) = expression.split_once(operator) {
                return (holds(&number(left), &number(right)), rest);
            }
        }
        (number(expression) > 0, rest)
    }
}

/// Where an expression ends: at a space or a block that is not in parentheses.
fn end_of_expression(text: &str) -> usize {
    let mut depth = 0;
    let mut escaped_name = 0;
    for (at, character) in text.char_indices() {
        match character {
            // The name of a register, such as `\n(.g`.
            '(' if text[..at].ends_with("\\n") => escaped_name = at + 3,
            '(' => depth += 1,
            ')' if at >= escaped_name => depth -= 1,
            ' ' | '\t' if depth <= 0 => return at,
            '\\' if text[at..].starts_with("\\{") => return at,
            _ => {}
        }
    }
    text.len()
}

fn number(text: &str) -> i64 {
    let text = text.trim_matches(['(', ')', ' ']);
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '-');
    text[..end.unwrap_or(text.len())].parse().unwrap_or(0)
}
