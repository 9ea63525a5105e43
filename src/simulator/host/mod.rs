//! The hosts of Claude: how the dialect of each differs from the Claude API's.
//!
//! A request is turned into one to the Claude API before the rest of the simulator
//! reads it, and errors and headers into the host's on their way back:
//!
//! - [`kind`] lists the hosts, with what is a fact of each.
//! - [`endpoints`] reads the path; [`vertex`] and [`bedrock_runtime`], where the model is
//!   part of it, also the body.
//! - [`credentials`] looks for those that the host accepts. A signature is not verified.
//! - [`lacks`] refuses what the host lacks.
//! - [`models`] finds a model by the id that the host has for it.
//! - [`errors`] writes errors as the host does, [`answer_headers`] the headers, and
//!   [`event_stream`] the frames of Bedrock's streams.
//!
//! What the official SDK sends is known from its classes. What the hosts answer is known
//! from botocore's model of Bedrock, and from what the libraries of the clouds read;
//! docs/simulator.md says what is assumed.

mod accepted;
mod answer_headers;
mod bedrock_runtime;
mod body_fields;
mod config;
mod credentials;
mod endpoints;
mod errors;
mod event_stream;
mod kind;
mod lacks;
mod models;
mod target;
mod vertex;

pub(super) use accepted::AcceptedCredentials;
pub use config::SimulatorToken;
pub(super) use event_stream::StreamFraming;
pub use kind::SimulatedHost;
pub(super) use target::Target;
