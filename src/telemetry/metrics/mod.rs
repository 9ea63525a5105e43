//! What is measured: recorded once, without locks, and exported twice, as
//! Prometheus text and over OTLP.

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
