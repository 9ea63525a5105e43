//! The one catalogue of error reasons.
//!
//! Every error of the service carries one of these in `google.rpc.ErrorInfo`.
//! Statuses, the label of rejections in the metrics, the exit codes of the
//! command line and `docs/errors.md` are derived from this table.

use std::time::Duration;
use tonic::Code;

/// Whether repeating the same call may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again, or it is not known when it may succeed.
    No,
    /// It may succeed after this time, unless the status names another time.
    After(Duration),
}

/// The exit codes of the command line, as documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The call failed, or the service could not start.
    Failed = 1,
    /// Invalid usage, configuration or input.
    Usage = 2,
    /// The service could not be reached.
    Unreachable = 3,
    /// The model refused, or its answer was truncated at a limit.
    Incomplete = 4,
    /// A quota is exhausted, or something is overloaded.
    Busy = 5,
    /// A text has a label in `--fail-on`.
    Found = 6,
    /// `--max-cost` is reached.
    OverBudget = 7,
    /// Batches have not ended yet.
    Waiting = 8,
    /// A signal stopped the command.
    Interrupted = 130,
}

/// If nothing better is known, retry after the first backoff of the official
/// SDKs.
const SDK_BACKOFF: Retry = Retry::After(Duration::from_millis(500));

/// Another replica is likely to accept the call at once.
const ELSEWHERE: Retry = Retry::After(Duration::from_millis(100));

const ONE_SECOND: Retry = Retry::After(Duration::from_secs(1));

macro_rules! reasons {
    ($($variant:ident $name:literal: $code:ident, $retry:expr, $limit:expr, $exit:ident, $doc:literal;)*) => {
        /// Why a call failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $doc] $variant,)*
        }

        impl Reason {
            /// The whole catalogue, in the order of the documentation.
            pub const ALL: &[Reason] = &[$(Reason::$variant),*];

            /// The name in `ErrorInfo.reason`.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// The gRPC code of the status.
            pub const fn code(self) -> Code {
                match self { $(Reason::$variant => Code::$code,)* }
            }

            /// Whether a client should repeat the call.
            pub const fn retry(self) -> Retry {
                match self { $(Reason::$variant => $retry,)* }
            }

            /// The limit that rejected the call, if any, as the metric
            /// `claude_grpc.limit.rejections` names it.
            pub const fn limit(self) -> Option<&'static str> {
                match self { $(Reason::$variant => $limit,)* }
            }

            /// The exit code of a command whose call failed with this reason.
            pub const fn exit(self) -> Exit {
                match self { $(Reason::$variant => Exit::$exit,)* }
            }

            /// When the error occurs, and what to do.
            pub const fn doc(self) -> &'static str {
                match self { $(Reason::$variant => $doc,)* }
            }
        }
    };
}

