//! The statuses of calls that the server itself rejects or aborts.

use super::{Draft, Violations, plain};
use crate::{proto::SERVICE_NAME, reason::Reason};
use std::{fmt, time::Duration};
use tonic::{Code, Status};

/// The call came during a drain, or was aborted at its end.
pub fn draining() -> Status {
    plain(Reason::Draining, "the server is shutting down")
}

/// The process serves its maximum number of calls.
pub fn overloaded() -> Status {
    plain(
        Reason::Overloaded,
        "the server has reached its maximum number of calls",
    )
}

/// Other messages hold the memory that there is for them.
pub fn out_of_message_memory() -> Status {
    plain(
        Reason::Overloaded,
        "the messages in flight have reached server.max_bytes_in_flight",
    )
}

/// Few more calls can begin, and the tenant of this one has its share of them.
pub fn overloaded_by_tenant() -> Status {
    plain(
        Reason::Overloaded,
        "the tenant has its share of the maximum number of calls",
    )
}

/// Few more calls can begin, and the peer of this one has its share of them.
pub fn overloaded_by_peer() -> Status {
    plain(
        Reason::Overloaded,
        "the address has its share of the maximum number of calls",
    )
}

/// The peer has its maximum number of calls that are not past authentication.
pub fn too_many_pending_calls() -> Status {
    plain(
        Reason::Overloaded,
        "too many calls from this address that are not past authentication",
    )
}

/// The maximum number of `Health/Watch` streams is open.
pub fn too_many_watches() -> Status {
    plain(
        Reason::Overloaded,
        "the server has reached its maximum number of health watches",
    )
}

/// The peer has its share of the watches of health.
pub fn too_many_watches_of_peer() -> Status {
    plain(
        Reason::Overloaded,
        "the address has its share of the maximum number of health watches",
    )
}

/// The body of the request made no progress for this time.
pub fn request_stalled(timeout: Duration) -> Status {
    plain(
        Reason::RequestStalled,
        format!("the message did not arrive: no progress for {timeout:?}"),
    )
}

/// The caller's deadline, or the maximum duration of a call, was exceeded.
pub fn deadline_exceeded() -> Status {
    plain(Reason::DeadlineExceeded, "deadline exceeded")
}

/// The reader of a response took nothing for the maximum time.
pub fn reader_stalled(longest: Duration) -> Status {
    let longest = humantime::format_duration(longest);
    plain(
        Reason::ReaderStalled,
        format!("the response was not read for {longest}"),
    )
}

/// `grpc-timeout` is malformed.
pub fn invalid_timeout(violation: impl fmt::Display) -> Status {
    let mut violations = Violations::default();
    violations.add("metadata.grpc-timeout", violation.to_string());
    violations.into_status()
}

/// The message, as sent or after decompression, exceeds the limit.
pub fn message_too_large(max_bytes: usize) -> Status {
    plain(
        Reason::MessageTooLarge,
        format!("the message is larger than {max_bytes} bytes"),
    )
}

/// The message decompresses to far more than was sent.
pub fn message_too_dense(max_ratio: usize) -> Status {
    plain(
        Reason::MessageTooLarge,
        format!(
            "the message must not decompress to more than {max_ratio} times its size: send it \
             uncompressed"
        ),
    )
}

/// The message is not too large as sent, but once it is decoded.
pub fn message_too_large_decoded() -> Status {
    plain(
        Reason::MessageTooLarge,
        "the message must not take more than server.max_bytes_in_flight once its elements are \
         decoded",
    )
}

/// The metadata, as HTTP/2 counts it, exceeds the limit.
pub fn metadata_too_large(bytes: usize, max_bytes: usize) -> Status {
    let text = format!(
        "the metadata is larger than {max_bytes} bytes: {bytes}, where each entry counts with its \
         name, its value and 32 bytes"
    );
    let (bytes, max_bytes) = (bytes.to_string(), max_bytes.to_string());
    Draft::new(Reason::MetadataTooLarge, text)
        .metadata(
            Reason::MetadataTooLarge,
            &[("bytes", &bytes), ("maxBytes", &max_bytes)],
        )
        .build()
}

/// The body of the call is not one gRPC message.
pub fn malformed_message() -> Status {
    plain(
        Reason::MalformedMessage,
        "the body is not one gRPC message in a known compression",
    )
}

/// A health check of a name that is not known.
pub fn service_unknown() -> Status {
    plain(
        Reason::ServiceUnknown,
        format!("unknown service: must be empty or {SERVICE_NAME}"),
    )
}

/// A bug: the handler panicked.
pub fn panicked() -> Status {
    plain(
        Reason::Internal,
        "internal error; this is a bug in the service",
    )
}

/// The encodings that this side decompresses.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// A status of the gRPC library, with error details. The library rejects what
/// never reaches our code, and for a message over the limit it returns
/// OUT_OF_RANGE where the gRPC specification says RESOURCE_EXHAUSTED.
pub fn detailed(given: &Status) -> Status {
    let reason = match given.code() {
        Code::OutOfRange | Code::ResourceExhausted => Reason::MessageTooLarge,
        Code::Unimplemented => Reason::Unimplemented,
        Code::Internal => Reason::MalformedMessage,
        _ => Reason::Transport,
    };
    let message = match given.message() {
        "" if reason == Reason::Unimplemented => "unknown service or method",
        message => message,
    };
    let mut draft = Draft::new(reason, message);
    if reason == Reason::Transport {
        draft.code = given.code();
    }
    let mut status = draft.build();
    // Clients that compress differently find there what they may use.
    if let Some(accepted) = given.metadata().get(ACCEPT_ENCODING) {
        let accepted = accepted.clone();
        status.metadata_mut().insert(ACCEPT_ENCODING, accepted);
    }
    status
}
