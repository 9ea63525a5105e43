//! The API's JSON, as far as the measured calls need it.

use claude_grpc::proto::v1;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tonic::Status;

const MODEL: &str = "claude-sonnet-5-5";

/// The body of a request.
#[derive(Serialize)]
struct Ask<'a> {
    model: &'a str,
    max_tokens: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a str>,
    messages: [Turn<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct Turn<'a> {
    role: &'a str,
    content: &'a str,
}

/// The body that asks for an answer to a conversation of one message.
pub fn generate(request: &v1::GenerateRequest, stream: bool) -> Result<Vec<u8>, Status> {
    let content = request.messages.first().map_or("", |it| &it.text);
    body(&Ask {
        model: MODEL,
        max_tokens: request.max_tokens.unwrap_or(4096),
        system: None,
        messages: [Turn {
            role: "user",
            content,
        }],
        output_config: None,
        stream,
    })
}

/// The body that asks for one of the labels and a confidence in each.
pub fn classify(request: &v1::ClassifyRequest) -> Result<Vec<u8>, Status> {
    let names: Vec<&str> = request.labels.iter().map(|it| it.name.as_str()).collect();
    let keys: Vec<String> = (1..=names.len()).map(|it| format!("label_{it}")).collect();
    let numbers: serde_json::Map<String, Value> = keys
        .iter()
        .map(|key| (key.clone(), json!({"type": "number"})))
        .collect();
    let schema = json!({
        "type": "object",
        "properties": {
            "label": {"type": "string", "enum": names},
            "confidences": {
                "type": "object",
                "properties": numbers,
                "required": keys,
                "additionalProperties": false,
            },
        },
        "required": ["label", "confidences"],
        "additionalProperties": false,
    });
    body(&Ask {
        model: MODEL,
        max_tokens: 1024,
        system: Some("Choose the label that fits the text best."),
        messages: [Turn {
            role: "user",
            content: &request.text,
        }],
        output_config: Some(json!({"format": {"type": "json_schema", "schema": schema}})),
        stream: false,
    })
}

fn body(ask: &Ask<'_>) -> Result<Vec<u8>, Status> {
    serde_json::to_vec(ask).map_err(|_| Status::internal("the request cannot be written"))
}

/// A whole answer, or the beginning of a streamed one.
#[derive(Deserialize)]
pub struct Message {
    pub id: String,
    pub model: String,
    pub content: Vec<Block>,
    pub stop_reason: Option<String>,
    pub stop_sequence: Option<String>,
    pub usage: Usage,
}

/// A text block.
#[derive(Deserialize)]
pub struct Block {
    pub text: String,
}

/// Tokens used.
#[derive(Deserialize)]
pub struct Usage {
    pub input_tokens: i64,
    pub output_tokens: i64,
    #[serde(default)]
    pub cache_creation_input_tokens: i64,
    #[serde(default)]
    pub cache_read_input_tokens: i64,
    #[serde(default)]
    pub cache_creation: CacheCreation,
    pub service_tier: Option<String>,
}

/// Cache writes by lifetime.
#[derive(Default, Deserialize)]
pub struct CacheCreation {
    pub ephemeral_5m_input_tokens: i64,
    pub ephemeral_1h_input_tokens: i64,
}

/// The text of an answer to [`classify`].
#[derive(Deserialize)]
struct Choice {
    label: String,
    confidences: std::collections::HashMap<String, f64>,
}

impl Message {
    /// Parses the body of an answer.
    pub fn parse(body: &[u8]) -> Result<Message, Status> {
        serde_json::from_slice(body).map_err(|_| invalid())
    }

    pub fn into_generated(self, request_id: String) -> v1::GenerateResponse {
        let stop_reason_text = self.stop_reason.unwrap_or_default();
        v1::GenerateResponse {
            id: self.id,
            model: self.model,
            content: self.content.into_iter().map(block).collect(),
            stop_reason: stop_reason(&stop_reason_text).into(),
            stop_reason_text,
            stop_sequence: self.stop_sequence.unwrap_or_default(),
            refusal: None,
            usage: Some(usage(self.usage)),
            request_id,
            ..v1::GenerateResponse::default()
        }
    }

    pub fn into_classified(
        self,
        request_id: String,
        labels: Vec<v1::Label>,
    ) -> Result<v1::ClassifyResponse, Status> {
        let text = self.content.first().map_or("", |it| &it.text);
        let choice: Choice = serde_json::from_str(text).map_err(|_| invalid())?;
        let confidences = labels.into_iter().enumerate().map(|(index, label)| {
            let given = choice.confidences.get(&format!("label_{}", index + 1));
            Ok(v1::LabelConfidence {
                label: label.name,
                confidence: *given.ok_or_else(invalid)?,
            })
        });
        Ok(v1::ClassifyResponse {
            confidences: confidences.collect::<Result<_, Status>>()?,
            labels: vec![choice.label],
            reason: String::new(),
            usage: Some(usage(self.usage)),
            model: self.model,
            request_id,
            model_calls: 1,
            ..v1::ClassifyResponse::default()
        })
    }
}

pub fn block(block: Block) -> v1::ContentBlock {
    v1::ContentBlock {
        block: Some(v1::content_block::Block::Text(v1::TextBlock {
            text: block.text,
            ..v1::TextBlock::default()
        })),
        ..v1::ContentBlock::default()
    }
}

pub fn stop_reason(text: &str) -> v1::StopReason {
    match text {
        "end_turn" => v1::StopReason::EndTurn,
        "max_tokens" => v1::StopReason::MaxTokens,
        _ => v1::StopReason::Unspecified,
    }
}

pub fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_creation_input_tokens: usage.cache_creation_input_tokens,
        cache_read_input_tokens: usage.cache_read_input_tokens,
        cache_creation_5m_input_tokens: usage.cache_creation.ephemeral_5m_input_tokens,
        cache_creation_1h_input_tokens: usage.cache_creation.ephemeral_1h_input_tokens,
        thinking_tokens: 0,
        total_input_tokens: usage.input_tokens
            + usage.cache_creation_input_tokens
            + usage.cache_read_input_tokens,
        service_tier: usage.service_tier.unwrap_or_default(),
        ..v1::Usage::default()
    }
}

pub fn invalid() -> Status {
    Status::internal("the answer cannot be read")
}
