//! The answer to a valid request to `/v1/messages`.

mod blocks;
mod deliver;

pub(super) use blocks::UNKNOWN_BLOCK;
pub(super) use deliver::plain;

use super::{
    body::AnswerBody,
    cache::Cached,
    catalogue::Model,
    error::ApiError,
    generate::Prompt,
    limits::Exceeded,
    routes::{Asking, Failure},
    tokens,
};
use crate::claude::{
    answer::{AnswerBlock, CacheCreation, OutputTokensDetails, Usage},
    event::Stop,
    request::MessagesRequest,
};
use http::Response;
use serde::{Serialize, Serializer};
use std::hash::{DefaultHasher, Hash, Hasher};

/// An answer before it is written.
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) model: &'static str,
    pub(super) blocks: Vec<Block>,
    pub(super) stop: Stop,
    pub(super) usage: Usage,
}

/// One block of an answer.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// As it stands on the wire.
    Wire(AnswerBlock),
    /// A text of the numbers below this one, which is not held in memory.
    Numbers(u64),
}

/// Answers a request that has been checked.
pub(super) async fn respond(
    asking: &Asking,
    request: MessagesRequest,
    model: &'static Model,
) -> Result<Response<AnswerBody>, Failure> {
    let state = &asking.state;
    let input = tokens::of_request(&request);
    let cached = state.cache.pass(&asking.key, &request);
    let max_tokens = u64::from(request.max_tokens.unwrap_or(0));
    let charged = state
        .limiter
        .charge(&asking.key, model.id, input - cached.read, max_tokens);
    let (charged, remaining) = match charged {
        Ok(charged) => charged,
        Err(exceeded) => return Ok(refuse(asking, &exceeded)),
    };
    let answer = write(asking, &request, model, input, cached);
    let mut response = deliver::deliver(asking, answer, request.stream, charged).await?;
    remaining.write(response.headers_mut());
    Ok(response)
}

fn refuse(asking: &Asking, exceeded: &Exceeded) -> Response<AnswerBody> {
    asking.state.refused();
    let message = format!(
        "This request would exceed the rate limit of {} per minute.",
        exceeded.what
    );
    let error = ApiError::rate_limited(exceeded.retry_after, message);
    let mut response = error.respond(&asking.request_id);
    exceeded.remaining.write(response.headers_mut());
    response
}

fn write(
    asking: &Asking,
    request: &MessagesRequest,
    model: &'static Model,
    input: u64,
    cached: Cached,
) -> Answer {
    let prompt = Prompt::read(request);
    // Not of the whole body: an answer is the same, streamed or not.
    let mut hasher = DefaultHasher::new();
    (model.id, request.messages.len(), &prompt).hash(&mut hasher);
    let hash = hasher.finish();
    let (blocks, stop) = blocks::compose(request, &prompt, asking.behaviour.as_ref(), hash);
    let thinking: u64 = blocks
        .iter()
        .filter(|it| it.is_thinking())
        .map(Block::tokens)
        .sum();
    let output: u64 = blocks.iter().map(Block::tokens).sum();
    Answer {
        id: format!("msg_sim_{hash:016x}{:08x}", asking.number),
        model: model.id,
        blocks,
        stop,
        usage: Usage {
            input_tokens: Some(input.saturating_sub(cached.read + cached.written())),
            output_tokens: Some(output),
            cache_creation_input_tokens: Some(cached.written()),
            cache_read_input_tokens: Some(cached.read),
            cache_creation: Some(CacheCreation {
                ephemeral_5m_input_tokens: cached.written_5m,
                ephemeral_1h_input_tokens: cached.written_1h,
            }),
            output_tokens_details: Some(OutputTokensDetails {
                thinking_tokens: thinking,
            }),
            service_tier: Some("standard".to_owned()),
        },
    }
}

impl Answer {
    /// Output tokens.
    pub(super) fn output_tokens(&self) -> u64 {
        self.usage.output_tokens.unwrap_or(0)
    }

    /// The whole answer as JSON.
    pub(super) fn json(&self) -> String {
        serde_json::to_string(&Wire {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: self.model,
            content: &self.blocks,
            stop: &self.stop,
            usage: &self.usage,
        })
        .expect("plain data always serializes")
    }

    /// The answer as a stream begins: without content and without an end.
    pub(super) fn json_at_start(&self) -> String {
        serde_json::to_string(&Wire {
            id: &self.id,
            kind: "message",
            role: "assistant",
            model: self.model,
            content: &[],
            stop: &Stop::default(),
            usage: &Usage {
                output_tokens: Some(1.min(self.output_tokens())),
                output_tokens_details: None,
                ..self.usage.clone()
            },
        })
        .expect("plain data always serializes")
    }
}

/// [`Answer`] on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: &'a [Block],
    #[serde(flatten)]
    stop: &'a Stop,
    usage: &'a Usage,
}

impl Block {
    pub(super) fn text(text: String) -> Self {
        Block::Wire(AnswerBlock::Text {
            text,
            citations: Vec::new(),
        })
    }

    /// Output tokens of the block.
    pub(super) fn tokens(&self) -> u64 {
        match self {
            Block::Numbers(count) => *count,
            Block::Wire(AnswerBlock::Text { text, .. }) => tokens::of_text(text),
            Block::Wire(AnswerBlock::Thinking { thinking, .. }) => tokens::of_text(thinking).max(1),
            Block::Wire(AnswerBlock::RedactedThinking { data }) => tokens::of_text(data),
            Block::Wire(AnswerBlock::ToolUse { name, input, .. }) => {
                tokens::of_text(name) + tokens::of_text(input.get())
            }
            Block::Wire(AnswerBlock::Other { .. }) => 1,
        }
    }

    fn is_thinking(&self) -> bool {
        matches!(
            self,
            Block::Wire(AnswerBlock::Thinking { .. } | AnswerBlock::RedactedThinking { .. })
        )
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Block::Wire(block) => block.serialize(serializer),
            Block::Numbers(count) => {
                let text = (0..*count).map(|number| format!("{number} ")).collect();
                AnswerBlock::Text {
                    text,
                    citations: Vec::new(),
                }
                .serialize(serializer)
            }
        }
    }
}
