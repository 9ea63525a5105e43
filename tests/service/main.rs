//! The service from outside: a real gRPC client, real sockets, and the
//! simulator as the Claude API.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod any_request;
mod as_written;
mod asking;
mod attacks;
mod bad_requests;
mod breaches;
mod classify;
mod corpus;
mod count_tokens;
mod drain;
mod faults;
mod filled;
mod generate;
mod hang_ups;
mod invalid;
mod limits;
mod models;
mod overload;
mod samples;
mod server;
mod streams;
mod summarize;
mod support;
mod texts;
mod transport;
mod web;
mod wire;
