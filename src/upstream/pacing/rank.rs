//! What decides when a call has its turn.

use crate::call::{Priority, Tenant};

/// What decides when a call has its turn, apart from the time of its arrival.
#[derive(Debug, Clone, Copy)]
pub struct Rank<'a> {
    /// Interactive calls go before all batch calls.
    pub priority: Priority,
    /// With whom the call waits; tenants take turns.
    pub tenant: &'a Tenant,
    /// The weight of the tenant's turns; at least 1.
    pub weight: u32,
}
