//! The Claude Messages API as a typed gRPC service.
//!
//! `ARCHITECTURE.md` at the top of the repository is the map: the way of one
//! request through these modules, which may import which, and the invariants.

pub mod access;
pub mod admin;
pub mod call;
pub mod claude;
pub mod cli;
pub mod config;
pub mod dns;
pub mod layer;
pub mod pricing;
pub mod proto;
pub mod reason;
pub mod secrets;
pub mod server;
pub mod service;
pub mod simulator;
pub mod status;
pub mod store;
pub mod telemetry;
pub(crate) mod token_bucket;
pub mod upstream;

/// Compiles the program in docs/clients/rust.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/clients/rust.md")]
struct RustClient;
