//! The room of an upload in Redis, which is given back when the upload ends. One of a
//! replica that has died is given back by Redis after a while.

use super::{names::TenantKeys, scripts::OwnershipScripts};
use crate::access::Clock;
use data_encoding::HEXLOWER;
use std::sync::Arc;
use tokio::runtime::Handle;

/// The room of a file that is being uploaded.
pub struct SharedRoom {
    scripts: Arc<OwnershipScripts>,
    clock: Clock,
    /// The keys of its tenant.
    pub of: TenantKeys,
    /// Its name among the uploads of the tenant.
    pub name: String,
    is_settled: bool,
}

// === impl SharedRoom ===

impl SharedRoom {
    /// The room of a tenant, with a name of its own.
    pub fn new(scripts: &Arc<OwnershipScripts>, clock: &Clock, tenant: &str) -> Self {
        let random = HEXLOWER.encode(&rand::random::<[u8; 8]>());
        SharedRoom {
            scripts: Arc::clone(scripts),
            clock: clock.clone(),
            of: TenantKeys::of(tenant),
            name: format!("room-{random}"),
            is_settled: false,
        }
    }

    /// There is nothing to give back: the file has taken it, or it was refused.
    pub fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for SharedRoom {
    fn drop(&mut self) {
        let (false, Ok(runtime)) = (self.is_settled, Handle::try_current()) else {
            return;
        };
        let scripts = Arc::clone(&self.scripts);
        let (of, name) = (self.of.clone(), std::mem::take(&mut self.name));
        let now = self.clock.since_1970().as_secs();
        runtime.spawn(async move { scripts.give_back(&of, &name, now).await });
    }
}
