//! Access and limits as a caller sees them: over a real socket.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod certificates;
mod file_world;
mod harness;
mod hosts;
mod items;
mod kept_responses;
mod keys;
mod limits;
#[path = "../replicas/process.rs"]
mod process;
mod quota;
mod redis;
mod redis_connection;
mod redis_failover;
#[path = "../replicas/redis_group.rs"]
mod redis_group;
mod redis_misconfigured;
#[path = "../replicas/redis_server.rs"]
#[allow(dead_code)] // Load runs ask first whether there is one.
mod redis_server;
mod shared_file_batches;
mod shared_file_faults;
mod shared_file_limits;
mod shared_files;
mod signatures;
mod signed_documents;
mod tls;
mod turns;
