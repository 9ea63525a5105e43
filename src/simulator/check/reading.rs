//! Reading a body: its shape is held against the API's, and what the rest of the
//! simulator looks at becomes a request.

use super::{super::error::ApiError, betas::Betas, conformity};
use crate::claude::{
    extra::fields_of,
    representable::representable,
    request::{Content, InputBlock, MessagesRequest, SystemPrompt},
};
use serde_json::{Map, Value, value::RawValue};

/// Reads a body, which has the shape of this name.
///
/// # Errors
/// 400 that names what is unknown, missing or wrong.
pub(super) fn read(
    body: &[u8],
    shape: &str,
    betas: &Betas<'_>,
) -> Result<Map<String, Value>, ApiError> {
    let read = serde_json::from_slice::<Value>(body).or_else(|error| {
        let json = serde_json::from_slice::<&RawValue>(body).map_err(|_| error)?;
        serde_json::from_str(&representable(json.get()))
    });
    let value = read.map_err(|error| {
        ApiError::invalid(format!("The request body is not valid JSON: {error}"))
    })?;
    let Value::Object(fields) = value else {
        return Err(ApiError::invalid("The request body must be an object"));
    };
    conformity::hold(&fields, shape, betas).map_err(ApiError::invalid)?;
    Ok(fields)
}

/// What the service can say in types of its own, and the other fields of the body.
///
/// # Errors
/// 400 when a number is out of range.
pub(super) fn split(
    mut fields: Map<String, Value>,
) -> Result<(MessagesRequest, Map<String, Value>), ApiError> {
    let others = keep(&mut fields, REQUEST);
    adapt(&mut fields);
    let request = serde_json::from_value(Value::Object(fields))
        .map_err(|error| ApiError::invalid(error.to_string()))?;
    Ok((request, others))
}

/// Keeps the fields of these names and returns the others.
fn keep(object: &mut Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let (kept, others) = std::mem::take(object)
        .into_iter()
        .partition(|(name, _)| names.contains(&name.as_str()));
    *object = kept;
    others
}

/// Leaves out, at each place, what [`MessagesRequest`] has no field for.
fn adapt(request: &mut Map<String, Value>) {
    if let Some(Value::Array(messages)) = request.get_mut("messages") {
        // A system message of the beta API may set options only.
        messages.retain(|message| message.get("content").is_some());
        for message in messages.iter_mut().filter_map(Value::as_object_mut) {
            keep(message, &["role", "content"]);
            message.get_mut("content").map(adapt_content);
        }
    }
    request.get_mut("system").map(adapt_content);
    keep_in(request, "output_config", &["effort", "format"]);
    keep_in(request, "thinking", &["type", "budget_tokens", "display"]);
    let thinking = request.get_mut("thinking").and_then(Value::as_object_mut);
    if let Some(thinking) = thinking
        && thinking.get("display").and_then(Value::as_str) == Some("updates")
    {
        thinking.remove("display");
    }
}

fn keep_in(object: &mut Map<String, Value>, name: &str, names: &[&str]) {
    if let Some(Value::Object(inner)) = object.get_mut(name) {
        keep(inner, names);
    }
}

fn adapt_content(content: &mut Value) {
    for block in content.as_array_mut().into_iter().flatten() {
        let Value::Object(block) = block else {
            continue;
        };
        let kind = block.get("type").and_then(Value::as_str);
        let Some(names) = kind.and_then(fields_of) else {
            continue;
        };
        keep(block, names);
        keep_in(block, "source", SOURCE);
        if let Some(Value::Object(citations)) = block.get_mut("citations") {
            citations.entry("enabled").or_insert(Value::Bool(false));
        }
        block.get_mut("content").map(adapt_content);
        let source = block.get_mut("source").and_then(Value::as_object_mut);
        source
            .and_then(|it| it.get_mut("content"))
            .map(adapt_content);
    }
}

/// The fields that are read into [`MessagesRequest`]; what else the API has only changes
/// a word of the answer, or nothing.
const REQUEST: &[&str] = &[
    "model",
    "max_tokens",
    "system",
    "tools",
    "tool_choice",
    "messages",
    "stop_sequences",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
    "cache_control",
    "stream",
];

/// The fields of the sources of images and documents.
const SOURCE: &[&str] = &["type", "media_type", "data", "url", "file_id", "content"];

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
        let body = body.to_string();
        let error = read(body.as_bytes(), "Create", &Betas::default()).unwrap_err();
        let json: Value = serde_json::from_str(&error.json("req")).unwrap();
        json["error"]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_field_is_named() {
        let body = |field: &str, value: Value| {
            let mut body = json!({
                "model": "m",
                "max_tokens": 1,
                "messages": [{"role": "user", "content": "x"}],
            });
            body[field] = value;
            body
        };
        let user = |content: Value| body("messages", json!([{"role": "user", "content": content}]));
        for (wrong, said) in [
            (
                body("temperature", json!(1.0)),
                "temperature: Extra inputs are not permitted",
            ),
            (
                body("thread", json!({"type": "create"})),
                "thread: Extra inputs are not permitted",
            ),
            (
                json!({"model": "m", "max_tokens": 1}),
                "messages: Field required",
            ),
            (
                body("speed", json!("slow")),
                "speed: Input should be 'fast' or 'standard'",
            ),
            (
                body(
                    "container",
                    json!({"skills": [{"type": "own", "skill_id": "x"}]}),
                ),
                "container.skills.0.type: Input should be 'anthropic' or 'custom'",
            ),
            (
                user(json!(5)),
                "messages.0.content: Input should be a valid string or a valid list",
            ),
            (
                user(json!([{"type": "container_upload", "file_id": 1}])),
                "messages.0.content.0.container_upload.file_id: Input should be a valid string",
            ),
            (
                body(
                    "messages",
                    json!([{"role": "user", "content": "x", "name": "y"}]),
                ),
                "messages.0.name: Extra inputs are not permitted",
            ),
            (
                body("messages", json!([{"role": "robot", "content": "x"}])),
                "messages.0.role: Input should be 'assistant', 'system', 'user'",
            ),
            (
                body("tools", json!([{"type": "bash_20250124", "name": "sh"}])),
                "tools.0.bash_20250124.name: Input should be 'bash'",
            ),
            (
                body("tools", json!([{"name": "t"}])),
                "tools.0.input_schema: Field required",
            ),
        ] {
            assert_eq!(error(wrong), said);
        }
        for unreadable in [&b"{"[..], b"[]"] {
            assert!(read(unreadable, "Create", &Betas::default()).is_err());
        }
    }

    #[test]
    fn what_has_no_type_here_is_left_out() {
        let body = json!({
            "model": "m",
            "max_tokens": 1,
            "container": {"id": "c"},
            "messages": [
                {"role": "user", "content": [{
                    "type": "image",
                    "source": {"type": "url", "url": "https://example.com/a.png"},
                    "transformations": {},
                }]},
                {"role": "assistant", "content": [{
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "t",
                    "input": {},
                    "caller": {"type": "direct"},
                }]},
            ],
        });
        let body = read(body.to_string().as_bytes(), "Create", &Betas::default()).unwrap();
        let (request, others) = split(body).unwrap();
        assert_eq!(others["container"], json!({"id": "c"}));
        let blocks: Vec<_> = request
            .messages
            .iter()
            .map(|it| blocks(&it.content))
            .collect();
        assert!(matches!(
            blocks[..],
            [[InputBlock::Image { .. }], [InputBlock::ToolUse { .. }]]
        ));
    }
}
