//! JSON in which everything can be represented by [`serde_json::Value`].
//!
//! A number may be larger than any double, and an escape may be half of a
//! character: both are valid JSON (RFC 8259, sections 6 and 8.2), but
//! `serde_json` refuses to read them as values. What is only checked, and sent as
//! it was written, is therefore read from a copy without them.

use std::borrow::Cow;

/// The same JSON with the largest double for larger numbers, and U+FFFD for
/// halves of characters. `json` must be valid.
pub fn representable(json: &str) -> String {
    let mut copy = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => string_end(rest),
            '-' | '0'..='9' => rest.find(|c| !is_in_number(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        copy.push_str(&match first {
            '"' => string(token),
            '-' | '0'..='9' => number(token),
            _ => Cow::Borrowed(token),
        });
        rest = after;
    }
    copy
}

fn is_in_number(c: char) -> bool {
    matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')
}

/// Where the string at the beginning ends.
fn string_end(json: &str) -> usize {
    let mut is_escaped = false;
    let mut inside = json.bytes().enumerate().skip(1);
    let end = inside.find(|(_, byte)| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(json.len(), |(at, _)| at + 1)
}

fn number(token: &str) -> Cow<'_, str> {
    match token.parse::<f64>() {
        Ok(number) if number.is_infinite() => format!("{:e}", f64::MAX.copysign(number)).into(),
        _ => token.into(),
    }
}

fn string(token: &str) -> Cow<'_, str> {
    if serde_json::from_str::<Cow<'_, str>>(token).is_ok() {
        return token.into();
    }
    let text = super::json_string::decode(token).unwrap_or_default();
    let encoded = serde_json::to_string(&text).expect("a string always serializes");
    encoded.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn what_cannot_be_represented_is_replaced() {
        let json =
            r#"{"a" : [1e400,-1E+400, 1.0], "\ud800\"1e400": "\\\ud83d\ude00 1e999", "b":1e1}"#;
        let copy: Value = serde_json::from_str(&representable(json)).unwrap();
        let expected = json!({
            "a": [f64::MAX, f64::MIN, 1.0],
            "\u{FFFD}\"1e400": "\\😀 1e999",
            "b": 10.0,
        });
        assert_eq!(copy, expected);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_else_stays_as_it_is(json in any_json(), pretty in any::<bool>()) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&json).unwrap(),
                false => json.to_string(),
            };
            prop_assert_eq!(representable(&text), text);
        }
    }
}
