//! Reading a body, with the field named when it cannot be read.

use super::super::error::ApiError;
use crate::claude::{
    raw::RawObject,
    representable::representable,
    request::{Content, InputBlock, MessagesRequest, SystemPrompt},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

/// Reads the body of a request to `/v1/messages`.
///
/// # Errors
/// 400 that names what is unknown, missing or wrong.
pub(super) fn read(body: &[u8]) -> Result<MessagesRequest, ApiError> {
    let read = serde_json::from_slice(body).or_else(|error| {
        let json = serde_json::from_slice::<&RawValue>(body).map_err(|_| error)?;
        serde_json::from_str(&representable(json.get()))
    });
    read.map_err(|error| {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return ApiError::invalid(format!("The request body is not valid JSON: {error}"));
        };
        let found = locate(value).unwrap_or_else(|| spoken(&error.to_string()));
        ApiError::invalid(found)
    })
}

/// Content is read as one of several forms, and of what fits none of them the
/// reader cannot say why. So it is taken apart here, once it has failed.
fn locate(body: Value) -> Option<String> {
    let Value::Object(mut body) = body else {
        return Some("The request body must be an object".to_owned());
    };
    if let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) {
        for (index, message) in messages.iter_mut().enumerate() {
            let content = message.get_mut("content");
            if let Some(problem) = content.and_then(content_problem) {
                return Some(format!("messages.{index}.content{problem}"));
            }
        }
    }
    if let Some(problem) = body.get_mut("system").and_then(content_problem) {
        return Some(format!("system{problem}"));
    }
    problem::<MessagesRequest>(Value::Object(body))
}

/// What is wrong with content; makes it readable when nothing is.
fn content_problem(content: &mut Value) -> Option<String> {
    match content {
        Value::String(_) => {}
        Value::Array(blocks) => {
            for (index, block) in blocks.iter().enumerate() {
                if let Some(problem) = problem::<InputBlock>(block.clone()) {
                    return Some(format!(".{index}: {problem}"));
                }
            }
        }
        _ => return Some(": Input should be a string or a list of blocks".to_owned()),
    }
    *content = Value::String("readable".to_owned());
    None
}

fn problem<T: DeserializeOwned>(value: Value) -> Option<String> {
    let error = serde_json::from_value::<T>(value).err()?;
    Some(spoken(&error.to_string()))
}

/// Says it as the API does.
fn spoken(error: &str) -> String {
    let quoted = || error.split('`').nth(1);
    match quoted() {
        Some(field) if error.starts_with("unknown field") => {
            format!("{field}: Extra inputs are not permitted")
        }
        Some(field) if error.starts_with("missing field") => format!("{field}: Field required"),
        _ => error.to_owned(),
    }
}

/// What is wrong with a block that the wire types do not know: its type, or
/// one of its fields.
pub(super) fn unreadable_block(block: &RawObject) -> String {
    let Ok(block) = block.fields() else {
        return "type: Field required".to_owned();
    };
    let Some(kind) = block.get("type").and_then(Value::as_str) else {
        return "type: Field required".to_owned();
    };
    let Some((_, required, optional)) = BLOCKS.iter().find(|(known, ..)| *known == kind) else {
        let known: Vec<_> = BLOCKS
            .iter()
            .map(|(known, ..)| format!("'{known}'"))
            .collect();
        return format!(
            "Input tag '{kind}' found using 'type' does not match any of the expected tags: {}",
            known.join(", ")
        );
    };
    let is_known = |name: &&String| {
        *name == "type" || required.contains(&name.as_str()) || optional.contains(&name.as_str())
    };
    if let Some(extra) = block.keys().find(|name| !is_known(name)) {
        return format!("{kind}.{extra}: Extra inputs are not permitted");
    }
    if let Some(missing) = required.iter().find(|name| !block.contains_key(**name)) {
        return format!("{kind}.{missing}: Field required");
    }
    format!("{kind}: a field is not of its type")
}

/// Type, required and optional fields of each block.
const BLOCKS: [(&str, &[&str], &[&str]); 8] = [
    ("text", &["text"], &["cache_control", "citations"]),
    ("image", &["source"], &["cache_control"]),
    (
        "document",
        &["source"],
        &["title", "context", "citations", "cache_control"],
    ),
    (
        "search_result",
        &["source", "title", "content"],
        &["citations", "cache_control"],
    ),
    ("tool_use", &["id", "name", "input"], &["cache_control"]),
    (
        "tool_result",
        &["tool_use_id"],
        &["content", "is_error", "cache_control"],
    ),
    ("thinking", &["thinking", "signature"], &[]),
    ("redacted_thinking", &["data"], &[]),
];

/// The blocks of content, if it is not a plain text.
pub(super) fn blocks(content: &Content) -> &[InputBlock] {
    match content {
        Content::Text(_) => &[],
        Content::Blocks(blocks) => blocks,
    }
}

/// The blocks of a system prompt, if it is not a plain text.
pub(super) fn system_blocks(system: &SystemPrompt) -> &[InputBlock] {
    match system {
        SystemPrompt::Text(_) => &[],
        SystemPrompt::Blocks(blocks) => blocks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(body: Value) -> String {
        let error = read(body.to_string().as_bytes()).unwrap_err();
        let json: Value = serde_json::from_str(&error.json("req")).unwrap();
        json["error"]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_field_is_named() {
        let body = |field: &str, value: Value| {
            let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
            body[field] = value;
            body
        };
        assert_eq!(
            error(body("temperature", json!(1.0))),
            "temperature: Extra inputs are not permitted"
        );
        assert_eq!(error(json!({"model": "m"})), "messages: Field required");
        assert_eq!(
            error(body("messages", json!([{"role": "user", "content": 5}]))),
            "messages.0.content: Input should be a string or a list of blocks"
        );
        assert_eq!(
            error(body(
                "messages",
                json!([{"role": "user", "content": "x", "name": "y"}])
            )),
            "name: Extra inputs are not permitted"
        );
        assert!(read(b"{").is_err());
        assert!(read(b"[]").is_err());
    }
}
