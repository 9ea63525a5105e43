//! JSON that callers write: schemas and tool inputs.

use crate::{
    claude::request::JsonObject,
    service::violations::{Path, Violations},
};
use serde_json::Value;

/// Reads one JSON object, its keys in the order given.
pub fn object(text: &str, path: Path<'_>, wrong: &mut Violations) -> JsonObject {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => {
            wrong.add(path, "has to be a JSON object");
            JsonObject::new()
        }
        Err(error) => {
            wrong.add(
                path,
                format!(
                    "is not JSON: error at line {}, column {}",
                    error.line(),
                    error.column()
                ),
            );
            JsonObject::new()
        }
    }
}

/// Reads one JSON Schema (draft 2020-12).
pub fn schema(text: &str, path: Path<'_>, wrong: &mut Violations) -> JsonObject {
    let object = object(text, path, wrong);
    let schema = Value::Object(object);
    if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
        let place = match error.instance_path().as_str() {
            "" => "at its top".to_owned(),
            pointer => format!("at {pointer}"),
        };
        wrong.add(path, format!("is no JSON Schema: wrong {place}"));
    }
    match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}
