//! Every name that leaves the service: spans, attributes, metrics, labels.
//!
//! OpenTelemetry semantic conventions 1.44: RPC server, HTTP client, and GenAI
//! client. What they have no name for is ours, under `claude_grpc`. Prometheus
//! names follow from these by OpenTelemetry's rules: dots become underscores,
//! the unit and, for counters, `_total` come behind.

/// The conventions that the names follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// The instrumentation scope of all that is exported.
pub const SCOPE: &str = "claude-grpc";

// Values of attributes.

/// `rpc.system.name`.
pub const GRPC: &str = "grpc";
/// `gen_ai.provider.name`.
pub const ANTHROPIC: &str = "anthropic";
/// For a value outside of the bounded set, where the conventions name one.
pub const OTHER: &str = "_OTHER";
/// For a model or client outside of the bounded set.
pub const OTHER_LABEL: &str = "other";
/// The client of a call that came without an identity.
pub const ANONYMOUS: &str = "anonymous";

/// `rpc.method` of each RPC; its span has the same name.
pub const METHODS: [&str; 7] = [
    "claude.v1.ClaudeService/Generate",
    "claude.v1.ClaudeService/GenerateStream",
    "claude.v1.ClaudeService/Summarize",
    "claude.v1.ClaudeService/SummarizeStream",
    "claude.v1.ClaudeService/Classify",
    "claude.v1.ClaudeService/CountTokens",
    "claude.v1.ClaudeService/ListModels",
];

/// gRPC statuses by their numbers.
pub const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The statuses that are failures of the service or the API, and so count
/// against the service level.
pub const SERVICE_FAILURES: [&str; 5] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// `error.type` of attempts: the API's own types, then how an attempt can fail
/// without an answer of the API. The last one stands for all others.
pub const ERROR_TYPES: [&str; 18] = [
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
    "connect",
    "broken",
    "stalled",
    "malformed",
    "cancelled",
    "timeout",
    OTHER,
];

/// Names of events on spans.
pub mod event {
    /// An attempt waited for the API's limits.
    pub const WAIT_RATE_LIMIT: &str = "claude_grpc.wait.rate_limit";
    /// An attempt waited for a permit of the concurrency limit.
    pub const WAIT_PERMIT: &str = "claude_grpc.wait.permit";
    /// The first piece of the answer came.
    pub const FIRST_CHUNK: &str = "gen_ai.first_chunk";
}

