//! JSON in requests: schemas and tool inputs.

use crate::{
    claude::raw::RawObject,
    status::{Path, Violations},
};
use serde_json::{Map, Value};

/// Maximum length of a schema location in an error, in bytes.
const MAX_POINTER: usize = 100;

/// A JSON Schema: as written, and its fields as far as the checks need them.
pub struct CheckedSchema {
    /// What is sent.
    pub object: RawObject,
    /// What is checked. Numbers are only as exact as 64 bits.
    pub fields: Map<String, Value>,
}

/// Parses one JSON object and keeps it as written.
pub fn raw_object(text: String, path: Path<'_>, wrong: &mut Violations) -> Option<RawObject> {
    RawObject::new(text)
        .map_err(|error| wrong.add(path, error.to_string()))
        .ok()
}

/// Whether a location in a schema is short enough for an error.
fn is_short(pointer: &str) -> bool {
    pointer.len() <= MAX_POINTER && pointer.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Parses one JSON Schema (draft 2020-12) and keeps it as written.
pub fn schema(text: String, path: Path<'_>, wrong: &mut Violations) -> Option<CheckedSchema> {
    let object = raw_object(text, path, wrong)?;
    let Ok(fields) = object.fields() else {
        wrong.add(path, "is nested too deeply");
        return None;
    };
    let schema = Value::Object(fields);
    if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
        let place = match error.instance_path().as_str() {
            "" => "at the top level".to_owned(),
            pointer if is_short(pointer) => format!("at {pointer}"),
            _ => "in a nested schema".to_owned(),
        };
        wrong.add(path, format!("is not a valid JSON Schema: error {place}"));
        return None;
    }
    match schema {
        Value::Object(fields) => Some(CheckedSchema { object, fields }),
        _ => None,
    }
}
