//! The room of an upload in Redis, which is given back when the upload ends, or when Redis
//! serves again. One of a replica that has died is given back by Redis after a while.

use super::{names::TenantKeys, scripts::OwnershipScripts};
use crate::access::Clock;
use data_encoding::HEXLOWER;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

/// The pause before a room is given back again that was not.
const PAUSE: Duration = Duration::from_secs(1);

/// The room of a file that is being uploaded.
pub struct SharedRoom {
    scripts: Arc<OwnershipScripts>,
    clock: Clock,
    /// The keys of its tenant.
    pub of: TenantKeys,
    /// Its name among the uploads of the tenant.
    pub name: String,
    /// For how long Redis holds it at most.
    pub longest: Duration,
    is_settled: bool,
}

// === impl SharedRoom ===

impl SharedRoom {
    /// The room of a tenant, with a name of its own.
    pub fn new(
        scripts: &Arc<OwnershipScripts>,
        clock: &Clock,
        tenant: &str,
        longest: Duration,
    ) -> Self {
        let random = HEXLOWER.encode(&rand::random::<[u8; 8]>());
        SharedRoom {
            scripts: Arc::clone(scripts),
            clock: clock.clone(),
            of: TenantKeys::of(tenant),
            name: format!("room-{random}"),
            longest,
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
        if self.is_settled {
            return;
        }
        let permit = Arc::clone(&self.scripts.background).try_acquire_owned();
        let (Ok(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            return;
        };
        let scripts = Arc::clone(&self.scripts);
        let (of, name) = (self.of.clone(), std::mem::take(&mut self.name));
        let (clock, longest) = (self.clock.clone(), self.longest);
        runtime.spawn(async move {
            let given_back = async {
                let now = || clock.since_1970().as_secs();
                while scripts.give_back(&of, &name, now()).await.is_none() {
                    sleep(PAUSE).await;
                    scripts.store.up().await;
                }
            };
            // After that time, Redis has given it back itself.
            let _ = timeout(longest, given_back).await;
            drop(permit);
        });
    }
}