/// Names of attributes, and so of labels.
pub mod attribute {
    /// `grpc`.
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    /// The full method, `claude.v1.ClaudeService/Generate`.
    pub const RPC_METHOD: &str = "rpc.method";
    /// The gRPC status by its name. The conventions after 1.44 call it
    /// `rpc.status_code`.
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    /// What kind of failure it was.
    pub const ERROR_TYPE: &str = "error.type";
    /// HTTP method of the attempt.
    pub const HTTP_METHOD: &str = "http.request.method";
    /// HTTP status of the attempt.
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// Which repetition the attempt is, from 1; absent on the first.
    pub const HTTP_RESEND_COUNT: &str = "http.request.resend_count";
    /// Path of the attempt.
    pub const URL_PATH: &str = "url.path";
    /// Host of the API.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// Port of the API.
    pub const SERVER_PORT: &str = "server.port";
    /// `chat`, or what else is asked.
    pub const OPERATION: &str = "gen_ai.operation.name";
    /// `anthropic`.
    pub const PROVIDER: &str = "gen_ai.provider.name";
    /// The model asked for.
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    /// Most output tokens.
    pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    /// Whether the answer is streamed.
    pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
    /// The API's id of the answer.
    pub const RESPONSE_ID: &str = "gen_ai.response.id";
    /// The model that answered.
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    /// Why the model stopped.
    pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    /// Seconds to the first piece of the answer.
    pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    /// All input tokens, those of the cache included.
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    /// Output tokens.
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    /// Input tokens read from the cache.
    pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
    /// Input tokens written to the cache.
    pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
    /// `input` or `output`; ours has `cache_read` and `cache_write` as well.
    pub const TOKEN_TYPE: &str = "gen_ai.token.type";
    /// The conversation sent. Only when asked for.
    pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
    /// The answer. Only when asked for.
    pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
    /// The system prompt. Only when asked for.
    pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
    /// Name of the calling client.
    pub const CLIENT: &str = "claude_grpc.client";
    /// Attempts made for the call.
    pub const ATTEMPTS: &str = "claude_grpc.attempts";
    /// Dollars that the call cost, by the configured prices.
    pub const COST: &str = "claude_grpc.cost";
    /// Gateway overhead before the first response byte, in seconds.
    pub const OVERHEAD_DURATION: &str = "claude_grpc.overhead.duration";
    /// Whether the call shared the answer of another one.
    pub const COALESCED: &str = "claude_grpc.coalesced";
    /// The API's id of the request.
    pub const UPSTREAM_REQUEST_ID: &str = "claude_grpc.upstream.request_id";
    /// Name of the API key.
    pub const KEY: &str = "claude_grpc.key";
    /// The `error.type` of the attempt before, for which this one is made.
    pub const RETRY_REASON: &str = "claude_grpc.retry.reason";
    /// Seconds waited before the attempt was repeated.
    pub const BACKOFF: &str = "claude_grpc.retry.backoff";
    /// Seconds waited for the API's limits.
    pub const WAIT_RATE_LIMIT: &str = "claude_grpc.wait.rate_limit";
    /// Seconds waited for a permit of the concurrency limit.
    pub const WAIT_PERMIT: &str = "claude_grpc.wait.permit";
    /// What was waited for: `rate_limit`, `permit` or `backoff`.
    pub const WAIT: &str = "claude_grpc.wait";
    /// Why a call failed, as its `ErrorInfo` says.
    pub const REASON: &str = "claude_grpc.reason";
    /// Which limit refused a call.
    pub const LIMIT: &str = "claude_grpc.limit";
    /// State of the circuit breaker.
    pub const STATE: &str = "claude_grpc.state";
    /// `requests`, `input_tokens` or `output_tokens`.
    pub const RESOURCE: &str = "claude_grpc.resource";
    /// `interactive` or `batch`.
    pub const PRIORITY: &str = "claude_grpc.priority";
    /// `traces`, `metrics`, `logs`, or `stderr` for log lines.
    pub const SIGNAL: &str = "claude_grpc.signal";
    /// How something ended.
    pub const OUTCOME: &str = "claude_grpc.outcome";
    /// Why a caller was not let in.
    pub const CAUSE: &str = "claude_grpc.cause";
    /// The reloaded component, such as the API keys or a certificate.
    pub const COMPONENT: &str = "claude_grpc.component";
    /// Version of the service.
    pub const VERSION: &str = "version";
}

/// What a metric measures, and how.
#[derive(Debug)]
pub struct Metric {
    /// OpenTelemetry name.
    pub name: &'static str,
    /// UCUM unit; annotations in braces.
    pub unit: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// How it is measured.
    pub kind: MetricKind,
}

/// How a metric is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only goes up.
    Counter,
    /// As of now.
    Gauge,
    /// How often each size came.
    Histogram,
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal in $unit:literal, $help:literal;)*) => {
        /// The metrics.
        pub mod metric {
            use super::{MetricKind, Metric};
            $(
                #[doc = $help]
                pub static $constant: Metric = Metric {
                    name: $name,
                    unit: $unit,
                    help: $help,
                    kind: MetricKind::$kind,
                };
            )*
            /// All of them.
            pub static ALL: &[&Metric] = &[$(&$constant),*];
        }
    };
}

