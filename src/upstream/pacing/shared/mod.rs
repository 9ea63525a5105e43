//! A quota that all replicas share, in Redis.
//!
//! What belongs to the API is shared: what is left of its limits, until when it
//! refuses, and what waits for it where. What belongs to a caller stays with
//! its replica: its place in the queue, its deadline, how long answers take.
//!
//! Only the first in line of a replica asks, and each question is one script,
//! so one round trip that no other decision comes between: it reserves for the call,
//! or tells how long to wait. Each question also tells what waits at the
//! replica, and holds the place of the first in line for a moment. So a batch
//! call is let in only beside what the interactive calls of all replicas wait
//! for, and among equals the older one goes first: no two of them wait for the
//! same token, and nobody is overtaken forever. A replica that dies is
//! forgotten when the moment is over.
//!
//! The quota here is kept up as if it were alone and takes over the figures
//! of each answer. So estimates need no round trip, and when Redis is gone the
//! replica goes on with what it knows. A Redis that has forgotten everything is
//! told by the first replica that asks.
//!
//! A reservation is settled, and the head of an answer taken over, beside the call
//! and without waiting. What gets lost (a replica is killed, Redis goes away) is
//! made up for by the next answer of the API: its figures are believed where
//! they differ. They may lie anywhere between the count at the reservation and the
//! count of now; that holds for a shared count too, since what the replicas
//! have in flight lies in it.
//!
//! What others wait for is known as of their last question, so an estimate may
//! be a quarter of a second old. The first in line of a replica asks alone, so
//! a replica begins one call of a model for each round trip at most.
//!
//! The key in Redis has the API key's fingerprint in it, never the key.

mod admission;
mod quotas;

pub use admission::admit;
pub use quotas::SharedQuotas;

use super::{bucket::Cost, buckets::Levels, quota::Quota};
use crate::{call::Priority, store::Store, upstream::RateLimits};
use quotas::{AdmissionRequest, Observation};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Where a reservation is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationScope {
    /// In this process alone.
    Local,
    /// In Redis too.
    Shared,
    /// In Redis too, which did not know the limits yet.
    SharedEarly,
}

/// What became of a reservation.
#[derive(Debug)]
pub struct Settlement {
    /// Where it is counted.
    pub scope: ReservationScope,
    /// Of the call.
    pub priority: Priority,
    /// What was charged.
    pub charged: Cost,
    /// What was used.
    pub used: Cost,
    /// Until when the API refuses calls, if it refused this one.
    pub refused_until: Option<Instant>,
}

/// One quota in Redis.
#[derive(Debug, Clone)]
pub struct SharedQuota {
    quotas: Arc<SharedQuotas>,
    /// Its key in Redis.
    name: Arc<str>,
}

// === impl SharedQuota ===

impl SharedQuota {
    /// The quota of an API key, by its fingerprint, and a model.
    pub fn new(quotas: &Arc<SharedQuotas>, fingerprint: &str, model: &str) -> Self {
        // The braces are what a cluster chooses the node by.
        let name = format!("claude-grpc:{{{fingerprint}:{model}}}:quota");
        SharedQuota {
            quotas: Arc::clone(quotas),
            name: Arc::from(name),
        }
    }

    fn store(&self) -> &Store {
        self.quotas.store()
    }

    /// Takes over what the head of an answer told, here at once and in Redis
    /// soon.
    pub fn observe(
        &self,
        quota: &Arc<Quota>,
        told: &RateLimits,
        scope: ReservationScope,
        at_charge: &Levels,
        charged: Cost,
    ) {
        quota.take_over(told, at_charge, charged);
        if told.is_empty() {
            quota.wake_next();
            return;
        }
        let observation = Observation {
            told: told.clone(),
            at_charge: (scope == ReservationScope::Shared).then_some(*at_charge),
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

    /// Settles a reservation that was settled here, in Redis too, soon.
    pub fn settle(&self, quota: &Arc<Quota>, settlement: &Settlement) {
        let Settlement {
            scope,
            priority,
            charged,
            used,
            refused_until,
        } = *settlement;
        let refused_for = refused_until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if scope == ReservationScope::Local && refused_for.is_zero() {
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
                .settle(&this.name, priority, difference, early, refused_for);
            settled.await;
        });
    }
}

#[cfg(test)]
mod tests;
