//! Asking for an answer, whole or in events.

use crate::support::{Grpc, soon, streamed};
use claude_grpc::proto::v1::{self, content_block::Block, generate_stream_response::Event};
use std::collections::BTreeMap;
use tokio_stream::StreamExt;

pub async fn generate(grpc: &mut Grpc, request: v1::GenerateRequest) -> v1::GenerateResponse {
    soon(grpc.generate(request)).await.unwrap().into_inner()
}

/// An answer put together from its events, as a caller does it.
pub async fn gathered(grpc: &mut Grpc, request: v1::GenerateRequest) -> v1::GenerateResponse {
    let call = grpc.generate_stream(streamed(request));
    let mut events = soon(call).await.unwrap().into_inner();
    let mut response = v1::GenerateResponse::default();
    let mut open: BTreeMap<i32, Block> = BTreeMap::new();
    let mut finished = false;
    while let Some(event) = soon(events.next()).await {
        assert!(!finished, "something comes after the end");
        match event.unwrap().event.unwrap() {
            Event::Started(started) => {
                response.id = started.id;
                response.model = started.model;
                response.request_id = started.request_id;
                response.host = started.host;
            }
            Event::BlockStarted(started) => {
                assert_eq!(started.index as usize, response.content.len());
                open.insert(started.index, started.block.unwrap().block.unwrap());
            }
            Event::TextDelta(delta) => match open.get_mut(&delta.index) {
                Some(Block::Text(block)) => block.text.push_str(&delta.text),
                other => panic!("text for {other:?}"),
            },
            Event::ThinkingDelta(delta) => match open.get_mut(&delta.index) {
                Some(Block::Thinking(block)) => block.thinking.push_str(&delta.thinking),
                other => panic!("thinking for {other:?}"),
            },
            Event::ToolInputDelta(delta) => match open.get_mut(&delta.index) {
                Some(Block::ToolUse(block)) => block.input_json.push_str(&delta.partial_json),
                other => panic!("tool input for {other:?}"),
            },
            Event::CitationDelta(delta) => match open.get_mut(&delta.index) {
                Some(Block::Text(block)) => block.citations_json.push(delta.citation_json),
                other => panic!("a citation for {other:?}"),
            },
            Event::OtherEvent(event) => response.other_events.push(event),
            Event::OtherDelta(delta) => response.other_deltas.push(delta),
            Event::BlockFinished(end) => {
                let mut block = open.remove(&end.index).expect("it never began");
                if let Block::Thinking(block) = &mut block {
                    block.signature = end.signature;
                }
                response.content.push(v1::ContentBlock {
                    block: Some(block),
                    ..v1::ContentBlock::default()
                });
            }
            Event::Finished(end) => {
                finished = true;
                response.stop_reason = end.stop_reason;
                response.stop_reason_text = end.stop_reason_text;
                response.stop_sequence = end.stop_sequence;
                response.refusal = end.refusal;
                response.usage = end.usage;
            }
        }
    }
    assert!(finished && open.is_empty());
    response
}
