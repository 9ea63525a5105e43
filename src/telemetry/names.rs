//! Every name that leaves the service: spans, attributes, metrics, labels.
//!
//! OpenTelemetry semantic conventions 1.44: RPC server, HTTP client, and GenAI
//! client. Names that the conventions do not define are under `claude_grpc`.
//! Prometheus names are derived by OpenTelemetry's rules: dots become
//! underscores, followed by the unit and, for counters, `_total`.

/// The conventions that the names follow.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Name of the instrumentation scope of everything exported.
pub const SCOPE: &str = "claude-grpc";

// Values of attributes.

/// `rpc.system.name`.
pub const GRPC: &str = "grpc";
/// `gen_ai.provider.name`.
pub const ANTHROPIC: &str = "anthropic";
/// The value the conventions define for values outside a bounded set.
pub const OTHER: &str = "_OTHER";
/// The label of models and clients outside the bounded set.
pub const OTHER_LABEL: &str = "other";
/// The client of calls without an identity.
pub const ANONYMOUS: &str = "anonymous";

/// `rpc.method` of each RPC, and the name of its span.
pub const METHODS: [&str; 21] = [
    "claude.v1.BatchService/SubmitBatch",
    "claude.v1.BatchService/GetBatch",
    "claude.v1.BatchService/ListBatches",
    "claude.v1.BatchService/CancelBatch",
    "claude.v1.BatchService/DeleteBatch",
    "claude.v1.BatchService/StreamBatchResults",
    "claude.v1.ClaudeService/Generate",
    "claude.v1.ClaudeService/GenerateStream",
    "claude.v1.ClaudeService/Summarize",
    "claude.v1.ClaudeService/SummarizeStream",
    "claude.v1.ClaudeService/Classify",
    "claude.v1.ClaudeService/ProcessItems",
    "claude.v1.ClaudeService/CountTokens",
    "claude.v1.ClaudeService/ListModels",
    "claude.v1.DocumentService/SummarizeDocument",
    "claude.v1.DocumentService/ClassifyDocument",
    "claude.v1.FileService/UploadFile",
    "claude.v1.FileService/GetFile",
    "claude.v1.FileService/ListFiles",
    "claude.v1.FileService/DeleteFile",
    "claude.v1.FileService/DownloadFile",
];

/// Names of the gRPC statuses, indexed by status code.
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

/// Statuses caused by the service or the API, which count against the service
/// level objective.
pub const SERVICE_FAILURES: [&str; 5] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// `error.type` of attempts: the error types of the API, then failures without
/// a response of the API. The last one stands for all others.
pub const ERROR_TYPES: [&str; 34] = [
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
    "connect_dns",
    "connect_refused",
    "connect_unreachable",
    "connect_timed_out",
    "connect_reset",
    "connect_tls_name",
    "connect_tls_issuer",
    "connect_tls_expired",
    "connect_tls",
    "connect_proxy_dns",
    "connect_proxy_timed_out",
    "connect_proxy_unreachable",
    "connect_proxy_rejected",
    "connect_proxy_tunnel",
    "connect_protocol",
    "connect_other",
    "broken",
    "stalled",
    "malformed",
    "cancelled",
    "timeout",
    "concurrency_limit",
    OTHER,
];

/// Names of events on spans.
pub mod event {
    /// An attempt waited for the rate limits of the API.
    pub const WAIT_RATE_LIMIT: &str = "claude_grpc.wait.rate_limit";
    /// An attempt waited for a permit of the concurrency limit.
    pub const WAIT_PERMIT: &str = "claude_grpc.wait.permit";
    /// An attempt waited for the first call with the same prefix.
    pub const WAIT_PROMPT_CACHE: &str = "claude_grpc.wait.prompt_cache";
    /// The first chunk of the response arrived.
    pub const FIRST_CHUNK: &str = "gen_ai.first_chunk";
}

