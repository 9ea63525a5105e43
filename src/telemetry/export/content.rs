//! Prompts and responses in the format of the GenAI conventions. Spans contain
//! them only if content is captured.

use crate::telemetry::record::AttemptData;
use serde_json::{Map, Value, json};

/// The texts of a request, as JSON.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RequestContent {
    /// The system prompt, or empty without one.
    pub system: String,
    /// The messages of the conversation.
    pub messages: String,
}

/// Extracts the texts of a JSON request.
pub fn of_request(body: &[u8]) -> RequestContent {
    let Ok(mut request) = serde_json::from_slice::<Map<String, Value>>(body) else {
        return RequestContent::default();
    };
    let system = request.remove("system").map(parts);
    let messages = match request.remove("messages") {
        Some(Value::Array(messages)) => messages,
        _ => Vec::new(),
    };
    let messages: Vec<Value> = messages
        .into_iter()
        .map(|mut message| {
            let role = message["role"].take();
            json!({ "role": role, "parts": parts(message["content"].take()) })
        })
        .collect();
    RequestContent {
        system: system.map_or_else(String::new, |it| it.to_string()),
        messages: Value::Array(messages).to_string(),
    }
}

/// Formats the text of a response.
pub fn of_answer(text: &str, attempt: &AttemptData) -> String {
    let reason = attempt
        .response
        .as_ref()
        .and_then(|it| it.finish_reason.as_deref());
    json!([{
        "role": "assistant",
        "parts": [{ "type": "text", "content": text }],
        "finish_reason": reason,
    }])
    .to_string()
}

/// Converts a string or blocks to parts. Blocks other than text show their type
/// only.
fn parts(content: Value) -> Value {
    match content {
        Value::String(text) => json!([{ "type": "text", "content": text }]),
        Value::Array(blocks) => blocks
            .into_iter()
            .map(|mut block| match block["type"].take() {
                Value::String(kind) if kind == "text" => {
                    json!({ "type": "text", "content": block["text"].take() })
                }
                kind => json!({ "type": kind }),
            })
            .collect(),
        _ => Value::Array(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_its_texts() {
        let body = br#"{"model":"m","system":"be brief","messages":[
            {"role":"user","content":"hello"},
            {"role":"user","content":[{"type":"text","text":"see"},{"type":"image","source":{}}]}
        ]}"#;
        let content = of_request(body);
        assert_eq!(content.system, r#"[{"type":"text","content":"be brief"}]"#);
        assert_eq!(
            content.messages,
            r#"[{"role":"user","parts":[{"type":"text","content":"hello"}]},{"role":"user","parts":[{"type":"text","content":"see"},{"type":"image"}]}]"#
        );
        assert_eq!(of_request(b"none"), RequestContent::default());
    }
}
