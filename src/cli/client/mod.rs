//! The commands that call a running service, over gRPC like any client.

mod backoff;
pub mod classify;
mod connection;
pub mod count_tokens;
mod document;
mod document_plan;
mod document_rpc;
mod effort;
mod failure;
pub mod generate;
mod glob;
mod input;
mod inputs;
mod json;
mod kept_lines;
mod long_document;
mod model_use;
pub mod models;
mod parts_file;
mod pdf_flag;
mod prompt;
mod reader;
mod run;
mod schema;
mod short_document;
mod spool;
mod stdin;
pub mod summarize;
mod template;
pub mod templates;
mod traced;
mod written;

pub use traced::traced;