/// Names of attributes, and so of labels.
pub mod attribute {
    /// The RPC system: always `grpc`.
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    /// The full method, `claude.v1.ClaudeService/Generate`.
    pub const RPC_METHOD: &str = "rpc.method";
    /// Name of the gRPC status. Conventions later than 1.44 call it
    /// `rpc.status_code`.
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    /// The class of a failure.
    pub const ERROR_TYPE: &str = "error.type";
    /// HTTP method of the attempt.
    pub const HTTP_METHOD: &str = "http.request.method";
    /// HTTP status of the attempt.
    pub const HTTP_STATUS: &str = "http.response.status_code";
    /// Number of the retry, from 1; absent on the first attempt.
    pub const HTTP_RESEND_COUNT: &str = "http.request.resend_count";
    /// URL path of the attempt.
    pub const URL_PATH: &str = "url.path";
    /// Host name of the API.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// TCP port of the API.
    pub const SERVER_PORT: &str = "server.port";
    /// The operation: `chat`, `count_tokens`, `list_models`, `create_batch`,
    /// `list_batches`, `get_batch`, `cancel_batch`, `delete_batch`, `batch_results`, `upload_file`,
    /// `get_file`, `delete_file` or `download_file`.
    pub const OPERATION: &str = "gen_ai.operation.name";
    /// The provider: always `anthropic`.
    pub const PROVIDER: &str = "gen_ai.provider.name";
    /// The requested model.
    pub const REQUEST_MODEL: &str = "gen_ai.request.model";
    /// Maximum number of output tokens.
    pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
    /// Whether the response is streamed.
    pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
    /// The API's id of the response.
    pub const RESPONSE_ID: &str = "gen_ai.response.id";
    /// The model that responded.
    pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
    /// Why the model stopped generating.
    pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
    /// Seconds until the first chunk of the response.
    pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
    /// All input tokens, including cached ones.
    pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    /// Generated tokens.
    pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    /// Input tokens read from the prompt cache.
    pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
    /// Input tokens written to the prompt cache.
    pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
    /// `input` or `output`; `claude_grpc.tokens` adds `cache_read` and
    /// `cache_write`.
    pub const TOKEN_TYPE: &str = "gen_ai.token.type";
    /// The conversation, if content is captured.
    pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
    /// The response, if content is captured.
    pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
    /// The system prompt, if content is captured.
    pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
    /// Name of the calling client.
    pub const CLIENT: &str = "claude_grpc.client";
    /// Number of attempts made for the call.
    pub const ATTEMPTS: &str = "claude_grpc.attempts";
    /// Cost of the call in US dollars, at the configured prices.
    pub const COST: &str = "claude_grpc.cost";
    /// Gateway overhead before the first response byte, in seconds.
    pub const OVERHEAD_DURATION: &str = "claude_grpc.overhead.duration";
    /// Whether the response is from the cache of the service.
    pub const CACHED: &str = "claude_grpc.cached";
    /// What a call found in the cache of responses: `hit` or `miss`.
    pub const CACHE_RESULT: &str = "claude_grpc.cache.result";
    /// Whether the call shared the response of another call.
    pub const COALESCED: &str = "claude_grpc.coalesced";
    /// The API's id of the request.
    pub const UPSTREAM_REQUEST_ID: &str = "claude_grpc.upstream.request_id";
    /// Name of the host of Claude that is asked: `claude`, or that of `upstream.hosts`.
    pub const HOST: &str = "claude_grpc.host";
    /// Name of the API key used.
    pub const KEY: &str = "claude_grpc.key";
    /// The `error.type` of the failed attempt that this one retries.
    pub const RETRY_REASON: &str = "claude_grpc.retry.reason";
    /// Backoff before the retry, in seconds.
    pub const BACKOFF: &str = "claude_grpc.retry.backoff";
    /// Seconds waited for the rate limits of the API.
    pub const WAIT_RATE_LIMIT: &str = "claude_grpc.wait.rate_limit";
    /// Seconds waited for a permit of the concurrency limit.
    pub const WAIT_PERMIT: &str = "claude_grpc.wait.permit";
    /// Seconds waited for the first call with the same prefix.
    pub const WAIT_PROMPT_CACHE: &str = "claude_grpc.wait.prompt_cache";
    /// What an attempt waited for: `prompt_cache`, `rate_limit`, `permit` or `backoff`.
    pub const WAIT: &str = "claude_grpc.wait";
    /// Why a call failed: the reason in its `ErrorInfo`.
    pub const REASON: &str = "claude_grpc.reason";
    /// The limit that rejected a call.
    pub const LIMIT: &str = "claude_grpc.limit";
    /// State of a circuit of the circuit breaker.
    pub const STATE: &str = "claude_grpc.state";
    /// The limited resource: `requests`, `input_tokens` or `output_tokens`.
    pub const RESOURCE: &str = "claude_grpc.resource";
    /// Priority of a call: `interactive` or `batch`.
    pub const PRIORITY: &str = "claude_grpc.priority";
    /// The exported signal: `traces`, `metrics`, `logs`, or `stderr` for log
    /// lines.
    pub const SIGNAL: &str = "claude_grpc.signal";
    /// The outcome of an operation, such as an export or a reload.
    pub const OUTCOME: &str = "claude_grpc.outcome";
    /// Why a caller was rejected, or the store did not serve.
    pub const CAUSE: &str = "claude_grpc.cause";
    /// The reloaded component, such as the API keys or a certificate.
    pub const COMPONENT: &str = "claude_grpc.component";
    /// Version of the service.
    pub const VERSION: &str = "version";
}