metrics! {
    CALL_DURATION: Histogram "rpc.server.call.duration" in "s",
        "Time of calls, from the request to the end of the answer.";
    OVERHEAD_DURATION: Histogram "claude_grpc.call.overhead.duration" in "s",
        "Gateway overhead before the first response byte, excluding upstream time.";
    IN_FLIGHT: Gauge "claude_grpc.call.in_flight" in "{call}",
        "Calls under way.";
    FAILURES: Counter "claude_grpc.call.failures" in "{call}",
        "Calls that failed, by the reason that their callers are told.";
    REJECTIONS: Counter "claude_grpc.limit.rejections" in "{call}",
        "Calls that a limit refused.";
    FIRST_CHUNK: Histogram "gen_ai.client.operation.time_to_first_chunk" in "s",
        "Time from the request to the first piece of a streamed answer.";
    PER_CHUNK: Histogram "gen_ai.client.operation.time_per_output_chunk" in "s",
        "Time between the pieces of a streamed answer.";
    ATTEMPT_DURATION: Histogram "gen_ai.client.operation.duration" in "s",
        "Time of attempts at the Claude API, streams to their end.";
    TOKEN_USAGE: Histogram "gen_ai.client.token.usage" in "{token}",
        "Tokens of answered attempts.";
    RETRIES: Counter "claude_grpc.upstream.retries" in "{attempt}",
        "Attempts that were made because another one failed, by its error.";
    WAITED: Counter "claude_grpc.upstream.wait" in "s",
        "Time that attempts waited before they were made.";
    TOKENS: Counter "claude_grpc.tokens" in "{token}",
        "Tokens used, each counted under one type only.";
    COST: Counter "claude_grpc.cost" in "USD",
        "Dollars spent, by the configured prices.";
    UNPRICED: Counter "claude_grpc.tokens.unpriced" in "{token}",
        "Tokens of models without a configured price.";
    CONCURRENCY_IN_USE: Gauge "claude_grpc.upstream.concurrency.in_use" in "{permit}",
        "Permits of the concurrency limit in use.";
    CONCURRENCY_WAITING: Gauge "claude_grpc.upstream.concurrency.waiting" in "{attempt}",
        "Attempts waiting for a permit of the concurrency limit.";
    CONCURRENCY_LIMIT: Gauge "claude_grpc.upstream.concurrency.limit" in "{permit}",
        "Maximum number of concurrent attempts.";
    BREAKER: Gauge "claude_grpc.upstream.breaker" in "",
        "The circuit breaker: 1 for the state that it is in.";
    RATE_LIMIT_REMAINING: Gauge "claude_grpc.upstream.rate_limit.remaining" in "",
        "What is left of the API's limits, the least over the keys.";
    RATE_LIMIT: Gauge "claude_grpc.upstream.rate_limit.limit" in "",
        "The API's limits for a minute, of the key that has the least left.";
    QUEUED: Gauge "claude_grpc.upstream.queued" in "{attempt}",
        "Attempts that wait for the API's limits.";
    KEYS_REFUSED: Gauge "claude_grpc.upstream.keys.refused" in "{key}",
        "API keys that are set aside because the API refused them.";
    KEYS: Gauge "claude_grpc.upstream.keys" in "{key}",
        "API keys.";
    COALESCED: Counter "claude_grpc.upstream.coalesced" in "{call}",
        "Calls that shared the answer of another one.";
    REFUSALS: Counter "claude_grpc.access.refusals" in "{call}",
        "Callers that were not let in, by what was wrong.";
    STORE_FAILURES: Counter "claude_grpc.store.failures" in "{query}",
        "Failed queries to the store of shared limits.";
    STORE_DOWN: Gauge "claude_grpc.store.down" in "",
        "Whether the store of shared limits does not answer, so that they do not hold over all replicas; 0 without a store.";
    RELOADS: Counter "claude_grpc.reloads" in "{reload}",
        "Reloads of secrets and configuration.";
    EXPORTED: Counter "claude_grpc.export.items" in "{item}",
        "Spans, metric points, log records and log lines: sent, dropped because the queue was full, or failed.";
    BUILD: Gauge "claude_grpc.build.info" in "",
        "The version that runs; always 1.";
    READY: Gauge "claude_grpc.ready" in "",
        "Whether the service takes calls.";
    CPU: Counter "process.cpu.time" in "s",
        "CPU time of the process.";
    MEMORY: Gauge "process.memory.usage" in "By",
        "Resident memory of the process.";
    STARTED: Gauge "process.start_time" in "s",
        "When the process began, in seconds since 1970.";
}

/// The Prometheus name of a metric. A counter's samples have `_total` behind.
pub fn prometheus(metric: &Metric) -> String {
    let mut name = label(metric.name);
    let unit = match metric.unit {
        "s" => "_seconds",
        "By" => "_bytes",
        "USD" => "_usd",
        _ => "",
    };
    name.push_str(unit);
    name
}

/// The Prometheus name of an attribute.
pub fn label(attribute: &str) -> String {
    attribute.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn every_method_has_its_name() {
        let descriptors = prost_types::FileDescriptorSet::decode(crate::proto::DESCRIPTORS);
        let files = descriptors.unwrap().file;
        let mut methods: Vec<String> = files
            .iter()
            .flat_map(|file| &file.service)
            .flat_map(|service| &service.method)
            .map(|method| format!("{}/{}", crate::proto::SERVICE_NAME, method.name()))
            .collect();
        let mut named = METHODS.map(str::to_owned);
        methods.sort();
        named.sort();
        assert_eq!(methods, named);
    }

    #[test]
    fn prometheus_names_have_their_unit() {
        let name = prometheus(&metric::CALL_DURATION);
        assert_eq!(name, "rpc_server_call_duration_seconds");
        assert_eq!(prometheus(&metric::COST), "claude_grpc_cost_usd");
        assert_eq!(prometheus(&metric::TOKENS), "claude_grpc_tokens");
    }
}
