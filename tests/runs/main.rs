//! Runs over many documents: the real command, the real service, and an API that counts
//! what it is asked.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod batched;
mod interrupted;
mod limited;
mod long;
mod machine;
mod measured;
mod world;