reasons! {
    // What the caller can fix.
    InvalidRequest "INVALID_REQUEST": InvalidArgument, Retry::No, None, Usage,
        "A field, a metadata value or `grpc-timeout` is invalid. `BadRequest` lists every violation.";
    RequestTooLarge "REQUEST_TOO_LARGE": InvalidArgument, Retry::No, Some("size"), Usage,
        "The request exceeds the 32 MiB of JSON that the Claude API accepts. Shorten the field that `BadRequest` names.";
    MessageTooLarge "MESSAGE_TOO_LARGE": ResourceExhausted, Retry::No, Some("size"), Usage,
        "The gRPC message exceeds `server.max_message_bytes`, as sent or after decompression, or it \
         decompresses to over 1 MiB and over 200 times its size, or it takes more than \
         `server.max_bytes_in_flight` once its elements, such as items or labels, are decoded.";
    MetadataTooLarge "METADATA_TOO_LARGE": ResourceExhausted, Retry::No, Some("size"), Usage,
        "The metadata exceeds 16 KiB. Each entry counts with its name, its value and 32 bytes. `maxBytes` in the metadata is the limit.";
    MalformedMessage "MALFORMED_MESSAGE": Internal, Retry::No, None, Failed,
        "The body is not one gRPC message of this method in a supported compression.";
    Unimplemented "UNIMPLEMENTED": Unimplemented, Retry::No, None, Failed,
        "Unknown method or unsupported compression.";
    ServiceUnknown "SERVICE_UNKNOWN": NotFound, Retry::No, None, Usage,
        "`Health/Check`: unknown service. The name must be empty or `claude.v1.ClaudeService`.";
    UpstreamInvalidRequest "UPSTREAM_INVALID_REQUEST": InvalidArgument, Retry::No, None, Usage,
        "The Claude API rejected the request (400 or 422). The message has its explanation.";
    UpstreamNotFound "UPSTREAM_NOT_FOUND": NotFound, Retry::No, None, Usage,
        "Unknown model or resource (404). ListModels lists the models.";

    // Batches.
    BatchesDisabled "BATCHES_DISABLED": FailedPrecondition, Retry::No, None, Failed,
        "BatchService is off: the operator must set `batches.state_file` or `batches.shared`.";
    BatchUnknown "BATCH_UNKNOWN": NotFound, Retry::No, None, Usage,
        "The tenant has no batch with this id: it never had, or the batch was deleted or has expired.";
    BatchNotEnded "BATCH_NOT_ENDED": FailedPrecondition, Retry::No, None, Busy,
        "The batch has no results yet, or cannot be deleted yet. GetBatch says how far it is.";
    TooManyBatches "TOO_MANY_BATCHES": ResourceExhausted, Retry::No, Some("client"), Busy,
        "The tenant has `batches.max_per_tenant` batches. Delete some that have ended.";
    BatchStateUnavailable "BATCH_STATE_UNAVAILABLE": Unavailable, ONE_SECOND, None, Failed,
        "The state of batches cannot be read or written: the log says why. With `batches.shared`, Redis does not answer, or another replica works on the batch; call again.";
    BatchItemCanceled "BATCH_ITEM_CANCELED": Cancelled, Retry::No, None, Incomplete,
        "Result of a batch: the batch was canceled before the item was processed.";
    BatchItemExpired "BATCH_ITEM_EXPIRED": DeadlineExceeded, Retry::No, None, Incomplete,
        "Result of a batch: the item was not processed within 24 hours. Submit it again.";

    // Files, and what else belongs to a tenant.
    FilesDisabled "FILES_DISABLED": FailedPrecondition, Retry::No, None, Failed,
        "FileService is off: the operator must set `files.state_file` or `files.shared`.";
    FileUnknown "FILE_UNKNOWN": NotFound, Retry::No, None, Usage,
        "The tenant has no file with this id: it never had, or the file was deleted or has expired.";
    ContainerUnknown "CONTAINER_UNKNOWN": NotFound, Retry::No, None, Usage,
        "The tenant has no container with this id: it never had, the container has expired, or the process that knew it has ended (neither `files.state_file` nor `files.shared` is set). Call without `container`.";
    ThreadUnknown "THREAD_UNKNOWN": NotFound, Retry::No, None, Usage,
        "The tenant has no thread whose last answer has this id. Send the whole conversation.";
    TooManyFiles "TOO_MANY_FILES": ResourceExhausted, Retry::No, Some("client"), Busy,
        "The tenant has `files.max_per_tenant` files, or files of `files.max_bytes_per_tenant` bytes. Delete some.";
    FileStateUnavailable "FILE_STATE_UNAVAILABLE": Unavailable, ONE_SECOND, None, Failed,
        "It cannot be read or written what belongs to whom. The log says why.";

    // Credentials and permissions.
    Unauthenticated "UNAUTHENTICATED": Unauthenticated, Retry::No, None, Failed,
        "Missing or invalid credentials. The log and the metric `claude_grpc.access.refusals` say which.";
    PermissionDenied "PERMISSION_DENIED": PermissionDenied, Retry::No, None, Failed,
        "The client may not call this method or use this model.";
    ClientLimitReached "CLIENT_LIMIT_REACHED": ResourceExhausted, ONE_SECOND, Some("client"), Busy,
        "A limit of the client is reached. `QuotaFailure` names each; `RetryInfo` says when there is room.";
    ModelUnpriced "MODEL_UNPRICED": FailedPrecondition, Retry::No, Some("client"), Usage,
        "A budget in dollars applies to the client, and the price of the model is unknown. Use another model, or add its price to `limits.prices`.";
    FeatureUnpriced "FEATURE_UNPRICED": FailedPrecondition, Retry::No, Some("client"), Usage,
        "A budget in dollars applies to the client, and the request has a feature that costs more than its tokens: web search, code execution, `speed`, or a region in `inference_geo`.";
    LimitsUnreachable "LIMITS_UNREACHABLE": Unavailable, ONE_SECOND, Some("client"), Busy,
        "The client's limits cannot be checked because Redis does not answer, and the service is configured to fail closed.";

    // Deadlines and capacity of the service.
    DeadlineExceeded "DEADLINE_EXCEEDED": DeadlineExceeded, Retry::No, None, Failed,
        "The deadline of the caller, or `server.max_deadline`, passed.";
    ReaderStalled "READER_STALLED": ResourceExhausted, Retry::No, Some("stall"), Failed,
        "The caller did not read its response for `server.stall_timeout`, although there was something to read. Read faster, or cancel.";
    RequestStalled "REQUEST_STALLED": DeadlineExceeded, Retry::No, None, Failed,
        "The message of the call did not arrive: it made no progress for `server.body_timeout`.";
    Overloaded "OVERLOADED": Unavailable, ONE_SECOND, Some("capacity"), Busy,
        "The process serves its maximum number of calls, its messages hold the memory for them, no permit for the Claude API was free in time, the peer reached `server.max_pending_calls_per_peer`, or all peers `server.max_watches`.";
    Draining "DRAINING": Unavailable, ELSEWHERE, None, Busy,
        "The replica is shutting down; another one accepts the call.";
    CircuitOpen "CIRCUIT_OPEN": Unavailable, SDK_BACKOFF, Some("breaker"), Busy,
        "The model or the connection to the Claude API is failing and the circuit breaker is open. `RetryInfo` says when it lets a call through.";
    HostUnavailable "HOST_UNAVAILABLE": FailedPrecondition, Retry::No, None, Usage,
        "No host of Claude can serve the call: none of those that its route, its client and its `claude-host` allow has the model, this part of the API, or a feature that the call needs. The message says which.";
    UpstreamQuotaExhausted "UPSTREAM_QUOTA_EXHAUSTED": ResourceExhausted, SDK_BACKOFF, Some("rate_limit"), Busy,
        "The rate limits of the Claude API have no room for the call before its deadline. It was not sent.";
    QuotaUnreachable "QUOTA_UNREACHABLE": Unavailable, ONE_SECOND, Some("rate_limit"), Busy,
        "The shared rate limit state cannot be read because Redis does not answer, and the service is configured to fail closed.";

    // The Claude API and the connection to it.
    UpstreamRateLimited "UPSTREAM_RATE_LIMITED": ResourceExhausted, SDK_BACKOFF, Some("api"), Busy,
        "The Claude API answered 429 to every attempt.";
    UpstreamSpendLimit "UPSTREAM_SPEND_LIMIT": ResourceExhausted, Retry::No, Some("spend"), Busy,
        "A spend limit of the service's account at the Claude API is reached (429 with its code, or 400), usually until the month ends.";
    UpstreamOverloaded "UPSTREAM_OVERLOADED": Unavailable, SDK_BACKOFF, None, Busy,
        "The Claude API is overloaded (529).";
    UpstreamError "UPSTREAM_ERROR": Unavailable, SDK_BACKOFF, None, Busy,
        "The Claude API failed (408, 409 or 5xx).";
    UpstreamUnreachable "UPSTREAM_UNREACHABLE": Unavailable, SDK_BACKOFF, None, Busy,
        "No connection to the Claude API could be made. `connectFailure` in the metadata says what kept it.";
    UpstreamConnectionBroken "UPSTREAM_CONNECTION_BROKEN": Unavailable, SDK_BACKOFF, None, Busy,
        "The connection to the Claude API broke, or a stream ended before its end.";
    UpstreamTimeout "UPSTREAM_TIMEOUT": Unavailable, SDK_BACKOFF, None, Busy,
        "The Claude API sent nothing for `upstream.read_timeout`, and for a unary call the time that `max_tokens` tokens may take.";
    UpstreamMalformed "UPSTREAM_MALFORMED": Internal, Retry::No, None, Failed,
        "The answer of the Claude API is not in its documented format.";
    UpstreamUnexpected "UPSTREAM_UNEXPECTED": Internal, Retry::No, None, Failed,
        "The Claude API answered with a status that it does not document, or an edge or proxy in front of it blocked the request (401, 402 or 403 without an error of the API).";
    UpstreamAuth "UPSTREAM_AUTH": Internal, Retry::No, None, Failed,
        "The Claude API refused every configured API key (401, 403, or 400 for a disabled organization). The operator must replace it.";
    UpstreamBilling "UPSTREAM_BILLING": FailedPrecondition, Retry::No, None, Failed,
        "The service's account at the Claude API cannot be billed (402, or 400 without credit).";

    // The model's answer.
    AnswerRefused "ANSWER_REFUSED": FailedPrecondition, Retry::No, None, Incomplete,
        "Classify: the model refused, twice.";
    AnswerTruncated "ANSWER_TRUNCATED": FailedPrecondition, Retry::No, None, Incomplete,
        "Classify: the answer was truncated at `max_tokens`, twice. Raise it, or shorten the text.";
    AnswerInvalid "ANSWER_INVALID": Internal, Retry::No, None, Failed,
        "Classify: the answer broke the contract, twice.";

    // Neither caused by the caller nor by the API.
    Transport "TRANSPORT": Unknown, Retry::No, None, Failed,
        "The gRPC library ended the call, with the code of the status.";
    Internal "INTERNAL": Internal, Retry::No, None, Failed,
        "A bug in the service.";
}

impl Reason {
    /// The reason with this name.
    pub fn named(name: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|it| it.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_for_one_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::named(reason.name()), Some(*reason));
        }
        assert_eq!(Reason::named("NO_SUCH_REASON"), None);
    }

    /// gRFC A6: clients retry these codes, so the service must say whether they
    /// should.
    #[test]
    fn whatever_may_be_retried_has_a_code_that_clients_retry() {
        for reason in Reason::ALL {
            let retried = matches!(reason.code(), Code::Unavailable | Code::ResourceExhausted);
            assert!(retried || reason.retry() == Retry::No, "{reason:?}");
        }
    }
}
