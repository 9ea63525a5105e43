//! The service from outside: a real gRPC client, real sockets, and the
//! simulator as the Claude API.

mod faults;
mod hang_ups;
mod overload;
mod streams;
mod support;
