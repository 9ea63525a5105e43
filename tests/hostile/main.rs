//! What strangers send: each attack ends with a status or a closed connection,
//! and a client next to it, from another address, notices nothing.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod attacker;
#[allow(dead_code, reason = "shared with the tests of access")]
#[path = "../access/certificates.rs"]
mod certificates;
mod connections;
mod floods;
mod idle;
mod metadata;
mod pending_calls;
mod pod;
mod public_calls;
mod shares;
mod stalled_readers;
#[allow(dead_code, reason = "shared with the tests of the service")]
#[path = "../service/support.rs"]
mod support;
