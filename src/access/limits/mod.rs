//! What each client may use, and what it has used.
//!
//! A call is asked for twice: when it comes in, for its place in the minute
//! and among the calls in flight; and when it goes to the API, for its tokens
//! and dollars, by an estimate. The usage that the API reports corrects the
//! estimate. A stream that the caller drops is charged for what it got.

mod budgets;
mod calendar;
mod config;
mod ledger;
mod memory;
mod meter;
mod reached;
mod redis;

pub use crate::store::{OnStoreFailure, StoreAddress, StoreHealth};
pub use config::LimitsConfig;
pub(super) use ledger::SharedNonce;
pub use ledger::{Ledger, LedgerError, Receipt};
pub use memory::Spent;
pub use reached::{Limit, LimitReached, Refused};
