//! What each client may use, and what it has used.
//!
//! A call is asked for twice: when it comes in, for its place in the minute
//! and among the calls in flight; and when it goes to the API, for its tokens
//! and dollars, by an estimate. The usage that the API reports corrects the
//! estimate. A stream that the caller drops is charged for what it got.

mod amounts;
mod budgets;
mod calendar;
mod config;
mod exceeded;
mod memory;
mod redis;
mod usage_store;

pub use crate::store::{StoreAddress, StoreFailureMode, StoreHealth};
pub use config::LimitsConfig;
pub use exceeded::{AccessError, Limit, LimitExceeded};
pub use memory::ClientSpend;
pub(super) use usage_store::SharedNonce;
pub use usage_store::{UsageReservation, UsageStore, UsageStoreError};
