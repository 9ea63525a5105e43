//! What decides when a call has its turn.

use crate::call::{Holder, Priority};

/// What decides when a call has its turn, apart from the time of its arrival.
#[derive(Debug, Clone, Copy)]
pub struct Rank<'a> {
    /// Interactive calls go before all batch calls.
    pub priority: Priority,
    /// Whose turn the call takes.
    pub holder: &'a Option<Holder>,
    /// The weight of the holder's turns; at least 1.
    pub weight: u32,
}