/// A metric: its name, unit, help text and kind.
#[derive(Debug)]
pub struct Metric {
    /// The OpenTelemetry name.
    pub name: &'static str,
    /// The UCUM unit, with annotations in braces.
    pub unit: &'static str,
    /// The help text.
    pub help: &'static str,
    /// The kind of metric.
    pub kind: MetricKind,
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A sum that only increases.
    Counter,
    /// A current value.
    Gauge,
    /// A distribution of values.
    Histogram,
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal in $unit:literal, $help:literal;)*) => {
        /// The metrics of the service.
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
            /// All metrics.
            pub static ALL: &[&Metric] = &[$(&$constant),*];
        }
    };
}

metrics! {
    CALL_DURATION: Histogram "rpc.server.call.duration" in "s",
        "Duration of calls, from the request to the end of the response.";
    OVERHEAD_DURATION: Histogram "claude_grpc.call.overhead.duration" in "s",
        "Gateway overhead before the first response byte, excluding upstream time.";
    IN_FLIGHT: Gauge "claude_grpc.call.in_flight" in "{call}",
        "Calls in flight.";
    FAILURES: Counter "claude_grpc.call.failures" in "{call}",
        "Failed calls, by the reason returned to the caller.";
    REJECTIONS: Counter "claude_grpc.limit.rejections" in "{call}",
        "Calls rejected by a limit.";
    FIRST_CHUNK: Histogram "gen_ai.client.operation.time_to_first_chunk" in "s",
        "Time from the request to the first chunk of a streamed response.";
    PER_CHUNK: Histogram "gen_ai.client.operation.time_per_output_chunk" in "s",
        "Time between the chunks of a streamed response.";
    ATTEMPT_DURATION: Histogram "gen_ai.client.operation.duration" in "s",
        "Duration of attempts at the Claude API, including the whole stream.";
    TOKEN_USAGE: Histogram "gen_ai.client.token.usage" in "{token}",
        "Tokens used by attempts, failed ones included, as reported by the Claude API.";
    HOST_COST: Counter "claude_grpc.upstream.cost" in "USD",
        "Cost of attempts in US dollars, by host: the same dollars as claude_grpc.cost.";
    FAILOVERS: Counter "claude_grpc.upstream.failovers" in "{call}",
        "Calls that were moved on to the next host of their route because this host failed.";
    RETRIES: Counter "claude_grpc.upstream.retries" in "{attempt}",
        "Retries, by the error of the failed attempt.";
    WAITED: Counter "claude_grpc.upstream.wait" in "s",
        "Time that attempts waited before they were sent.";
    TOKENS: Counter "claude_grpc.tokens" in "{token}",
        "Tokens used. Each token is counted under one type only.";
    COST: Counter "claude_grpc.cost" in "USD",
        "Cost in US dollars, at the prices of the catalogue and of limits.prices. Models without a price add nothing.";
    UNPRICED: Counter "claude_grpc.tokens.unpriced" in "{token}",
        "Tokens of models without a known price, which the cost leaves out.";
    RETIREMENTS: Gauge "claude_grpc.model.retirement.time" in "s",
        "Unix time at which a deprecated model that is used retires.";
    CREDENTIALS_EXPIRY: Gauge "claude_grpc.upstream.credentials.expiry.time" in "s",
        "Unix time at which the credentials of a host expire that the service fetches itself, unless others replace them.";
    MESSAGE_BYTES: Gauge "claude_grpc.server.messages.bytes" in "By",
        "Bytes of the messages in flight, after decompression.";
    MESSAGE_BYTES_LIMIT: Gauge "claude_grpc.server.messages.bytes.limit" in "By",
        "Maximum number of bytes of the messages in flight (server.max_bytes_in_flight).";
    MESSAGES_WAITING: Gauge "claude_grpc.server.messages.waiting" in "{message}",
        "Messages that wait until others have made room.";
    CONCURRENCY_IN_USE: Gauge "claude_grpc.upstream.concurrency.in_use" in "{permit}",
        "Permits of the concurrency limit in use.";
    CONCURRENCY_WAITING: Gauge "claude_grpc.upstream.concurrency.waiting" in "{attempt}",
        "Attempts waiting for a permit of the concurrency limit.";
    CONCURRENCY_LIMIT: Gauge "claude_grpc.upstream.concurrency.limit" in "{permit}",
        "Maximum number of concurrent attempts.";
    HTTP2_CONNECTIONS: Gauge "claude_grpc.upstream.http2.connections" in "{connection}",
        "HTTP/2 connections to the Claude API: connecting, active, idle, or draining.";
    HTTP2_STREAMS_IN_USE: Gauge "claude_grpc.upstream.http2.streams.in_use" in "{stream}",
        "HTTP/2 streams in flight.";
    HTTP2_STREAMS_WAITING: Gauge "claude_grpc.upstream.http2.streams.waiting" in "{attempt}",
        "Attempts waiting for an HTTP/2 stream or connection.";
    HTTP2_STREAMS_CAPACITY: Gauge "claude_grpc.upstream.http2.streams.capacity" in "{stream}",
        "HTTP/2 streams that the Claude API allows on the open connections.";
    BREAKER: Gauge "claude_grpc.upstream.breaker" in "",
        "State of the circuit breaker for each model, for `other` models, and, without a model, for the connection: 1 for the current state, 0 for the others.";
    RATE_LIMIT_REMAINING: Gauge "claude_grpc.upstream.rate_limit.remaining" in "",
        "Remaining rate limit of the Claude API, of the API key with the least left.";
    RATE_LIMIT: Gauge "claude_grpc.upstream.rate_limit.limit" in "",
        "Rate limit of the Claude API per minute, of the API key with the least left.";
    QUEUED: Gauge "claude_grpc.upstream.queued" in "{attempt}",
        "Attempts waiting for the rate limits of the Claude API.";
    KEYS_REFUSED: Gauge "claude_grpc.upstream.keys.refused" in "{key}",
        "API keys in quarantine because the Claude API rejected them.";
    KEYS: Gauge "claude_grpc.upstream.keys" in "{key}",
        "Configured API keys.";
    COALESCED: Counter "claude_grpc.upstream.coalesced" in "{call}",
        "Calls that shared the response of another call.";
    CACHE_LOOKUPS: Counter "claude_grpc.response_cache.lookups" in "{call}",
        "Calls that accept a response of an earlier call, by what they found: `hit` or `miss`.";
    CACHE_EVICTIONS: Counter "claude_grpc.response_cache.evictions" in "{response}",
        "Responses that were dropped because `response_cache.max_bytes` was reached.";
    CACHE_SIZE: Gauge "claude_grpc.response_cache.size" in "By",
        "Size of the responses that are kept in memory.";
    REFUSALS: Counter "claude_grpc.access.refusals" in "{call}",
        "Rejected callers, by cause.";
    CONNECTIONS: Gauge "claude_grpc.connections.open" in "{connection}",
        "Open connections of callers, those in their handshake included.";
    CONNECTIONS_CLOSED: Counter "claude_grpc.connections.closed" in "{connection}",
        "Connections that the service closed: `peer_limit` when the peer had `server.max_connections_per_peer`, `limit` when there were `server.max_connections` and an idle one was closed for a new one, or the new one, `handshake_timeout` when the handshake or the head of a request took longer than `server.handshake_timeout`.";
    STORE_FAILURES: Counter "claude_grpc.store.failures" in "{query}",
        "Failed queries to the store of shared limits.";
    STORE_ERRORS: Counter "claude_grpc.store.errors" in "{error}",
        "What kept the store of shared limits from serving, by cause: failed queries and attempts to connect.";
    STORE_DOWN: Gauge "claude_grpc.store.down" in "",
        "1 while the store of shared limits is unavailable, 0 otherwise or without a store. Limits are then not shared between replicas.";
    RELOADS: Counter "claude_grpc.reloads" in "{reload}",
        "Reloads of secrets and configuration, by component and outcome.";
    EXPORTED: Counter "claude_grpc.export.items" in "{item}",
        "Spans, metric points, log records and log lines: sent, dropped because the queue was full, or failed.";
    BUILD: Gauge "claude_grpc.build.info" in "",
        "Version of the service, as a label. The value is always 1.";
    READY: Gauge "claude_grpc.ready" in "",
        "1 while the service accepts calls.";
    CPU: Counter "process.cpu.time" in "s",
        "CPU time of the process.";
    MEMORY: Gauge "process.memory.usage" in "By",
        "Resident memory of the process.";
    STARTED: Gauge "process.start_time" in "s",
        "Start time of the process, in seconds since the Unix epoch.";
}

/// The Prometheus name of a metric. Samples of counters append `_total`.
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
            .flat_map(|service| {
                let methods = service.method.iter();
                methods.map(|it| format!("claude.v1.{}/{}", service.name(), it.name()))
            })
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
