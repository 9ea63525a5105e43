//! A stand-in for the Claude API over real HTTP/1.1 and HTTP/2, in plaintext or
//! over TLS.
//!
//! It serves `/v1/messages` (plain and as server-sent events),
//! `/v1/messages/count_tokens`, `/v1/messages/batches`,
//! `/v1/files` and `/v1/models`, holds requests to the API's
//! rules, and answers with a deterministic function of the request that is
//! marked `[simulated]`: an extract for a summary, the label that shares most
//! words with the text for a classification, an instance of any JSON schema.
//! It can be slow, limit rates and fail in every way that the real API does
//! ([`Behaviour`]): at a rate, on a header of the request or through a
//! [`Handle`].
//!
//! It speaks the dialect of one host ([`SimulatedHost`]): the rest of it knows only
//! requests to the Claude API, into which those to other hosts are turned.
//!
//! What differs from the real API:
//!
//! - No model is asked. Answers follow from words that texts share; nothing is
//!   understood, translated or reasoned about, and a summary is written in the
//!   language of its document.
//! - Tokens are estimated, at about four characters each. Pictures count as
//!   1,600 tokens and documents that are not text as 3,000. A PDF is not read: its text is
//!   one sentence that says how many bytes it has. What the API adds to a prompt
//!   for the schema of an answer is not counted: its documentation does not state how
//!   much that is.
//! - All fields and blocks that the official SDK knows are accepted, and most of
//!   those that this crate does not send change nothing. Sampling parameters are
//!   refused with every API version. What is in beta needs its name in
//!   `anthropic-beta`, where the SDK states one.
//! - The tools that the API runs itself search, fetch and execute nothing: their
//!   results have the right shape and say so. They are used when the prompt asks for
//!   them by name.
//! - No MCP server is called and no advisor is asked: their results say so, or are made of
//!   the request's words. A compaction block is made of those of the last turn, and what comes
//!   before the last one is forgotten. The first of `fallbacks` never refuses.
//! - Threads and containers are kept within limits of their number and size, until the
//!   process ends.
//! - The wording of error messages is close to the API's, not equal to it.
//! - Batches are kept in memory until others take their room, and take as long as
//!   configured. A hundred of their requests are processed at the same time, in their
//!   order. They belong to their key, not to its workspace, and have no rate
//!   limit. Faults at a rate do not strike them. Canceling one that has ended changes
//!   nothing.
//! - Files are kept in memory until they are deleted or expire, and belong to their key.
//!   A message can name any file, and its content is not read.
//! - A list that is asked for with two cursors has what lies between them.
//! - The rate limits of the Claude API are kept for each key and model, not for an organization
//!   and a family of models, and `count_tokens` and `/v1/models` are not
//!   limited. A request for more tokens than a bucket holds is charged the
//!   whole bucket.
//! - Models answer also after the day on which they retire. A rule of a model that
//!   no source of the catalogue states is not applied.
//! - The prompt cache forgets when the process ends. It needs 1,024 tokens with a
//!   model of which no source states the minimum.
//! - A connection lives for ever and takes any number of streams, unless
//!   [`ConnectionsConfig`] says otherwise.
//! - Signatures of thinking are not checked when they come back.

mod answer;
mod batches;
mod behaviour;
mod body;
mod cache;
mod catalogue;
mod check;
mod config;
mod connection;
mod containers;
mod error;
mod exchange;
mod files;
mod fixtures;
mod generate;
mod host;
mod limits;
mod paging;
mod routes;
mod server;
mod state;
mod threads;
mod tls;
mod tokens;

pub use behaviour::{Behaviour, UnknownBehaviour};
pub use config::{
    ConfigError, ConnectionsConfig, FaultRates, SimulatorBatchesConfig, SimulatorConfig,
    SimulatorFilesConfig, SimulatorLimitsConfig, SimulatorTlsConfig,
};
pub use host::{SimulatedHost, SimulatorToken};
pub use server::Simulator;
pub use state::{Counts, Handle, RecordedRequest};
