//! What web pages can make a browser do with the service.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[allow(dead_code, reason = "shared with the tests of access")]
#[path = "../access/certificates.rs"]
mod certificates;
mod foreign_pages;
#[allow(dead_code, reason = "shared with the tests of access")]
#[path = "../access/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with the tests of the service")]
#[path = "../service/support.rs"]
mod support;
mod visitor;
#[allow(dead_code, reason = "shared with the test of the status page")]
mod webdriver;
