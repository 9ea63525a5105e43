//! Access and limits as a caller sees them: over a real socket.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod certificates;
mod harness;
mod keys;
mod limits;
mod redis;
mod signatures;
mod tls;
