//! Maps a complete response of the API.

use crate::{
    claude::{
        answer::{AnswerBlock, Message},
        extra::Extra,
        rest::{self, Rest},
        unplaced::OtherEvent,
    },
    proto::v1::{self, content_block::Block},
    service::answer::{refusal, stop_reason, time, usage},
    upstream::AnswerOrigin,
};
use serde_json::value::RawValue;

/// The response for a complete message. Texts are moved, not copied.
pub fn response(message: Message, origin: AnswerOrigin) -> v1::GenerateResponse {
    let rest = RestFields::of(message.rest);
    let deltas = message.unplaced.deltas.into_iter();
    let events = message.unplaced.events.into_iter();
    let stop_reason_text = message.stop_reason.unwrap_or_default();
    v1::GenerateResponse {
        id: message.id,
        model: message.model,
        content: message.content.into_iter().map(block).collect(),
        stop_reason: stop_reason(&stop_reason_text).into(),
        stop_reason_text,
        stop_sequence: message.stop_sequence.unwrap_or_default(),
        refusal: refusal(message.stop_details),
        usage: Some(usage(&message.usage)),
        host: origin.host.to_string(),
        request_id: origin.request_id.unwrap_or_default(),
        container: rest.container,
        diagnostics_json: rest.diagnostics_json,
        extra_json: rest.extra_json,
        other_deltas: deltas.map(|(index, it)| other_delta(index, it)).collect(),
        other_events: events.map(other_event).collect(),
        cached: false,
    }
}

/// A delta that is unknown here, of the block at an index.
pub fn other_delta(index: u32, delta: Box<RawValue>) -> v1::OtherDelta {
    v1::OtherDelta {
        index: position(index),
        delta_json: raw_text(delta),
    }
}

/// An event that is unknown here.
pub fn other_event(event: OtherEvent) -> v1::OtherEvent {
    v1::OtherEvent {
        r#type: event.kind,
        data: event.data,
    }
}

/// The position of the block at an index.
pub fn position(index: u32) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// The last fields of an answer.
#[derive(Debug, Default)]
pub struct RestFields {
    pub container: Option<v1::Container>,
    pub diagnostics_json: String,
    pub extra_json: String,
}

impl RestFields {
    pub fn of(rest: Option<Box<Rest>>) -> Self {
        let Some(mut rest) = rest else {
            return RestFields::default();
        };
        RestFields {
            container: rest.take_container().map(container),
            diagnostics_json: rest.take("diagnostics").map(raw_text).unwrap_or_default(),
            extra_json: rest.into_json(),
        }
    }
}

fn container(container: rest::Container) -> v1::Container {
    let skills = container.skills.into_iter();
    v1::Container {
        id: container.id,
        expire_time: time(container.expires_at),
        skills: skills
            .map(|skill| v1::ContainerSkill {
                r#type: skill.kind,
                skill_id: skill.skill_id,
                version: skill.version,
            })
            .collect(),
    }
}

/// One block of an answer.
pub fn block(block: AnswerBlock) -> v1::ContentBlock {
    let (block, extra) = match block {
        AnswerBlock::Text {
            text,
            citations,
            extra,
        } => {
            let block = v1::TextBlock {
                text,
                cache_control: None,
                citations_json: citations.into_iter().map(raw_text).collect(),
            };
            (Block::Text(block), extra)
        }
        AnswerBlock::Thinking {
            thinking,
            signature,
            extra,
        } => {
            let block = v1::ThinkingBlock {
                thinking,
                signature,
            };
            (Block::Thinking(block), extra)
        }
        AnswerBlock::RedactedThinking { data, extra } => {
            let block = v1::RedactedThinkingBlock { data };
            (Block::RedactedThinking(block), extra)
        }
        AnswerBlock::ToolUse {
            id,
            name,
            input,
            origin,
            extra,
        } => {
            let origin = origin.map(|origin| *origin).unwrap_or_default();
            let block = v1::ToolUseBlock {
                id,
                name,
                input_json: input.into_string(),
                cache_control: None,
                caller: origin.caller.map(|caller| v1::ToolCaller {
                    r#type: caller.kind,
                    tool_id: caller.tool_id.unwrap_or_default(),
                }),
                toolset_name: origin.toolset_name.unwrap_or_default(),
            };
            (Block::ToolUse(block), extra)
        }
        AnswerBlock::ContainerUpload { file_id, extra } => {
            let block = v1::ContainerUploadBlock {
                file_id,
                cache_control: None,
            };
            (Block::ContainerUpload(block), extra)
        }
        AnswerBlock::Other { kind, json } => {
            let block = v1::OtherBlock {
                r#type: kind,
                json: raw_text(json),
            };
            (Block::Other(block), Extra::default())
        }
    };
    v1::ContentBlock {
        block: Some(block),
        extra_json: extra.into_string(),
    }
}

/// JSON text as received.
pub fn raw_text(json: Box<RawValue>) -> String {
    Box::<str>::from(json).into_string()
}
