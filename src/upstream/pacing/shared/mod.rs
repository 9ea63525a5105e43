//! An account that all replicas share, in Redis.
//!
//! What belongs to the API is shared: what is left of its limits, until when it
//! refuses, and what waits for it where. What belongs to a caller stays with
//! its replica: its place in the queue, its deadline, how long answers take.
//!
//! Only the first in line of a replica asks, and each question is one script,
//! so one round trip that no other decision comes between: it charges the call,
//! or tells how long to wait. Each question also tells what waits at the
//! replica, and holds the place of the first in line for a moment. So a batch
//! call is let in only beside what the interactive calls of all replicas wait
//! for, and among equals the older one goes first: no two of them wait for the
//! same token, and nobody is overtaken forever. A replica that dies is
//! forgotten when the moment is over.
//!
//! The account here is kept up as if it were alone and takes over the figures
//! of each answer. So estimates need no round trip, and when Redis is gone the
//! replica goes on with what it knows. A Redis that has forgotten everything is
//! told by the first replica that asks.
//!
//! A charge is settled, and the head of an answer taken over, beside the call
//! and without waiting. What gets lost (a replica is killed, Redis goes away) is
//! made up for by the next answer of the API: its figures are believed where
//! they differ. They may lie anywhere between the count at the charge and the
//! count of now; that holds for a shared count too, since what the replicas
//! have in flight lies in it.
//!
//! What others wait for is known as of their last question, so an estimate may
//! be a quarter of a second old. The first in line of a replica asks alone, so
//! a replica begins one call of a model for each round trip at most.
//!
//! The key in Redis has the API key's fingerprint in it, never the key.

mod admission;
mod books;

pub use admission::admit;
pub use books::SharedBooks;

use super::{account::Account, bucket::Cost, buckets::Levels};
use crate::{call::Priority, store::Store, upstream::RateLimits};
use books::{Ask, Observation};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Where a charge is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booking {
    /// In this process alone.
    Here,
    /// In Redis too.
    Shared,
    /// In Redis too, which did not know the limits yet.
    SharedEarly,
}

/// What became of a charge.
#[derive(Debug)]
pub struct Settlement {
    /// Where it is counted.
    pub booking: Booking,
    /// Of the call.
    pub priority: Priority,
    /// What was charged.
    pub charged: Cost,
    /// What was used.
    pub used: Cost,
    /// Until when the API refuses calls, if it refused this one.
    pub refused_until: Option<Instant>,
}

/// One account in Redis.
#[derive(Debug, Clone)]
pub struct Shared {
    books: Arc<SharedBooks>,
    /// Its key in Redis.
    name: Arc<str>,
}

// === impl Shared ===

impl Shared {
    /// The account of an API key, by its fingerprint, and a model.
    pub fn new(books: &Arc<SharedBooks>, fingerprint: &str, model: &str) -> Self {
        // The braces are what a cluster chooses the node by.
        let name = format!("claude-grpc:{{{fingerprint}:{model}}}:quota");
        Shared {
            books: Arc::clone(books),
            name: Arc::from(name),
        }
    }

    fn store(&self) -> &Store {
        self.books.store()
    }

    /// Takes over what the head of an answer told, here at once and in Redis
    /// soon.
    pub fn observe(
        &self,
        account: &Arc<Account>,
        told: &RateLimits,
        booking: Booking,
        at_charge: &Levels,
        charged: Cost,
    ) {
        account.take_over(told, at_charge, charged);
        if told.is_empty() {
            account.wake_next();
            return;
        }
        let observation = Observation {
            told: told.clone(),
            at_charge: (booking == Booking::Shared).then_some(*at_charge),
            early: match booking {
                Booking::SharedEarly => charged,
                _ => Cost::default(),
            },
            back: match booking {
                Booking::Here => Cost::default(),
                _ => charged,
            },
            cost: charged,
        };
        let this = self.clone();
        self.books.beside(account, async move {
            this.books.observe(&this.name, &observation).await;
        });
    }

    /// Settles a charge that was settled here, in Redis too, soon.
    pub fn settle(&self, account: &Arc<Account>, settlement: &Settlement) {
        let Settlement {
            booking,
            priority,
            charged,
            used,
            refused_until,
        } = *settlement;
        let refused_for = refused_until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if booking == Booking::Here && refused_for.is_zero() {
            account.wake_next();
            return;
        }
        let difference = match booking {
            Booking::Here => Cost::default(),
            _ => used.minus(charged),
        };
        let early = (booking == Booking::SharedEarly).then_some(charged);
        let this = self.clone();
        self.books.beside(account, async move {
            let settled = this
                .books
                .settle(&this.name, priority, difference, early, refused_for);
            settled.await;
        });
    }
}

#[cfg(test)]
mod tests;
