//! What each client may use, and what it has used.
//!
//! A call makes two reservations: one when it comes in, for requests per minute
//! and concurrent calls; and one when it is sent to the API, for tokens and
//! dollars, by an estimate. The usage that the API reports corrects the
//! estimate. A stream that the caller drops is settled for what it received.

mod amounts;
mod budgets;
mod calendar;
mod calls;
mod charges;
mod config;
mod exceeded;
mod memory;
mod redis;
mod usage_store;

pub use crate::store::{RedisConfig, StoreAddress, StoreFailureMode, StoreHealth};
pub use calls::{CallInFlight, ItemLimits};
pub use charges::StoredCharge;
pub use config::LimitsConfig;
pub use exceeded::{AccessError, LIMITS, Limit, LimitExceeded};
pub use memory::ClientSpend;
pub(super) use usage_store::SharedNonce;
pub use usage_store::{AttemptedModel, UsageReservation, UsageStore, UsageStoreError};
