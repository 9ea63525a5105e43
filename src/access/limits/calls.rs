//! Calls in flight, and the items of a stream that each count as one.

use super::{AccessError, UsageReservation, UsageStore};
use crate::access::Identity;
use std::sync::Arc;

/// A call in flight, until it is dropped.
#[derive(Debug)]
pub struct CallInFlight(UsageReservation);

/// The limits on calls for the items of a stream.
#[derive(Debug, Clone)]
pub struct ItemLimits {
    usage_store: UsageStore,
    identity: Arc<Identity>,
}

impl From<UsageReservation> for CallInFlight {
    fn from(reservation: UsageReservation) -> Self {
        CallInFlight(reservation)
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.0.release();
    }
}

// === impl ItemLimits ===

impl ItemLimits {
    /// For the items of this client.
    pub fn new(usage_store: UsageStore, identity: Arc<Identity>) -> Self {
        ItemLimits {
            usage_store,
            identity,
        }
    }

    /// Counts an item as a call.
    ///
    /// # Errors
    /// Why the call is rejected.
    pub async fn begin(&self) -> Result<CallInFlight, AccessError> {
        let reservation = self.usage_store.reserve_call(&self.identity).await?;
        Ok(CallInFlight(reservation))
    }
}
