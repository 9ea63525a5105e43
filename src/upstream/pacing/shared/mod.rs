//! A quota that all replicas share, in Redis.
//!
//! The state of the API is shared: what is left of its limits, until when it
//! rejects calls of which shape, and which calls wait for it in which replica. The state of a
//! caller stays in its replica: its position in the queue, its deadline, how
//! long responses take.
//!
//! Only the first in the queue of a replica queries Redis, and each query is
//! one script, so one atomic round trip: it reserves the call, or returns the
//! time to wait. Each query also reports what waits in the replica, and keeps
//! the position of the first in the queue for a moment. So a batch call is
//! admitted only if the waiting interactive calls of all replicas leave room
//! for it, and among equals the one goes first that has been the first in its queue
//! for longer: no two of them wait for the same token, and no call is overtaken
//! forever. So replicas take turns, and within each its tenants do; Redis knows no
//! tenants. A replica that dies is forgotten after that moment.
//!
//! The local quota is maintained as if it were the only one, and adopts the
//! state in each answer. So estimates need no round trip, and when Redis is
//! unreachable the replica continues with what it knows. A Redis that has lost
//! its data gets the state from the first replica that queries it.
//!
//! Settling a reservation and applying response headers happen in the
//! background, without waiting. What gets lost (a replica is killed, Redis
//! fails) is corrected by the next response of the API: its numbers are adopted
//! where they differ. They may be anywhere between the count at the reservation
//! and the count now; that holds for a shared count too, since it includes what
//! the replicas have in flight.
//!
//! What other replicas wait for is known as of their last query, so an estimate
//! may be a quarter of a second old. Only the first in the queue of a replica
//! queries Redis, so a replica starts at most one call of a model per round
//! trip.
//!
//! The key in Redis contains the API key's fingerprint, never the key.

mod admission;
mod quotas;

pub use admission::admit;
pub use quotas::SharedQuotas;

use super::{bucket::Cost, buckets::Levels, quota::Quota};
use crate::{
    call::Priority,
    store::Store,
    upstream::{LimitKind, RateLimits, RequestShape},
};
use quotas::{AdmissionRequest, Observation};
use std::sync::Arc;
use tokio::time::Instant;

/// Where a reservation is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationScope {
    /// In this process only.
    Local,
    /// In this process and in Redis.
    Shared,
    /// In Redis too, before it knew the limits.
    SharedEarly,
}

/// The outcome of a reservation.
#[derive(Debug)]
pub struct Settlement {
    /// Where the reservation is counted.
    pub scope: ReservationScope,
    /// Priority of the call.
    pub priority: Priority,
    /// The reserved cost.
    pub charged: Cost,
    /// The actual cost.
    pub used: Cost,
    /// The shape of calls that the API rejects, and until when, if it rejected
    /// this one.
    pub rejected: Option<(RequestShape, Instant)>,
}

/// One quota in Redis.
#[derive(Debug, Clone)]
pub struct SharedQuota {
    quotas: Arc<SharedQuotas>,
    /// Name of its key in Redis.
    name: Arc<str>,
}

// === impl SharedQuota ===

impl SharedQuota {
    /// The quota of an API key, identified by its fingerprint, and a model, with
    /// the kind of its limits and those that are assumed.
    pub fn new(
        quotas: &Arc<SharedQuotas>,
        fingerprint: &str,
        model: &str,
        limits: LimitKind,
        assumed: Option<&RateLimits>,
    ) -> Self {
        let kind = match limits {
            LimitKind::Standard => "quota",
            LimitKind::LongContext => "long-context-quota",
        };
        // Redis keeps the limits that it knows: other ones begin with another quota.
        let assumed = assumed.map_or_else(String::new, |assumed| {
            let limits = [
                assumed.requests,
                assumed.input_tokens,
                assumed.output_tokens,
            ];
            let limits = limits.map(|it| it.map_or(0, |it| it.limit).to_string());
            format!(":{}", limits.join("-"))
        });
        // A Redis cluster selects the node by the part in braces.
        let name = format!("claude-grpc:{{{fingerprint}:{model}}}:{kind}{assumed}");
        SharedQuota {
            quotas: Arc::clone(quotas),
            name: Arc::from(name),
        }
    }

    fn store(&self) -> &Store {
        self.quotas.store()
    }

    /// Applies the response headers of a call, here at once and in Redis in the
    /// background.
    pub fn observe(
        &self,
        quota: &Arc<Quota>,
        reported: &RateLimits,
        scope: ReservationScope,
        at_reservation: &Levels,
        charged: Cost,
    ) {
        quota.take_over(reported, at_reservation, charged);
        if reported.is_empty() {
            quota.wake_next();
            return;
        }
        let observation = Observation {
            reported: reported.clone(),
            at_reservation: (scope == ReservationScope::Shared).then_some(*at_reservation),
            early: match scope {
                ReservationScope::SharedEarly => charged,
                _ => Cost::default(),
            },
            back: match scope {
                ReservationScope::Local => Cost::default(),
                _ => charged,
            },
            cost: charged,
        };
        let this = self.clone();
        self.quotas.in_background(quota, async move {
            this.quotas.observe(&this.name, &observation).await;
        });
    }

    /// Settles a reservation in Redis, in the background. It is already settled
    /// here.
    pub fn settle(&self, quota: &Arc<Quota>, settlement: &Settlement) {
        let Settlement {
            scope,
            priority,
            charged,
            used,
            rejected,
        } = *settlement;
        let rejected = rejected.map(|(shape, until)| {
            let rejected_for = until.saturating_duration_since(Instant::now());
            (shape, rejected_for)
        });
        if scope == ReservationScope::Local && rejected.is_none() {
            quota.wake_next();
            return;
        }
        let difference = match scope {
            ReservationScope::Local => Cost::default(),
            _ => used.minus(charged),
        };
        let early = (scope == ReservationScope::SharedEarly).then_some(charged);
        let this = self.clone();
        self.quotas.in_background(quota, async move {
            let settled = this
                .quotas
                .settle(&this.name, priority, difference, early, rejected);
            settled.await;
        });
    }
}

#[cfg(test)]
mod tests;
