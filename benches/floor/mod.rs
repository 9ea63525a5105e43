//! What a call costs at least, and the calls that are measured.
//!
//! A floor is a tonic service that forwards each call to the API and returns
//! the same answer as the service does: it parses the API's JSON and events
//! and builds the same messages, on the same allocator, with no limit, check,
//! retry or trace. One floor forwards with hyper's client, the other with
//! reqwest, which the service uses.
//!
//! The benchmarks `load` and `cost` share this module. The floors run in
//! processes of their own: the benchmark's program, started with [`ROLE`].

mod api;
pub mod call;
mod client;
mod events;
mod forwarder;
mod idle;
pub mod subject;
pub mod upstream;

use std::{net::SocketAddr, process::ExitCode};

/// The argument that makes this program a floor; the client's name and the
/// upstream's address follow.
pub const ROLE: &str = "--floor";

/// Runs as a floor if the arguments say so.
pub fn run(arguments: &[String]) -> Option<ExitCode> {
    match arguments {
        [role, client, upstream] if role == ROLE => Some(forwarder::run(client, upstream)),
        _ => None,
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
