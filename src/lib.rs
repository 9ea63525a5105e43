//! The Claude Messages API as a typed gRPC service.
//!
//! The interface of the service is its proto, its configuration, its command
//! line and its metrics; `docs/` describes them. A Rust caller needs [`proto`]
//! (messages and stubs), [`signing`] (signed requests) and [`reason`] (why a
//! call failed). Everything else is the service itself, and may change with any
//! release; `ARCHITECTURE.md` at the top of the repository is its map.

pub mod proto;
pub mod reason;

/// Signs the requests of a Rust caller.
pub mod signing {
    pub use crate::access::signature::{Signer, Signing, SigningLayer};
}

// Reached by the binary, the tests, the benches and the fuzz targets.
#[doc(hidden)]
pub mod access;
#[doc(hidden)]
pub mod admin;
#[doc(hidden)]
pub mod batches;
#[doc(hidden)]
pub mod call;
#[doc(hidden)]
pub mod claude;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
pub mod credentials;
#[doc(hidden)]
pub mod dns;
#[doc(hidden)]
pub mod documents;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod host_features;
#[doc(hidden)]
pub mod kinds;
#[doc(hidden)]
pub mod layer;
#[doc(hidden)]
pub mod memory;
#[doc(hidden)]
pub mod models;
#[doc(hidden)]
pub mod response_cache;
#[doc(hidden)]
pub mod secrets;
#[doc(hidden)]
pub mod server;
#[doc(hidden)]
pub mod service;
#[doc(hidden)]
pub mod simulator;
#[doc(hidden)]
pub mod status;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod telemetry;
#[doc(hidden)]
pub mod upstream;

mod certificates;
mod duration_limits;
mod listener;
mod sealed_file;
mod token_bucket;

/// Compiles the program in docs/clients/rust.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/clients/rust.md")]
struct RustClient;
