//! The Claude API on the wire: what goes up, what comes down.
//!
//! Plain data and its JSON, with no I/O and no gRPC. The API may add fields,
//! block types, event types and enum values at any time, so whatever comes
//! down is read leniently: what is not known is carried as it came or skipped,
//! and never an error. What goes up is strict, as the API is: it refuses
//! fields that it does not know.

pub mod answer;
pub mod error;
pub mod estimate;
pub mod event;
pub mod gather;
pub mod models;
pub mod raw;
pub mod request;
pub mod sse;

/// The version of the API that the types here speak, sent as
/// `anthropic-version` unless configured otherwise.
pub const API_VERSION: &str = "2026-10-21";

/// Most bytes of a request body for `/v1/messages` and
/// `/v1/messages/count_tokens`; the API answers 413 above it.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
