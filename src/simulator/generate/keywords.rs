//! Reading and joining the keywords of a JSON schema.

use serde_json::{Map, Value};

/// The text of a keyword; empty when there is none.
pub(super) fn text_of<'a>(schema: &'a Map<String, Value>, keyword: &str) -> &'a str {
    schema
        .get(keyword)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// [`kind`] of any value.
pub(super) fn kind_of(schema: &Value) -> &str {
    schema.as_object().map_or("", kind)
}

/// The type of a schema: the first that is not null when there are several,
/// and what its keywords speak of when there is none.
pub(super) fn kind(schema: &Map<String, Value>) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.contains_key("properties") || schema.contains_key("required") => "object",
        _ if schema.contains_key("items") || schema.contains_key("minItems") => "array",
        _ if schema.contains_key("minimum") || schema.contains_key("maximum") => "number",
        _ => "string",
    }
}

/// The schema with one of its alternatives in their place.
pub(super) fn merged(
    schema: &Map<String, Value>,
    keyword: &str,
    branch: &Value,
) -> Map<String, Value> {
    let mut merged = schema.clone();
    merged.remove(keyword);
    if let Some(branch) = branch.as_object() {
        merge(&mut merged, branch);
    }
    merged
}

/// Takes over the keywords of another schema.
pub(super) fn merge(schema: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (keyword, value) in other {
        match (schema.get_mut(keyword), value) {
            (Some(Value::Object(mine)), Value::Object(theirs)) => {
                mine.extend(theirs.iter().map(|(name, it)| (name.clone(), it.clone())));
            }
            (Some(Value::Array(mine)), Value::Array(theirs)) if keyword == "required" => {
                mine.extend(theirs.iter().cloned());
            }
            // Of two descriptions the outer one is nearer to the field.
            (Some(_), _) if keyword == "description" => {}
            _ => {
                schema.insert(keyword.clone(), value.clone());
            }
        }
    }
}

/// Whether a number is to say how sure the answer is.
pub(super) fn is_confidence(name: &str, description: &str) -> bool {
    let text = format!("{name} {description}").to_lowercase();
    [
        "confiden",
        "probab",
        "likelihood",
        "certain",
        "how sure",
        "score",
    ]
    .iter()
    .any(|word| text.contains(word))
}
