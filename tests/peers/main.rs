//! The service at its defaults against servers and proxies that others wrote. They are
//! built or installed by `.ci/run` and `.ci/nightly`, which run these tests.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod api;
#[path = "../access/certificates.rs"]
#[allow(dead_code)] // The certificates of callers are for other tests.
mod certificates;
mod nginx;
#[path = "../replicas/process.rs"]
mod process;
mod program;
mod proxies;
mod service;
mod streams;
