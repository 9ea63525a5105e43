//! The API's server-sent events, as far as the measured calls need them.

use super::{
    api::{Block, Message, block, invalid, stop_reason, usage},
    client::Pieces,
};
use async_stream::try_stream;
use claude_grpc::proto::v1::{self, generate_stream_response::Event as Sent};
use futures::{Stream, StreamExt, TryStreamExt};
use serde::{Deserialize, de::DeserializeOwned};
use tonic::Status;

/// An event of a streamed answer.
pub enum Event {
    Start(Start),
    BlockStart(BlockStart),
    Delta(BlockDelta),
    BlockStop(BlockStop),
    End(End),
    Stop,
}

#[derive(Deserialize)]
pub struct Start {
    message: Message,
}

#[derive(Deserialize)]
pub struct BlockStart {
    index: i32,
    content_block: Block,
}

#[derive(Deserialize)]
pub struct BlockDelta {
    index: i32,
    delta: Block,
}

#[derive(Deserialize)]
pub struct BlockStop {
    index: i32,
}

#[derive(Deserialize)]
pub struct End {
    delta: Reason,
    usage: FinalUsage,
}

#[derive(Deserialize)]
struct Reason {
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

#[derive(Deserialize)]
struct FinalUsage {
    output_tokens: i64,
}

/// Cuts the pieces of a body into events.
pub fn events(mut pieces: Pieces) -> impl Stream<Item = Result<Event, Status>> + Send {
    try_stream! {
        let mut buffer: Vec<u8> = Vec::new();
        while let Some(piece) = pieces.try_next().await? {
            buffer.extend_from_slice(&piece);
            let mut read = 0;
            while let Some(length) = end_of_event(&buffer[read..]) {
                let event = event(&buffer[read..read + length])?;
                read += length;
                if let Some(event) = event {
                    yield event;
                }
            }
            buffer.drain(..read);
        }
    }
}

fn end_of_event(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|two| two == b"\n\n")?;
    Some(end + 2)
}

/// Parses one event; `None` for a ping.
fn event(text: &[u8]) -> Result<Option<Event>, Status> {
    let text = std::str::from_utf8(text).map_err(|_| invalid())?;
    let (name, data) = text.trim_end().split_once('\n').ok_or_else(invalid)?;
    let name = name.strip_prefix("event: ").ok_or_else(invalid)?;
    let data = data.strip_prefix("data: ").ok_or_else(invalid)?;
    Ok(Some(match name {
        "message_start" => Event::Start(parse(data)?),
        "content_block_start" => Event::BlockStart(parse(data)?),
        "content_block_delta" => Event::Delta(parse(data)?),
        "content_block_stop" => Event::BlockStop(parse(data)?),
        "message_delta" => Event::End(parse(data)?),
        "message_stop" => Event::Stop,
        _ => return Ok(None),
    }))
}

fn parse<T: DeserializeOwned>(data: &str) -> Result<T, Status> {
    serde_json::from_str(data).map_err(|_| invalid())
}

/// Turns each event into the caller's.
pub fn forward(
    events: impl Stream<Item = Result<Event, Status>> + Send,
    mut request_id: String,
) -> impl Stream<Item = Result<v1::GenerateStreamResponse, Status>> + Send {
    let mut used: Option<v1::Usage> = None;
    let mut end: Option<End> = None;
    events.filter_map(move |event| {
        let sent = event.map(|event| match event {
            Event::Start(Start { message }) => {
                let usage = usage(message.usage);
                used = Some(usage.clone());
                Some(Sent::Started(v1::Started {
                    id: message.id,
                    model: message.model,
                    usage: Some(usage),
                    request_id: std::mem::take(&mut request_id),
                    host: String::new(),
                }))
            }
            Event::BlockStart(start) => Some(Sent::BlockStarted(v1::BlockStarted {
                index: start.index,
                block: Some(block(start.content_block)),
            })),
            Event::Delta(more) => Some(Sent::TextDelta(v1::TextDelta {
                index: more.index,
                text: more.delta.text,
            })),
            Event::BlockStop(stop) => Some(Sent::BlockFinished(v1::BlockFinished {
                index: stop.index,
                signature: String::new(),
                other: None,
            })),
            Event::End(how) => {
                end = Some(how);
                None
            }
            Event::Stop => finished(end.take(), used.take()).map(Sent::Finished),
        });
        let sent = sent.transpose();
        std::future::ready(
            sent.map(|it| it.map(|event| v1::GenerateStreamResponse { event: Some(event) })),
        )
    })
}

fn finished(end: Option<End>, used: Option<v1::Usage>) -> Option<v1::Finished> {
    let End { delta, usage } = end?;
    let stop_reason_text = delta.stop_reason.unwrap_or_default();
    Some(v1::Finished {
        stop_reason: stop_reason(&stop_reason_text).into(),
        stop_reason_text,
        stop_sequence: delta.stop_sequence.unwrap_or_default(),
        refusal: None,
        usage: used.map(|used| v1::Usage {
            output_tokens: usage.output_tokens,
            ..used
        }),
        ..v1::Finished::default()
    })
}
