//! Access and limits as a caller sees them: over a real socket.

mod harness;
mod keys;
mod limits;
mod redis;
mod signatures;
mod tls;
