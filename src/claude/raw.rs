//! JSON that is passed on unchanged.

use super::representable::representable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, value::RawValue};
use std::borrow::Cow;
use thiserror::Error;

/// One JSON object as its author wrote it: numbers of any size and precision,
/// keys in their order, whitespace.
///
/// Only serialization preserves it: deserialization goes through
/// [`serde_json::Value`], since serde's tagged enums cannot keep raw JSON.
#[derive(Debug, Clone)]
pub struct RawObject(Box<RawValue>);

/// JSON text as the API sent it. The model writes it, and `max_tokens` may end
/// it anywhere: then it is not valid JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonText(String);

impl JsonText {
    /// `{}`: the input of a tool without arguments.
    pub fn empty_object() -> Self {
        JsonText("{}".to_owned())
    }

    /// The text.
    pub fn get(&self) -> &str {
        &self.0
    }

    /// The text, moved.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Appends a piece of a stream.
    pub fn push_str(&mut self, piece: &str) {
        self.0.push_str(piece);
    }
}

impl From<Box<RawValue>> for JsonText {
    fn from(json: Box<RawValue>) -> Self {
        JsonText(Box::<str>::from(json).into_string())
    }
}

/// As JSON; a text that was cut becomes a string.
impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(&self.0) {
            Ok(json) => json.serialize(serializer),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

/// A text is not one JSON object.
#[derive(Debug, Error)]
pub enum NotAnObject {
    /// The text is not valid JSON.
    #[error("is not valid JSON: error at line {}, column {}", .0.line(), .0.column())]
    NotJson(#[from] serde_json::Error),
    /// The text is JSON, but not an object.
    #[error("must be a JSON object")]
    OtherJson,
}

impl RawObject {
    /// Wraps a text, without surrounding whitespace.
    ///
    /// # Errors
    /// When it is not one JSON object.
    pub fn new(text: String) -> Result<Self, NotAnObject> {
        let raw = RawValue::from_string(text)?;
        if raw.get().starts_with('{') {
            Ok(RawObject(raw))
        } else {
            Err(NotAnObject::OtherJson)
        }
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The field `type`, if the object has exactly one and it is a string.
    pub fn kind(&self) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct Tag<'a> {
            #[serde(rename = "type", borrow)]
            kind: Cow<'a, str>,
        }
        let tag: Tag<'_> = serde_json::from_str(self.get()).ok()?;
        Some(tag.kind)
    }

    /// The object's fields, with numbers as far as 64 bits represent them.
    ///
    /// # Errors
    /// When it is nested too deeply to be parsed.
    pub fn fields(&self) -> serde_json::Result<Map<String, Value>> {
        serde_json::from_str(self.get())
            .or_else(|_| serde_json::from_str(&representable(self.get())))
    }
}

impl Default for RawObject {
    fn default() -> Self {
        RawObject::from(&Map::new())
    }
}

impl From<&Map<String, Value>> for RawObject {
    fn from(fields: &Map<String, Value>) -> Self {
        RawObject(serde_json::value::to_raw_value(fields).expect("JSON always serializes"))
    }
}

/// Compares the content, regardless of formatting.
impl PartialEq for RawObject {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
            || matches!((self.fields(), other.fields()), (Ok(one), Ok(two)) if one == two)
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(|fields| RawObject::from(&fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_stays_as_it_was_written() {
        let text = r#"{"z": 12345678901234567890123, "a": 1.0, "a": [1e400, -0]}"#;
        let object = RawObject::new(format!(" {text}\n")).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), text);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "[]", "\"{}\"", "null", "{", "{}{}", "{'a': 1}"] {
            assert!(RawObject::new(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_type_is_a_string_that_comes_once() {
        let kind = |text: &str| {
            let object = RawObject::new(text.to_owned()).unwrap();
            object.kind().map(Cow::into_owned)
        };
        assert_eq!(
            kind(r#"{"a":{"type":"x"},"type":"y"}"#).as_deref(),
            Some("y")
        );
        assert_eq!(kind(r#"{"type":"t\u0065xt"}"#).as_deref(), Some("text"));
        assert_eq!(kind(r#"{"type":"new","type":"text"}"#), None);
        assert_eq!(kind(r#"{"type":1}"#), None);
        assert_eq!(kind("{}"), None);
    }
}
