//! The answer to a valid request to `/v1/messages`.

mod advisor;
mod batched;
mod compaction;
mod compose;
mod deliver;
mod events;
mod fallback;
mod iterations;
mod mcp;
mod message;
mod server_tools;
mod tool_run;

pub(super) use batched::BatchedAnswer;
pub(super) use deliver::plain;

use super::{
    behaviour::Behaviour,
    body::AnswerBody,
    cache::CacheUsage,
    check::CheckedRequest,
    error::ApiError,
    exchange::{Exchange, ExchangeError},
    generate::Prompt,
    limits::RateLimitExceeded,
    state::SimulatorState,
    tokens,
};
use crate::claude::answer::{CacheCreation, OutputTokensDetails, Usage};
use compaction::Compaction;
use http::Response;
use message::{MessageBlock, SimulatedMessage};
use serde_json::json;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Answers a request that has been checked.
pub(super) async fn respond(
    exchange: &Exchange,
    checked: &CheckedRequest,
) -> Result<Response<AnswerBody>, ExchangeError> {
    let state = &exchange.state;
    let CheckedRequest { request, model, .. } = checked;
    let input = tokens::of_request(request);
    let (cached, writes) = state
        .cache
        .read(&exchange.key, request, model.limits.cache_minimum);
    let max_tokens = u64::from(request.max_tokens.unwrap_or(0));
    let reserved =
        state
            .limiter
            .reserve(&exchange.key, model.id(), input - cached.read, max_tokens);
    let (reservation, remaining) = match reserved {
        Ok(reserved) => reserved,
        Err(exceeded) => return Ok(refuse(exchange, &exceeded)),
    };
    let behaviour = exchange.behaviour.as_ref();
    let answer = write(
        state,
        &exchange.key,
        exchange.number,
        behaviour,
        checked,
        input,
        cached,
    );
    if let Some(turn) = &checked.thread {
        let kept = state.threads.keep(turn, &answer.id, answer.content());
        kept.map_err(ApiError::from)?;
    }
    let mut response =
        deliver::deliver(exchange, answer, request.stream, reservation, writes).await?;
    remaining.write(response.headers_mut());
    Ok(response)
}

fn refuse(exchange: &Exchange, exceeded: &RateLimitExceeded) -> Response<AnswerBody> {
    exchange.state.refused();
    let message = format!(
        "This request would exceed the rate limit of {} per minute.",
        exceeded.what
    );
    let error = ApiError::rate_limited(exceeded.retry_after, message);
    let host = exchange.state.config.host;
    let mut response = host.refuse(&error, &exchange.request_id);
    exceeded.remaining.write(response.headers_mut());
    response
}

fn write(
    state: &SimulatorState,
    key: &str,
    number: u64,
    behaviour: Option<&Behaviour>,
    checked: &CheckedRequest,
    input: u64,
    cached: CacheUsage,
) -> SimulatedMessage {
    let CheckedRequest {
        request,
        others,
        model,
        ..
    } = checked;
    let said = |name| Some(others.get(name)?.as_str()?.to_owned());
    let prompt = Prompt::read(request);
    // Not of the whole body: an answer is the same, streamed or not.
    let mut hasher = DefaultHasher::new();
    (model.id(), request.messages.len(), &prompt).hash(&mut hasher);
    let hash = hasher.finish();
    let (mut blocks, mut stop) = compose::compose(request, others, &prompt, behaviour, hash);
    let host = state.config.host;
    let fallback = fallback::model(others, host).filter(|_| behaviour == Some(&Behaviour::Refusal));
    if let Some(to) = fallback {
        blocks.push(fallback::block(&request.model, to, &stop));
        let (answer, end) = compose::compose(request, others, &prompt, None, hash);
        blocks.extend(answer);
        stop = end;
    }
    let compaction = Compaction::asked(others, input).filter(|_| behaviour.is_none());
    // What follows is told of the block instead of the conversation.
    let whole_input = input;
    let (input, cached) = match compaction {
        Some(compaction) => {
            compaction.apply(&mut blocks, &mut stop, &prompt, hash);
            (compaction.input_after(&blocks), CacheUsage::default())
        }
        None => (input, cached),
    };
    let thinking: u64 = blocks
        .iter()
        .filter(|it| it.is_thinking())
        .map(MessageBlock::tokens)
        .sum();
    let before = blocks
        .iter()
        .rposition(|it| it.is_compaction() || it.is_fallback());
    let written = blocks.iter().skip(before.map_or(0, |before| before + 1));
    let output: u64 = written.map(MessageBlock::tokens).sum();
    let runs_code = blocks.iter().any(|it| {
        it.as_whole()
            .is_some_and(|(kind, _)| kind.ends_with("code_execution_tool_result"))
    });
    let containers = &state.containers;
    let container = runs_code.then(|| containers.run(key, others.get("container"), number));
    SimulatedMessage {
        id: format!("msg_sim_{hash:016x}{number:08x}"),
        model: fallback.unwrap_or(model).id(),
        first_model: model.id(),
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
            inference_geo: said("inference_geo"),
            speed: said("speed"),
            server_tool_use: server_tools::usage(&blocks),
        },
        iterations: iterations::of(&blocks, request, whole_input, input),
        container,
        // The prompts of earlier answers are not kept.
        diagnostics: others
            .get("diagnostics")
            .filter(|it| it["previous_message_id"].is_string())
            .map(|_| json!({"cache_miss_reason": {"type": "unavailable"}})),
        // Nothing is removed.
        context_management: others
            .get("context_management")
            .filter(|it| !it.is_null())
            .map(|_| json!({"applied_edits": []})),
        blocks,
    }
}
