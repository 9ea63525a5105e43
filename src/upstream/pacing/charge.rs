//! A call that was let in.

use super::{
    account::Account,
    bucket::Cost,
    buckets::Levels,
    shared::{Booking, Settlement},
};
use crate::{call::Priority, upstream::LimitsSeen};
use std::sync::Arc;
use tokio::time::Instant;

/// A call that was charged. It is settled when dropped: by what it used as far
/// as that is known.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    priority: Priority,
    cost: Cost,
    used: Cost,
    levels: Levels,
    booking: Booking,
    refused_until: Option<Instant>,
    began: Instant,
}

// === impl Charge ===

impl Charge {
    /// A charge that was made, with the levels right after it.
    pub fn new(
        account: &Arc<Account>,
        cost: Cost,
        priority: Priority,
        levels: Levels,
        booking: Booking,
    ) -> Self {
        let mut charge = Charge {
            account: Arc::clone(account),
            priority,
            cost,
            used: Cost::default(),
            levels,
            booking,
            refused_until: None,
            began: Instant::now(),
        };
        charge.begin();
        charge
    }

    /// From now on it counts as sent: dropped without another word, the call
    /// was cancelled, and the API has read it.
    pub fn begin(&mut self) {
        self.used = Cost {
            output_tokens: 0.0,
            ..self.cost
        };
    }

    /// The levels of the account's buckets right after the charge.
    #[cfg(test)]
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// Takes over what the head of the answer tells, long before a streamed
    /// answer ends.
    pub fn limits_seen(&self) -> LimitsSeen {
        let (account, levels) = (Arc::clone(&self.account), self.levels);
        let (booking, cost) = (self.booking, self.cost);
        match account.shared() {
            None => LimitsSeen::new(move |told| account.observe(told, &levels, cost)),
            Some(_) => LimitsSeen::new(move |told| {
                if let Some(shared) = account.shared() {
                    shared.observe(&account, told, booking, &levels, cost);
                }
            }),
        }
    }

    /// The answer has come, or has begun to.
    pub fn answered(&self) {
        self.account.lock().answered(self.began.elapsed());
    }

    /// What the call has used so far.
    pub fn uses(&mut self, used: Cost) {
        self.used = used;
    }

    /// The call failed: the API charges nothing for it.
    pub fn refund(&mut self) {
        self.used = Cost::default();
    }

    /// The API refused the call, and will refuse every other until then.
    pub fn refused(mut self, until: Instant) {
        self.refund();
        self.account.lock().block(until);
        self.refused_until = Some(until);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut state = self.account.lock();
        state.end(self.cost, self.used, self.priority);
        match self.account.shared() {
            None => state.wake_next(),
            Some(shared) => {
                drop(state);
                shared.settle(
                    &self.account,
                    &Settlement {
                        booking: self.booking,
                        priority: self.priority,
                        charged: self.cost,
                        used: self.used,
                        refused_until: self.refused_until,
                    },
                );
            }
        }
    }
}
