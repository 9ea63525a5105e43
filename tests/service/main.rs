//! The service from outside: a real gRPC client, real sockets, and the
//! simulator as the Claude API.

mod classify;
mod corpus;
mod faults;
mod filled;
mod hang_ups;
mod samples;
mod streams;
mod summarize;
mod support;
mod texts;
