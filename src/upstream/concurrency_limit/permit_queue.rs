//! Whose turn it is to get a permit. Data only: nothing waits here.
//!
//! While permits are free, anybody gets one. While none is, a permit that comes
//! back goes to a waiting tenant that holds less than its share of what the
//! waiting tenants hold, so that one whose calls take long does not hold more by
//! and by. Among those, start-time fair queueing decides (Goyal, Vin, Cheng: SFQ,
//! 1996): with more tenants than permits, the share of each is less than one.
//! Within a tenant: first come, first served.
//!
//! A permit that is waited for costs a look at each tenant that waits.
//!
//! Written here because the crates with weighted queues order what is in them, and
//! do not know what those that left still hold.

use crate::call::Tenant;
use std::collections::{BTreeMap, HashMap};

/// What one permit costs a tenant of weight 1, in virtual time.
const COST: u64 = 1 << 20;

/// The permits, and the calls that wait for one. `W` is how a waiting call
/// receives its permit.
#[derive(Debug)]
pub struct PermitQueue<W> {
    free: usize,
    /// The tenants that hold a permit, wait for one, or have waited recently.
    shares: HashMap<Tenant, TenantShare<W>>,
    /// Virtual time: the start of the last permit that was waited for. 0 when no
    /// call waits.
    now: u64,
    next_id: u64,
    waiting: usize,
}

#[derive(Debug)]
struct TenantShare<W> {
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

    /// Permits that nobody holds. No call waits while there is one.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes a permit for a tenant, if one is free. A permit that was taken must
    /// be [released](Self::release).
    pub fn try_take(&mut self, tenant: &Tenant, weight: u32) -> bool {
        if self.free == 0 {
            return false;
        }
        self.free -= 1;
        self.share(tenant, weight).held += 1;
        true
    }

