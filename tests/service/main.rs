//! The service from outside: a real gRPC client, real sockets, and the
//! simulator as the Claude API.

mod as_written;
mod asking;
mod breaches;
mod classify;
mod corpus;
mod count_tokens;
mod faults;
mod filled;
mod generate;
mod hang_ups;
mod invalid;
mod models;
mod overload;
mod samples;
mod streams;
mod summarize;
mod support;
mod texts;
