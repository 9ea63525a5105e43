//! What the service tells about itself, seen from outside: the program, a
//! simulator as the Claude API, and a collector over real sockets.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod admin;
mod admin_port;
mod browser;
mod collector;
mod names;
mod prometheus;
mod refused;
mod service;
mod stalled;
mod traces;
mod usage;
mod variables;
#[allow(dead_code)] // Shared with the test of foreign pages.
#[path = "../browser/webdriver.rs"]
mod webdriver;
