//! JSON that callers write: schemas and tool inputs.

use crate::{
    claude::{raw::RawObject, request::JsonObject},
    status::{Path, Violations},
};
use serde_json::Value;

/// Longest place in a schema that is told, in bytes.
const MAX_POINTER: usize = 100;

/// Takes over one JSON object as it is written.
pub fn raw_object(text: String, path: Path<'_>, wrong: &mut Violations) -> Option<RawObject> {
    RawObject::new(text)
        .map_err(|error| wrong.add(path, error.to_string()))
        .ok()
}

/// Whether a place in a schema is short enough to be told.
fn is_short(pointer: &str) -> bool {
    pointer.len() <= MAX_POINTER && pointer.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads one JSON Schema (draft 2020-12), its keys in the order given.
pub fn schema(text: String, path: Path<'_>, wrong: &mut Violations) -> Option<JsonObject> {
    let object = raw_object(text, path, wrong)?;
    let Ok(fields) = object.fields() else {
        wrong.add(
            path,
            "is nested too deeply, or contains a number that is too large",
        );
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
        Value::Object(object) => Some(object),
        _ => None,
    }
}
