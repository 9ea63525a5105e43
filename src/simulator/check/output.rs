//! Schemas of structured output: the part of JSON Schema that the API accepts.

use super::super::error::{ApiError, require};
use crate::claude::request::OutputFormat;
use serde_json::{Map, Value};
use std::collections::HashSet;

const SUPPORTED: [&str; 22] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "oneOf",
    "$ref",
    "$defs",
    "definitions",
    "format",
    "pattern",
    "description",
    "title",
    "default",
    "examples",
    "$schema",
    "$id",
];

const FORMATS: [&str; 9] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
];

/// Maximum number of optional properties in the whole schema.
const MAX_OPTIONAL: usize = 24;

/// Checks the schema that a request sets for its answer.
///
/// # Errors
/// 400 that says where the schema has what is not supported.
pub(super) fn format(format: &OutputFormat) -> Result<(), ApiError> {
    let OutputFormat::JsonSchema { schema: object } = format;
    schema(
        &Value::Object(object.fields().unwrap_or_default()),
        "output_config.format.schema",
    )
}

/// Checks a schema for keywords and forms that the API does not support.
///
/// # Errors
/// 400 that says where the schema has what is not supported.
pub(super) fn schema(schema: &Value, path: &str) -> Result<(), ApiError> {
    let mut checking = Checking {
        root: schema,
        open_refs: Vec::new(),
        done_refs: HashSet::new(),
        optional: 0,
    };
    checking.check(schema, path)?;
    require(checking.optional <= MAX_OPTIONAL, || {
        format!("{path}: at most {MAX_OPTIONAL} optional properties are supported")
    })
}

struct Checking<'a> {
    root: &'a Value,
    /// References on the way from the root to here: one that comes twice is
    /// recursion.
    open_refs: Vec<&'a str>,
    /// References that have been followed, so that none is followed twice.
    done_refs: HashSet<&'a str>,
    optional: usize,
}

impl<'a> Checking<'a> {
    fn check(&mut self, schema: &'a Value, path: &str) -> Result<(), ApiError> {
        let Value::Object(schema) = schema else {
            return Err(ApiError::invalid(format!(
                "{path}: a schema must be an object"
            )));
        };
        if let Some(keyword) = schema.keys().find(|it| !SUPPORTED.contains(&it.as_str())) {
            let kind = schema.get("type").and_then(Value::as_str).unwrap_or("any");
            return Err(ApiError::invalid(format!(
                "{path}: For '{kind}' type, property '{keyword}' is not supported"
            )));
        }
        self.check_object(schema, path)?;
        self.check_values(schema, path)?;
        for keyword in ["anyOf", "allOf", "oneOf"] {
            let Some(branches) = schema.get(keyword).and_then(Value::as_array) else {
                continue;
            };
            for (index, branch) in branches.iter().enumerate() {
                self.check(branch, &format!("{path}.{keyword}.{index}"))?;
            }
        }
        if let Some(items) = schema.get("items") {
            self.check(items, &format!("{path}.items"))?;
        }
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.follow(reference, path),
            None => Ok(()),
        }
    }

    fn check_object(&mut self, schema: &'a Map<String, Value>, path: &str) -> Result<(), ApiError> {
        let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
        if !is_object && !schema.contains_key("properties") {
            return Ok(());
        }
        require(
            schema.get("additionalProperties") == Some(&Value::Bool(false)),
            || format!("{path}: For 'object' type, 'additionalProperties' must be set to false"),
        )?;
        let required = schema.get("required").and_then(Value::as_array);
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Ok(());
        };
        for (name, property) in properties {
            let is_required = required.is_some_and(|it| it.iter().any(|it| it == name.as_str()));
            self.optional += usize::from(!is_required);
            self.check(property, &format!("{path}.properties.{name}"))?;
        }
        Ok(())
    }

    fn check_values(&self, schema: &Map<String, Value>, path: &str) -> Result<(), ApiError> {
        if let Some(least) = schema.get("minItems") {
            require(matches!(least.as_u64(), Some(0 | 1)), || {
                format!(
                    "{path}: For 'array' type, 'minItems' values other than 0 or 1 are not supported"
                )
            })?;
        }
        if let Some(format) = schema.get("format") {
            let known = format
                .as_str()
                .is_some_and(|it| FORMATS.contains(&it) || it == "uuid");
            require(known, || {
                format!("{path}: string format {format} is not supported")
            })?;
        }
        if let Some(values) = schema.get("enum") {
            let values = values.as_array().filter(|values| !values.is_empty());
            let plain =
                values.is_some_and(|it| it.iter().all(|it| !it.is_object() && !it.is_array()));
            require(plain, || {
                format!("{path}.enum: must be a list of plain values")
            })?;
        }
        Ok(())
    }

    fn follow(&mut self, reference: &'a str, path: &str) -> Result<(), ApiError> {
        require(!self.open_refs.contains(&reference), || {
            format!("{path}: recursive schemas are not supported ({reference})")
        })?;
        if !self.done_refs.insert(reference) {
            return Ok(());
        }
        let target = reference
            .strip_prefix('#')
            .and_then(|it| self.root.pointer(it));
        let Some(target) = target else {
            return Err(ApiError::invalid(format!(
                "{path}: cannot resolve $ref {reference}"
            )));
        };
        self.open_refs.push(reference);
        self.check(target, reference)?;
        self.open_refs.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_api_does_not_support_is_refused() {
        let object = |property: Value| {
            json!({
                "type": "object",
                "properties": {"a": property},
                "required": ["a"],
                "additionalProperties": false,
                "$defs": {"loop": {"type": "array", "items": {"$ref": "#/$defs/loop"}}},
            })
        };
        for wrong in [
            json!({"type": "object"}),
            object(json!({"type": "integer", "minimum": 1})),
            object(json!({"type": "string", "maxLength": 1})),
            object(json!({"type": "array", "maxItems": 1})),
            object(json!({"type": "array", "minItems": 2})),
            object(json!({"type": "string", "format": "colour"})),
            object(json!({"$ref": "#/$defs/loop"})),
            object(json!({"$ref": "#/$defs/nobody"})),
            object(json!({"enum": []})),
            object(json!({"anyOf": [{"type": "object"}]})),
            object(json!(true)),
        ] {
            assert!(schema(&wrong, "schema").is_err(), "{wrong}");
        }
        let right = object(json!({"anyOf": [{"type": "string", "enum": ["x"]}, {"type": "null"}]}));
        assert_eq!(schema(&right, "schema"), Ok(()));
    }
}
