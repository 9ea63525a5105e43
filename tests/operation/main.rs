//! The program as it is operated: everything that it says is read, and every
//! secret that it holds is changed under load.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod api;
mod batches;
mod calls;
mod canary;
#[path = "../access/certificates.rs"]
mod certificates;
mod files;
mod leaks;
mod load;
mod memory;
mod open_files;
mod otlp_recorder;
mod process;
#[path = "../replicas/redis_group.rs"]
#[allow(dead_code)] // Other tests use the rest.
mod redis_group;
#[path = "../replicas/redis_server.rs"]
#[allow(dead_code)] // Other tests use the rest.
mod redis_server;
mod rotation;
mod secret_mount;
mod secrets;
mod shared_batches;
