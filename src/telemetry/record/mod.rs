//! The records of calls and of their attempts: what is known of each, from the
//! first header to the end of the answer. Nothing here knows how it is shown.

mod attempt;
mod attempt_data;
mod call;
mod layer;
mod policy;
mod recent;
mod state;

pub use attempt::AttemptRecord;
pub use attempt_data::{AttemptData, AttemptRequest, ResponseMetadata, ServerAddress};
pub use call::{CallData, CallEnd, CallObserver, CallRecord, CallSubscriber, CoalescedWait};
pub use layer::RecordLayer;
pub use policy::TracePolicy;
pub use recent::{FailedCall, RecentFailures};
pub(super) use state::CallState;
