//! The parts that all responses share: usage, stop reason, refusal.

use crate::{
    claude::answer::{StopDetails, Usage},
    proto::v1,
};
use prost_types::Timestamp;

/// The usage of a response; missing counts are 0.
pub fn usage(usage: &Usage) -> v1::Usage {
    let figure = |value: Option<u64>| saturating(value.unwrap_or(0));
    let creation = usage.cache_creation.as_ref();
    let details = usage.output_tokens_details.as_ref();
    let tools = usage.server_tool_use.as_ref();
    v1::Usage {
        input_tokens: figure(usage.input_tokens),
        output_tokens: figure(usage.output_tokens),
        cache_creation_input_tokens: figure(usage.cache_creation_input_tokens),
        cache_read_input_tokens: figure(usage.cache_read_input_tokens),
        cache_creation_5m_input_tokens: figure(creation.map(|c| c.ephemeral_5m_input_tokens)),
        cache_creation_1h_input_tokens: figure(creation.map(|c| c.ephemeral_1h_input_tokens)),
        thinking_tokens: figure(details.map(|d| d.thinking_tokens)),
        total_input_tokens: saturating(usage.total_input_tokens()),
        service_tier: usage.service_tier.clone().unwrap_or_default(),
        web_search_requests: figure(tools.map(|it| it.web_search_requests)),
        web_fetch_requests: figure(tools.map(|it| it.web_fetch_requests)),
        inference_geo: usage.inference_geo.clone().unwrap_or_default(),
        speed: usage.speed.clone().unwrap_or_default(),
        saved_input_tokens: 0,
        saved_output_tokens: 0,
    }
}

/// The stop reason; an unknown one becomes `Unspecified`, with its text in a
/// field next to it.
pub fn stop_reason(text: &str) -> v1::StopReason {
    match text {
        "end_turn" => v1::StopReason::EndTurn,
        "max_tokens" => v1::StopReason::MaxTokens,
        "stop_sequence" => v1::StopReason::StopSequence,
        "tool_use" => v1::StopReason::ToolUse,
        "pause_turn" => v1::StopReason::PauseTurn,
        "refusal" => v1::StopReason::Refusal,
        "model_context_window_exceeded" => v1::StopReason::ModelContextWindowExceeded,
        _ => v1::StopReason::Unspecified,
    }
}

/// The details of a refusal, if the model refused.
pub fn refusal(details: Option<StopDetails>) -> Option<v1::Refusal> {
    let details = details.filter(|details| details.kind == "refusal")?;
    Some(v1::Refusal {
        category: details.category.unwrap_or_default(),
        explanation: details.explanation.unwrap_or_default(),
    })
}

/// Adds the usage of a later call, of which only the names are kept.
pub fn add_usage(total: &mut v1::Usage, more: v1::Usage) {
    let add = |count: &mut i64, more: i64| *count = count.saturating_add(more);
    add(&mut total.input_tokens, more.input_tokens);
    add(&mut total.output_tokens, more.output_tokens);
    add(
        &mut total.cache_creation_input_tokens,
        more.cache_creation_input_tokens,
    );
    add(
        &mut total.cache_read_input_tokens,
        more.cache_read_input_tokens,
    );
    add(
        &mut total.cache_creation_5m_input_tokens,
        more.cache_creation_5m_input_tokens,
    );
    add(
        &mut total.cache_creation_1h_input_tokens,
        more.cache_creation_1h_input_tokens,
    );
    add(&mut total.thinking_tokens, more.thinking_tokens);
    add(&mut total.total_input_tokens, more.total_input_tokens);
    add(&mut total.web_search_requests, more.web_search_requests);
    add(&mut total.web_fetch_requests, more.web_fetch_requests);
    total.service_tier = more.service_tier;
    total.inference_geo = more.inference_geo;
    total.speed = more.speed;
}

/// The proto fields are signed, for languages without unsigned integers.
pub fn saturating(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A time of the API; one that is not valid is not set.
pub fn time(rfc3339: Option<String>) -> Option<Timestamp> {
    rfc3339?.parse().ok()
}
