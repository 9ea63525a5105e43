//! Parses a `.env` file.

use zeroize::Zeroizing;

/// The value of a variable: the last line that sets it counts. A line is
/// `NAME=value`, with an optional `export` in front and optional quotes around
/// the value. `#` starts a comment at the beginning of a line, and after
/// whitespace following an unquoted value. There is no escaping and no
/// substitution: keys need neither.
pub fn value(text: &str, name: &str) -> Option<Zeroizing<String>> {
    let line = text.lines().rev().find_map(|line| assigned(line, name))?;
    Some(Zeroizing::new(line.to_owned()))
}

fn assigned<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let value = line.strip_prefix(name)?.trim_start().strip_prefix('=')?;
    Some(unquoted(value.trim()))
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote)
            && let Some((inside, _comment)) = rest.split_once(quote)
        {
            return inside;
        }
    }
    match value.split_once(" #") {
        Some((value, _comment)) => value.trim_end(),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_write_a_line_is_read() {
        let table = [
            ("KEY=one", "one"),
            ("export KEY=one", "one"),
            (" KEY = one ", "one"),
            ("KEY=\"one two\" # comment", "one two"),
            ("KEY='one # two'", "one # two"),
            ("KEY=one # comment", "one"),
            ("KEY=one#two", "one#two"),
            ("KEY=first\nOTHER=x\nKEY=second", "second"),
            ("KEY=one\r\nOTHER=x\r\n", "one"),
            ("KEY=a=b", "a=b"),
            ("KEY=", ""),
        ];
        for (text, expected) in table {
            assert_eq!(value(text, "KEY").unwrap().as_str(), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_and_longer_names_are_no_value() {
        for text in ["#KEY=one", "KEY_TWO=one", "MY_KEY=one", "KEY", ""] {
            assert!(value(text, "KEY").is_none(), "{text:?}");
        }
    }
}
