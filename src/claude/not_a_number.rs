//! Repairs JSON that has NaN or an infinity for a number, as encoders of other
//! languages write it unless asked not to.

/// The names of fields whose values are passed on as they were written.
const CONTENT: [&str; 3] = ["content", "content_block", "delta"];

/// What is written for such numbers, the longest first.
const NAMES: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The same JSON with `null` for these numbers. `None` when there are none, or
/// when one is in the content, which must not change.
pub fn repaired(json: &str) -> Option<String> {
    let mut repaired = String::with_capacity(json.len());
    let mut rest = json;
    let mut depth = 0;
    let mut in_content = false;
    let mut is_changed = false;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '"' => {
                length = string_length(rest);
                if depth == 1 && rest[length..].trim_start().starts_with(':') {
                    in_content = CONTENT.contains(&rest[..length].trim_matches('"'));
                }
            }
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {
                if let Some(name) = NAMES.into_iter().find(|name| rest.starts_with(name)) {
                    if in_content {
                        return None;
                    }
                    repaired.push_str("null");
                    is_changed = true;
                    rest = &rest[name.len()..];
                    continue;
                }
            }
        }
        repaired.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    is_changed.then_some(repaired)
}

/// The length of the string at the beginning, with its quotes.
fn string_length(json: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_outside_of_content_are_repaired() {
        let cases = [
            (
                r#"{"usage":{"n":NaN,"m":[-Infinity,Infinity]}}"#,
                Some(r#"{"usage":{"n":null,"m":[null,null]}}"#),
            ),
            (
                r#"{"a":"NaN \" NaN","content":[{"text":"é: NaN"}],"usage":NaN}"#,
                Some(r#"{"a":"NaN \" NaN","content":[{"text":"é: NaN"}],"usage":null}"#),
            ),
            (
                r#"{"usage":{"content":NaN}}"#,
                Some(r#"{"usage":{"content":null}}"#),
            ),
            (r#"{"content":[{"input":{"n":NaN}}]}"#, None),
            (r#"{"usage":1,"delta" : {"n":NaN}}"#, None),
            (r#"{"usage":1"#, None),
            (r#"{"usage":"NaN"#, None),
        ];
        for (json, expected) in cases {
            assert_eq!(repaired(json).as_deref(), expected, "{json}");
        }
    }
}
