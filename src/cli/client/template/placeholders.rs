//! Placeholders in a text: `{{name}}`, also with spaces inside the braces.

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPart<'a> {
    /// Text as it is.
    Literal(&'a str),
    /// The name of a placeholder.
    Placeholder(&'a str),
}

/// Splits a text into its parts.
///
/// # Errors
/// The number of the line in which `{{` does not begin a placeholder.
pub fn parts(text: &str) -> Result<Vec<TextPart<'_>>, usize> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find("{{") {
        let line = text[..text.len() - rest.len() + begin]
            .matches('\n')
            .count()
            + 1;
        let (inside, after) = rest[begin + 2..].split_once("}}").ok_or(line)?;
        let name = inside.trim_matches(' ');
        if !is_name(name) {
            return Err(line);
        }
        parts.push(TextPart::Literal(&rest[..begin]));
        parts.push(TextPart::Placeholder(name));
        rest = after;
    }
    parts.push(TextPart::Literal(rest));
    Ok(parts)
}

/// Whether a placeholder can have this name: letters, digits, `-` and `_`.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::{TextPart::*, *};

    #[test]
    fn a_text_is_split_at_its_placeholders() {
        let expected = [
            Literal("In "),
            Placeholder("language"),
            Literal(":\n"),
            Placeholder("input"),
            Literal(" {x}"),
        ];
        let text = "In {{ language }}:\n{{input}} {x}";
        assert_eq!(parts(text), Ok(expected.to_vec()));
        assert_eq!(parts(""), Ok(vec![Literal("")]));
    }

    #[test]
    fn braces_that_are_not_placeholders_are_found_by_line() {
        for (text, line) in [
            ("{{", 1),
            ("{{}}", 1),
            ("a\n{{a}}\nb {{a b}}", 3),
            ("{{a\n}}", 1),
            ("{{{a}}}", 1),
        ] {
            assert_eq!(parts(text), Err(line), "{text:?}");
        }
    }
}
