//! A text that matches a simple regular expression.

use std::{iter::Peekable, str::Chars};

/// Most repetitions that are written out.
const MAX_REPEAT: usize = 1000;

/// The shortest text that the expression describes, or `None` when it uses
/// more than literals, classes, groups, alternatives and counts.
pub(super) fn example(pattern: &str) -> Option<String> {
    let mut rest = pattern.chars().peekable();
    let text = alternatives(&mut rest)?;
    rest.next().is_none().then_some(text)
}

/// The first of several alternatives.
fn alternatives(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let first = sequence(rest)?;
    while rest.next_if_eq(&'|').is_some() {
        sequence(rest)?;
    }
    Some(first)
}

fn sequence(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    while let Some(c) = rest.next_if(|c| !matches!(c, '|' | ')')) {
        let piece = match c {
            '^' | '$' => continue,
            '(' => group(rest)?,
            '[' => class(rest)?.to_string(),
            '\\' => escaped(rest.next()?)?.to_string(),
            '.' => "a".to_owned(),
            '*' | '+' | '?' | '{' => return None,
            literal => literal.to_string(),
        };
        let (count, most) = repetitions(rest)?;
        let count = if count == 0 && most > 0 && text.is_empty() {
            1
        } else {
            count
        };
        text.push_str(&piece.repeat(count));
    }
    Some(text)
}

fn group(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    if rest.next_if_eq(&'?').is_some() && rest.next() != Some(':') {
        // Lookarounds and named groups.
        return None;
    }
    let text = alternatives(rest)?;
    (rest.next() == Some(')')).then_some(text)
}

/// Fewest and most repetitions of what stands before.
fn repetitions(rest: &mut Peekable<Chars<'_>>) -> Option<(usize, usize)> {
    let (least, most) = match rest.peek() {
        Some('*') => (0, MAX_REPEAT),
        Some('+') => (1, MAX_REPEAT),
        Some('?') => (0, 1),
        Some('{') => {
            rest.next();
            let mut inner = String::new();
            loop {
                match rest.next()? {
                    '}' => break,
                    c => inner.push(c),
                }
            }
            let (least, most) = inner.split_once(',').unwrap_or((&inner, &inner));
            let least = least.parse().ok().filter(|least| *least <= MAX_REPEAT)?;
            return Some((least, most.parse().unwrap_or(MAX_REPEAT)));
        }
        _ => return Some((1, 1)),
    };
    rest.next();
    rest.next_if_eq(&'?');
    Some((least, most))
}

/// A character of a class.
fn class(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges: Vec<(char, char)> = Vec::new();
    loop {
        let first = match rest.next()? {
            ']' if !ranges.is_empty() => break,
            '\\' => escaped(rest.next()?)?,
            c => c,
        };
        let mut ahead = rest.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                *rest = ahead;
                last
            }
            _ => first,
        };
        ranges.push((first, last));
    }
    if !negated {
        return ranges.first().map(|(first, _)| *first);
    }
    let excluded = |c: &char| {
        ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(c))
    };
    ('a'..='z').chain('0'..='9').find(|c| !excluded(c))
}

fn escaped(c: char) -> Option<char> {
    Some(match c {
        'd' => '0',
        'w' | 'D' | 'S' => 'a',
        's' | 'W' => ' ',
        'n' => '\n',
        't' => '\t',
        c if !c.is_alphanumeric() => c,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        ] {
            let text = example(pattern).unwrap();
            let schema = json!({"type": "string", "pattern": pattern});
            assert!(
                jsonschema::is_valid(&schema, &json!(text)),
                "{pattern}: {text}"
            );
        }
        for not_simple in ["(?=x)", "\\p{L}", "a**", "(", "[", "a{5000}"] {
            assert_eq!(example(not_simple), None, "{not_simple}");
        }
    }
}
