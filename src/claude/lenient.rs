//! Reads JSON of the API field by field, and asks for no more than is there.
//!
//! The API adds fields and changes those that nobody computes with; proxies in
//! front of it leave some out or write `null`. None of that may cost a caller
//! the text that was paid for. So a count or a name that is missing or has
//! another shape counts as absent, a number may be a string, a float or NaN, and a
//! field that comes twice has its last value. JSON that is passed on stays as
//! it was written: nothing here goes through a number type or a map.

use super::{json_string, not_a_number};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Fields of a typical object.
const FIELDS: usize = 8;

/// The fields of one JSON object.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads one object.
    ///
    /// # Errors
    /// When `json` is not one JSON object.
    pub fn read(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// Reads one object of a response, which may be repaired for it: a number that
    /// is none, outside of the content, is `null`.
    ///
    /// # Errors
    /// When `json` is not one JSON object.
    pub fn read_repaired(json: &'a str, repaired: &'a mut String) -> serde_json::Result<Self> {
        Object::read(json).or_else(|error| {
            *repaired = not_a_number::repaired(json).ok_or(error)?;
            Object::read(repaired)
        })
    }

    /// The value of a field; `None` if it is missing or `null`.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        let (_, value) = found?;
        (value.get() != "null").then_some(*value)
    }

    /// All fields, in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// A field that is an object.
    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        Object::read(self.get(name)?.get()).ok()
    }

    /// The items of a field that is a list.
    pub fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// A name or an id. A number or `true` counts as its JSON text.
    pub fn text(&self, name: &str) -> Option<String> {
        let json = self.get(name)?.get();
        match json.as_bytes().first()? {
            b'"' => json_string::decode(json),
            b'{' | b'[' => None,
            _ => Some(json.to_owned()),
        }
    }

    /// The `type`; empty if there is none.
    pub fn kind(&self) -> Cow<'a, str> {
        let json = self.get("type").map_or("", RawValue::get);
        let quoted = json.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        match quoted {
            Some(name) if !name.contains('\\') => Cow::Borrowed(name),
            _ => Cow::Owned(self.text("type").unwrap_or_default()),
        }
    }

    /// A number that counts something. Fractions are dropped, and what is
    /// larger than 64 bits counts as the largest number of 64 bits.
    pub fn count(&self, name: &str) -> Option<u64> {
        let digits = self.get(name)?.get().trim_matches('"').trim();
        if let Ok(count) = digits.parse() {
            return Some(count);
        }
        // `inf` and the like are numbers for Rust alone.
        let is_number = digits.starts_with(|first: char| first.is_ascii_digit());
        let count: f64 = digits.parse().ok().filter(|_| is_number)?;
        Some(count as u64)
    }

    /// Whether a field is `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() == "true")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::with_capacity(FIELDS);
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The name of a field. A half of a surrogate pair in it is replaced: the name
/// is then none that is asked for.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_bytes<E: Error>(self, name: &'de [u8]) -> Result<Name<'de>, E> {
                Ok(Name(match str::from_utf8(name) {
                    Ok(name) => Cow::Borrowed(name),
                    Err(_) => Cow::Owned(json_string::with_replacements(name)),
                }))
            }

            fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Name<'de>, E> {
                Ok(Name(json_string::with_replacements(name).into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A body as text: without a byte order mark, and with U+FFFD for bytes that
/// are not UTF-8, as the standard of event streams decodes them.
pub fn body_text(body: &[u8]) -> Cow<'_, str> {
    lossy(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body))
}

/// As `String::from_utf8_lossy`, which takes ten times as long for bytes that
/// are UTF-8.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_count_is_read_in_every_shape_that_means_one() {
        for (json, expected) in [
            ("7", Some(7)),
            ("\"7\"", Some(7)),
            ("7.9", Some(7)),
            ("7e2", Some(700)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", Some(u64::MAX)),
            ("1e400", Some(u64::MAX)),
            ("-1", None),
            ("-1.5", None),
            ("null", None),
            ("\"inf\"", None),
            ("\"\"", None),
            ("[7]", None),
            ("{}", None),
            ("true", None),
        ] {
            let object = format!(r#"{{"n":{json}}}"#);
            assert_eq!(
                Object::read(&object).unwrap().count("n"),
                expected,
                "{json}"
            );
        }
        assert_eq!(Object::read("{}").unwrap().count("n"), None);
    }

    #[test]
    fn a_name_may_be_a_number_and_the_last_of_two_counts() {
        let json = r#"{"a":1,"b":"x","a":2,"c":null,"d":{},"e":true,"\ud800":1,"\u0066":"f"}"#;
        let object = Object::read(json).unwrap();
        let texts = ["a", "b", "c", "d", "e", "f"].map(|name| object.text(name));
        let expected = [Some("2"), Some("x"), None, None, Some("true"), Some("f")];
        assert_eq!(texts, expected.map(|it| it.map(str::to_owned)));
        assert!(object.is_true("e") && !object.is_true("a"));
    }

    #[test]
    fn a_body_is_text_whatever_its_bytes_are() {
        assert_eq!(body_text(b"\xEF\xBB\xBF{}"), "{}");
        assert_eq!(body_text(b"a\xFFb"), "a\u{FFFD}b");
    }

    proptest! {
        /// Nothing else in an object changes what is read of a field.
        #[test]
        fn other_fields_do_not_matter(
            count in any::<u64>(),
            other in prop::sample::select(vec![
                "null", "1e999", "[[{}]]", r#""\udfff""#, "-0", r#"{"n":1,"n":2}"#,
            ]),
            name in "[a-mo-z]{0,3}",
        ) {
            let json = format!(r#" {{"{name}" : {other} , "n": {count}, "{name}":{other}}} "#);
            prop_assert_eq!(Object::read(&json).unwrap().count("n"), Some(count));
        }
    }
}
