//! Metrics: recorded without locks, and exported as Prometheus text and over
//! OTLP.
//!
//! The histograms and the text are not those of `prometheus-client`, for three
//! reasons. Its histogram takes two locks to record a value: 210 instructions
//! instead of 34, and up to twice the time when two threads share a series. A
//! stream records one value per event. Its buckets cannot be read, so the
//! status page, which shows quantiles of the last minutes, and the SDK, which
//! pushes exponential buckets and deltas, would each need another recording.
//! And its exemplars cannot be created outside the crate, so its encoder cannot
//! write the histograms of this module either.

mod collect;
mod family;
pub mod histogram;
mod kinds;
mod process;
mod push;
mod registry;
mod series;
pub mod text;

pub use collect::CallTotals;
pub use family::{Family, Point, PointValue};
pub use kinds::{ErrorType, ExportOutcome, ExportSignal, Operation, SIGNALS, WAITS, Wait};
pub use registry::{Metrics, method};
pub use series::{AttemptKey, CallKey, CallSeries};
