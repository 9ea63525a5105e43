//! Whose turn it is to get a permit. Data only: nothing waits here.
//!
//! A holder, which is a tenant or a peer, gets one while it holds less than 16 times its weight as many as are
//! free. So one that begins alone leaves some to those that come later, however long
//! its calls take: of 200 permits, it gets 189. This is the dynamic threshold of
//! shared buffers (Choudhury, Hahne, 1998): the more of them hold permits, the fewer
//! stay free. With 16 permits, a holder alone gets all of them. So do, however many
//! there are, calls of nobody who is known, since they leave nothing to anybody.
//!
//! While calls wait, a permit that comes back goes to a waiting holder that holds
//! less than its share of what the waiting holders hold, so that one whose calls take
//! long does not hold more by and by. Among those, start-time fair queueing decides
//! (Goyal, Vin, Cheng: SFQ, 1996): with more holders than permits, the share of each
//! is less than one. Within a holder: first come, first served.
//!
//! A permit that comes back while calls wait costs a look at each holder that waits.
//!
//! Written here because the crates with weighted queues order what is in them, and
//! do not know what those that left still hold.

use crate::call::Holder;
use std::collections::{BTreeMap, HashMap};

/// A holder of weight 1 may hold this many times as many permits as are free.
const SHARE_OF_FREE: u64 = 16;

/// What one permit costs a holder of weight 1, in virtual time.
const COST: u64 = 1 << 20;

/// The permits, and the calls that wait for one. `W` is how a waiting call
/// receives its permit.
#[derive(Debug)]
pub struct PermitQueue<W> {
    free: usize,
    /// The holders that hold a permit, wait for one, or have waited recently.
    shares: HashMap<Option<Holder>, HolderShare<W>>,
    /// Virtual time: the start of the last permit that was waited for. 0 when no
    /// call waits.
    now: u64,
    next_id: u64,
    waiting: usize,
}

#[derive(Debug)]
struct HolderShare<W> {
    /// Whether it is a holder, and not everybody.
    is_known: bool,
    weight: u64,
    held: usize,
    /// The virtual time at which its next permit starts.
    start: u64,
    /// By id, so in order of arrival.
    waiters: BTreeMap<u64, W>,
}

// === impl PermitQueue ===

impl<W> PermitQueue<W> {
    /// A queue for `count` permits, all of them free.
    pub fn new(count: usize) -> Self {
        PermitQueue {
            free: count,
            shares: HashMap::new(),
            now: 0,
            next_id: 0,
            waiting: 0,
        }
    }

    /// Permits that nobody holds. Those that wait hold too many for another one.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a permit for a holder, if there is one for it. A permit that was taken
    /// must be [released](Self::release).
    pub fn try_take(&mut self, holder: &Option<Holder>, weight: u32) -> bool {
        let free = self.free;
        if free == 0 {
            return false;
        }
        let share = self.share(holder, weight);
        // Its calls may wait for less than there is, if its weight has been raised.
        if !share.waiters.is_empty() || !share.may_hold_more(free) {
            return false;
        }
        share.held += 1;
        self.free -= 1;
        true
    }

    /// Appends a call of a holder: returns its id.
    pub fn push(&mut self, holder: &Option<Holder>, weight: u32, waiter: W) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting += 1;
        let now = self.now;
        let share = self.share(holder, weight);
        if share.waiters.is_empty() {
            // One that did not wait gains nothing by it.
            share.start = share.start.max(now);
        }
        share.waiters.insert(id, waiter);
        id
    }

    /// Removes a call that no longer waits. Has no effect if it got its permit.
    pub fn remove(&mut self, holder: &Option<Holder>, id: u64) {
        let share = self.shares.get_mut(holder);
        if share.is_some_and(|share| share.waiters.remove(&id).is_some()) {
            self.waiting -= 1;
            self.forget();
        }
    }

    /// Takes a permit back from a holder. Then those that wait must get what is
    /// [granted](Self::grant) until nothing is.
    pub fn release(&mut self, holder: &Option<Holder>) {
        self.free += 1;
        if let Some(share) = self.shares.get_mut(holder) {
            share.held -= 1;
            if self.waiting == 0 && share.held == 0 {
                self.shares.remove(holder);
            }
        }
    }

    /// The call whose turn it is, if there is a permit for it: it must be handed over.
    pub fn grant(&mut self) -> Option<(Option<Holder>, W)> {
        let holder = self.next_holder()?;
        let share = self.shares.get_mut(&holder)?;
        let (_, waiter) = share.waiters.pop_first()?;
        share.held += 1;
        self.free -= 1;
        self.now = self.now.max(share.start);
        share.start += COST / share.weight;
        self.waiting -= 1;
        self.forget();
        Some((holder, waiter))
    }

    fn next_holder(&self) -> Option<Option<Holder>> {
        if self.waiting == 0 || self.free == 0 {
            return None;
        }
        let waiting = || self.shares.iter().filter(|it| !it.1.waiters.is_empty());
        let weights: u64 = waiting().map(|(_, share)| share.weight).sum();
        // With the one that is granted.
        let permits = 1 + waiting().map(|(_, share)| share.held).sum::<usize>();
        // Together they hold one less, so one of them holds less than its share: the
        // one that holds least by its weight, which may hold more if any may.
        let is_below_share = |share: &HolderShare<W>| {
            share.held as u128 * u128::from(weights) < permits as u128 * u128::from(share.weight)
        };
        waiting()
            .filter(|(_, share)| is_below_share(share) && share.may_hold_more(self.free))
            .min_by_key(|(_, share)| (share.start, share.waiters.first_key_value().map(|it| it.0)))
            .map(|(holder, _)| holder.clone())
    }

    fn share(&mut self, holder: &Option<Holder>, weight: u32) -> &mut HolderShare<W> {
        if !self.shares.contains_key(holder) {
            let share = HolderShare {
                is_known: holder.is_some(),
                weight: 1,
                held: 0,
                start: self.now,
                waiters: BTreeMap::new(),
            };
            self.shares.insert(holder.clone(), share);
        }
        let share = self.shares.get_mut(holder).expect("it was inserted");
        // The clients file may have been reloaded.
        share.weight = u64::from(weight.max(1));
        share
    }

    /// When no call waits, every holder had its turn.
    fn forget(&mut self) {
        if self.waiting > 0 {
            return;
        }
        self.now = 0;
        self.shares.retain(|_, share| {
            share.start = 0;
            share.held > 0
        });
    }
}

impl<W> HolderShare<W> {
    /// Whether the holder gets one of these permits.
    fn may_hold_more(&self, free: usize) -> bool {
        let most = (free as u64).saturating_mul(SHARE_OF_FREE * self.weight);
        !self.is_known || (self.held as u64) < most
    }
}

#[cfg(test)]
#[path = "permit_queue_tests.rs"]
mod tests;
