//! Documents of all kinds: the real command reads real files, next to independent programs,
//! and hostile ones.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod archives;
mod attached;
mod hostile;
mod pdf_documents;
mod pdfs;
mod reading;
mod real;
mod runs;
// The runs of tests/runs, with fewer of their helpers.
#[allow(dead_code)]
#[path = "../runs/world.rs"]
mod world;
