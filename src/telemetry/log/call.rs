//! The log line of a call.

use crate::{
    models::in_dollars,
    telemetry::{
        metrics, names,
        record::{CallData, CallEnd},
    },
};
use std::time::Duration;
use tracing::Level;

/// Statuses caused by the service or the API, logged as warnings.
const FAILURES: [&str; 4] = ["UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

macro_rules! line {
    ($level:expr, $call:ident, $state:ident, $end:ident) => {
        tracing::event!(
            target: "claude_grpc::call",
            $level,
            trace_id = %$call.trace,
            span_id = %$call.span,
            sampled = $call.sampled.then_some(true),
            client = &*$call.observer.metrics.clients.name($call.client(&$state)),
            peer = $state.refused.map(|(peer, _)| tracing::field::display(peer)),
            cause = $state.refused.map(|(_, cause)| cause),
            rpc = metrics::method($call.rpc),
            model = $state.model.as_deref(),
            host = $state.host.as_deref(),
            status = names::STATUSES[$end.status],
            reason = $end.reason.as_deref(),
            duration_ms = millis($end.took),
            overhead_ms = $state.overhead.map(millis),
            first_token_ms = $state.first_chunk.map(millis),
            input_tokens = some($state.tokens.all_input()),
            output_tokens = some($state.tokens.output),
            cache_read_tokens = some($state.tokens.cache_read),
            cache_write_tokens = some($state.tokens.cache_write()),
            cost_usd = some($state.cost).map(in_dollars),
            attempts = $state.attempts,
            coalesced = $state.joined.map(|_| true),
            cached = $state.found.then_some(true),
            "call"
        )
    };
}

/// Logs a call that ended.
pub fn call(call: &CallData, end: &CallEnd) {
    let state = call.state();
    if FAILURES.contains(&names::STATUSES[end.status]) {
        line!(Level::WARN, call, state, end);
    } else {
        line!(Level::INFO, call, state, end);
    }
}

/// Milliseconds with three decimal places.
fn millis(time: Duration) -> f64 {
    (time.as_micros() as f64) / 1000.0
}

fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}
