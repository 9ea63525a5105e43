//! The service from outside: a real gRPC client, real sockets, and the
//! simulator as the Claude API.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod faults;
mod hang_ups;
mod overload;
mod streams;
#[allow(dead_code, reason = "a harness has more than each set of tests uses")]
mod support;
