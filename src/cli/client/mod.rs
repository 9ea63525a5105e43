//! The commands that call a running service, over gRPC like any client.

mod backoff;
pub mod classify;
mod connection;
pub mod count_tokens;
mod failure;
pub mod generate;
mod input;
mod inputs;
mod json;
pub mod models;
mod prompt;
mod run;
pub mod summarize;
mod traced;

pub use traced::traced;
