//! Long documents: split at natural borders into parts that fit a call, and planned
//! before anything is paid. Text only: no I/O, no gRPC.
//!
//! - **A document that fits goes in one call**: what the model's context window holds, or
//!   what it takes at its lower price.
//! - **What does not fit is split** into parts of about the same size, each ending where a
//!   reader would pause (`border`). Put together, the parts are the document.
//! - **Memory is bounded**: of a document that arrives in chunks, the [`Splitter`] holds one
//!   part and one chunk.
//! - **Parts become one summary level by level** ([`merge_groups`]): neighbours are merged
//!   as many at a time as fit a call.

mod border;
mod measure;
mod merge;
mod splitter;

pub use measure::TextMeasure;
pub use merge::merge_groups;
pub use splitter::{NotUtf8, Splitter};
