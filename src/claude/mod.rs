//! The wire format of the Claude API: requests and responses.
//!
//! Plain data and its JSON, with no I/O and no gRPC. The API may add fields,
//! block types, event types and enum values at any time, so responses are
//! parsed leniently: unknown parts are passed through or skipped, and only the
//! content itself can make a response unreadable. Requests are strict, as the API
//! is: it rejects unknown fields.

pub mod answer;
pub mod as_events;
pub mod batches;
mod cache_control;
pub mod container;
pub mod content;
pub mod defined_tool;
pub mod error;
pub mod estimate;
pub mod event;
pub mod event_reader;
pub mod extra;
pub mod files;
pub mod gather;
pub mod given;
pub mod json_string;
pub mod lenient;
pub mod merge;
pub mod merge_fields;
pub mod models;
mod not_a_number;
pub mod raw;
pub mod representable;
pub mod request;
pub mod rest;
pub mod sse;
mod streamed_block;
mod streamed_text;
pub mod tool_origin;
pub mod tools;
pub mod unplaced;
pub mod unreadable;
mod usage;

/// The version of the API that these types implement, sent as
/// `anthropic-version` unless configured otherwise.
pub const API_VERSION: &str = "2026-10-21";

/// Maximum size of a request body for `/v1/messages` and
/// `/v1/messages/count_tokens`, in bytes; the API answers 413 above it.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
