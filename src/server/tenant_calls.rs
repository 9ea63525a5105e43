//! How many calls of each tenant are running.
//!
//! Callers without a tenant are counted by peer, in the same way (`peers`).
//!
//! Before `server.max_calls` is reached, a tenant that has more than its share is
//! shed, so that the others still find room: it may run four times its weight as
//! many calls as could still begin. One tenant alone gets four fifths of
//! `server.max_calls`. This is the dynamic threshold of shared buffers (Choudhury,
//! Hahne, 1998), which needs no configured number of tenants.

use crate::access::Identity;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// A tenant of weight 1 may run this many times as many calls as could begin.
const SHARE_OF_FREE: usize = 4;

/// The running calls of each tenant. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct TenantCalls(Arc<Mutex<HashMap<Arc<str>, usize>>>);

/// A running call of a tenant, until it is dropped.
#[derive(Debug)]
pub struct TenantCall {
    calls: TenantCalls,
    tenant: Arc<str>,
}

/// How many calls a tenant or peer may run before it begins another one, while
/// `free` calls can still begin.
pub fn share(free: usize, weight: u32) -> usize {
    free.saturating_mul(SHARE_OF_FREE * weight as usize)
}

impl TenantCalls {
    /// Counts a call of a client as running; `None` if its tenant has its share of
    /// what `free` calls leave.
    pub fn begin(&self, client: &Identity, free: usize) -> Option<TenantCall> {
        let share = share(free, client.weight);
        let mut calls = self.0.lock();
        match calls.get_mut(&client.tenant) {
            Some(running) if *running > share => return None,
            Some(running) => *running += 1,
            None => {
                calls.insert(Arc::clone(&client.tenant), 1);
            }
        }
        Some(TenantCall {
            calls: self.clone(),
            tenant: Arc::clone(&client.tenant),
        })
    }
}

impl Drop for TenantCall {
    fn drop(&mut self) {
        let mut calls = self.calls.0.lock();
        if let Some(running) = calls.get_mut(&self.tenant) {
            *running -= 1;
            if *running == 0 {
                calls.remove(&self.tenant);
            }
        }
    }
}