    /// Appends a call of a tenant: returns its id.
    pub fn push(&mut self, tenant: &Tenant, weight: u32, waiter: W) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting += 1;
        let now = self.now;
        let share = self.share(tenant, weight);
        if share.waiters.is_empty() {
            // One that did not wait gains nothing by it.
            share.start = share.start.max(now);
        }
        share.waiters.insert(id, waiter);
        id
    }

    /// Removes a call that no longer waits. Has no effect if it got its permit.
    pub fn remove(&mut self, tenant: &Tenant, id: u64) {
        let share = self.shares.get_mut(tenant);
        if share.is_some_and(|share| share.waiters.remove(&id).is_some()) {
            self.waiting -= 1;
            self.forget();
        }
    }

    /// Takes a permit back from a tenant. If a call waits, the permit is that
    /// call's: it must be handed over.
    pub fn release(&mut self, tenant: &Tenant) -> Option<(Tenant, W)> {
        if let Some(share) = self.shares.get_mut(tenant) {
            share.held -= 1;
            if self.waiting == 0 && share.held == 0 {
                self.shares.remove(tenant);
            }
        }
        let next = self.grant();
        if next.is_none() {
            self.free += 1;
        }
        next
    }

    /// The call whose turn it is, with a permit.
    fn grant(&mut self) -> Option<(Tenant, W)> {
        let tenant = self.next_tenant()?;
        let share = self.shares.get_mut(&tenant)?;
        let (_, waiter) = share.waiters.pop_first()?;
        share.held += 1;
        self.now = self.now.max(share.start);
        share.start += COST / share.weight;
        self.waiting -= 1;
        self.forget();
        Some((tenant, waiter))
    }

    fn next_tenant(&self) -> Option<Tenant> {
        if self.waiting == 0 {
            return None;
        }
        let waiting = || self.shares.iter().filter(|it| !it.1.waiters.is_empty());
        let weights: u64 = waiting().map(|(_, share)| share.weight).sum();
        // With the one that came back.
        let permits = 1 + waiting().map(|(_, share)| share.held).sum::<usize>();
        // Together they hold one less, so one of them holds less than its share.
        let is_below_share = |share: &TenantShare<W>| {
            share.held as u128 * u128::from(weights) < permits as u128 * u128::from(share.weight)
        };
        waiting()
            .filter(|(_, share)| is_below_share(share))
            .min_by_key(|(_, share)| (share.start, share.waiters.first_key_value().map(|it| it.0)))
            .map(|(tenant, _)| tenant.clone())
    }

    fn share(&mut self, tenant: &Tenant, weight: u32) -> &mut TenantShare<W> {
        if !self.shares.contains_key(tenant) {
            let share = TenantShare {
                weight: 1,
                held: 0,
                start: self.now,
                waiters: BTreeMap::new(),
            };
            self.shares.insert(tenant.clone(), share);
        }
        let share = self.shares.get_mut(tenant).expect("it was inserted");
        // The clients file may have been reloaded.
        share.weight = u64::from(weight.max(1));
        share
    }

    /// When no call waits, every tenant had its turn.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn tenant(number: usize) -> Tenant {
        Some(Arc::from(number.to_string()))
    }

    /// What happens to the queue.
    #[derive(Debug, Clone)]
    enum Step {
        Acquire { tenant: usize },
        Leave { which: usize },
        Release { which: usize },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0_usize..4).prop_map(|tenant| Step::Acquire { tenant }),
            1 => any::<usize>().prop_map(|which| Step::Leave { which }),
            2 => any::<usize>().prop_map(|which| Step::Release { which }),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn no_permit_is_lost_and_nobody_is_forgotten(
            count in 1_usize..5,
            weights in prop::array::uniform4(1_u32..9),
            steps in steps(),
        ) {
            let mut queue = PermitQueue::new(count);
            let mut held: Vec<Tenant> = Vec::new();
            let mut waiting: Vec<(Tenant, u64)> = Vec::new();
            let mut asked = 0_u64;
            for step in steps {
                match step {
                    Step::Acquire { tenant: number } => {
                        let tenant = tenant(number);
                        if queue.try_take(&tenant, weights[number]) {
                            held.push(tenant);
                        } else {
                            let id = queue.push(&tenant, weights[number], asked);
                            prop_assert_eq!(id, asked);
                            asked += 1;
                            waiting.push((tenant, id));
                        }
                    }
                    Step::Leave { which } if !waiting.is_empty() => {
                        let (tenant, id) = waiting.remove(which % waiting.len());
                        queue.remove(&tenant, id);
                    }
                    Step::Release { which } if !held.is_empty() => {
                        let tenant = held.swap_remove(which % held.len());
                        match queue.release(&tenant) {
                            Some((next, id)) => {
                                let first = waiting.iter().position(|it| it.0 == next);
                                let first = waiting.remove(first.expect("it waits"));
                                // In order of arrival within the tenant.
                                prop_assert_eq!(first, (next.clone(), id));
                                held.push(next);
                            }
                            // Work conserving.
                            None => prop_assert!(waiting.is_empty()),
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.free() + held.len(), count);
                prop_assert_eq!(queue.waiting(), waiting.len());
                prop_assert!(queue.free() == 0 || waiting.is_empty());
            }
            // Everybody who waits gets a permit in the end.
            while let Some(tenant) = held.pop() {
                if let Some((next, id)) = queue.release(&tenant) {
                    waiting.retain(|it| *it != (next.clone(), id));
                    held.push(next);
                }
            }
            prop_assert!(waiting.is_empty());
            prop_assert_eq!(queue.free(), count);
            prop_assert!(queue.shares.is_empty());
        }

        /// Whatever the number of permits, also if it is less than that of the
        /// tenants.
        #[test]
        fn shares_are_by_weight(
            count in 1_usize..30,
            weights in prop::collection::vec(1_u32..6, 2..12),
        ) {
            let mut queue = PermitQueue::new(count);
            let mut held = std::collections::VecDeque::new();
            let mut got = vec![0_u32; weights.len()];
            // Each has more than it can get, the first one far more.
            for (number, weight) in weights.iter().enumerate() {
                for _ in 0..count * if number == 0 { 9 } else { 1 } {
                    match queue.try_take(&tenant(number), *weight) {
                        true => held.push_back(number),
                        false => {
                            queue.push(&tenant(number), *weight, number);
                        }
                    }
                }
            }
            let total: u32 = weights.iter().sum();
            let rounds = 200;
            // The permits that were taken before anybody waited come back first.
            for turn in 0..count + (rounds * total) as usize {
                let number = held.pop_front().expect("every permit is held");
                let (_, next) = queue.release(&tenant(number)).expect("somebody waits");
                queue.push(&tenant(next), weights[next], next);
                held.push_back(next);
                if turn >= count {
                    got[next] += 1;
                }
            }
            for (number, weight) in weights.iter().enumerate() {
                let share = f64::from(got[number]) / f64::from(rounds * weight);
                prop_assert!((0.9..=1.1).contains(&share), "{number}: {got:?} {weights:?}");
            }
        }
    }

    #[test]
    fn one_whose_calls_take_long_holds_no_more_than_its_share() {
        let mut queue = PermitQueue::new(10);
        let (long, short) = (tenant(0), tenant(1));
        for _ in 0..10 {
            assert!(queue.try_take(&short, 1));
        }
        for _ in 0..100 {
            queue.push(&long, 1, 0);
            queue.push(&short, 1, 1);
        }
        // The calls of one end all the time, those of the other never do.
        let mut long_held = 0;
        for _ in 0..50 {
            let (_, next) = queue.release(&short).unwrap();
            long_held += usize::from(next == 0);
        }
        assert_eq!(long_held, 5);
    }
}
