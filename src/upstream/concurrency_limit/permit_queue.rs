//! Whose turn it is to get a permit. Data only: nothing waits here.
//!
//! A tenant gets one while it holds less than 16 times its weight as many as are
//! free. So one that begins alone leaves some to those that come later, however long
//! its calls take: of 200 permits, it gets 189. This is the dynamic threshold of
//! shared buffers (Choudhury, Hahne, 1998): the more tenants hold permits, the fewer
//! stay free. With 16 permits, a tenant alone gets all of them. So do, however many
//! there are, calls of nobody who is known, since they leave nothing to anybody.
//!
//! While calls wait, a permit that comes back goes to a waiting tenant that holds
//! less than its share of what the waiting tenants hold, so that one whose calls take
//! long does not hold more by and by. Among those, start-time fair queueing decides
//! (Goyal, Vin, Cheng: SFQ, 1996): with more tenants than permits, the share of each
//! is less than one. Within a tenant: first come, first served.
//!
//! A permit that comes back while calls wait costs a look at each tenant that waits.
//!
//! Written here because the crates with weighted queues order what is in them, and
//! do not know what those that left still hold.

use crate::call::Tenant;
use std::collections::{BTreeMap, HashMap};

/// A tenant of weight 1 may hold this many times as many permits as are free.
const SHARE_OF_FREE: u64 = 16;

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
    /// Whether it is a tenant, and not everybody.
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

    /// Takes a permit for a tenant, if there is one for it. A permit that was taken
    /// must be [released](Self::release).
    pub fn try_take(&mut self, tenant: &Tenant, weight: u32) -> bool {
        let free = self.free;
        if free == 0 {
            return false;
        }
        let share = self.share(tenant, weight);
        // Its calls may wait for less than there is, if its weight has been raised.
        if !share.waiters.is_empty() || !share.may_hold_more(free) {
            return false;
        }
        share.held += 1;
        self.free -= 1;
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

    /// Takes a permit back from a tenant. Then those that wait must get what is
    /// [granted](Self::grant) until nothing is.
    pub fn release(&mut self, tenant: &Tenant) {
        self.free += 1;
        if let Some(share) = self.shares.get_mut(tenant) {
            share.held -= 1;
            if self.waiting == 0 && share.held == 0 {
                self.shares.remove(tenant);
            }
        }
    }

    /// The call whose turn it is, if there is a permit for it: it must be handed over.
    pub fn grant(&mut self) -> Option<(Tenant, W)> {
        let tenant = self.next_tenant()?;
        let share = self.shares.get_mut(&tenant)?;
        let (_, waiter) = share.waiters.pop_first()?;
        share.held += 1;
        self.free -= 1;
        self.now = self.now.max(share.start);
        share.start += COST / share.weight;
        self.waiting -= 1;
        self.forget();
        Some((tenant, waiter))
    }

    fn next_tenant(&self) -> Option<Tenant> {
        if self.waiting == 0 || self.free == 0 {
            return None;
        }
        let waiting = || self.shares.iter().filter(|it| !it.1.waiters.is_empty());
        let weights: u64 = waiting().map(|(_, share)| share.weight).sum();
        // With the one that is granted.
        let permits = 1 + waiting().map(|(_, share)| share.held).sum::<usize>();
        // Together they hold one less, so one of them holds less than its share: the
        // one that holds least by its weight, which may hold more if any may.
        let is_below_share = |share: &TenantShare<W>| {
            share.held as u128 * u128::from(weights) < permits as u128 * u128::from(share.weight)
        };
        waiting()
            .filter(|(_, share)| is_below_share(share) && share.may_hold_more(self.free))
            .min_by_key(|(_, share)| (share.start, share.waiters.first_key_value().map(|it| it.0)))
            .map(|(tenant, _)| tenant.clone())
    }

    fn share(&mut self, tenant: &Tenant, weight: u32) -> &mut TenantShare<W> {
        if !self.shares.contains_key(tenant) {
            let share = TenantShare {
                is_known: tenant.is_some(),
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

impl<W> TenantShare<W> {
    /// Whether the tenant gets one of these permits.
    fn may_hold_more(&self, free: usize) -> bool {
        let most = (free as u64).saturating_mul(SHARE_OF_FREE * self.weight);
        !self.is_known || (self.held as u64) < most
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

    fn most(free: usize, weight: u32) -> usize {
        free * SHARE_OF_FREE as usize * weight as usize
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
            6 => (0_usize..4).prop_map(|tenant| Step::Acquire { tenant }),
            1 => any::<usize>().prop_map(|which| Step::Leave { which }),
            3 => any::<usize>().prop_map(|which| Step::Release { which }),
        ];
        prop::collection::vec(step, 0..400)
    }

    /// A queue, with what is expected of it.
    struct Model {
        /// Who waits: the number of the tenant, and the id.
        queue: PermitQueue<(usize, u64)>,
        weights: Vec<u32>,
        held: Vec<usize>,
        /// The ids of the calls of each tenant, in order of arrival.
        waiting: Vec<std::collections::VecDeque<u64>>,
    }

    impl Model {
        fn new(count: usize, weights: &[u32]) -> Self {
            Model {
                queue: PermitQueue::new(count),
                weights: weights.to_vec(),
                held: vec![0; weights.len()],
                waiting: vec![Default::default(); weights.len()],
            }
        }

        fn may_hold_more(&self, number: usize, free: usize) -> bool {
            self.held[number] < most(free, self.weights[number])
        }

        fn acquire(&mut self, number: usize) {
            let (tenant, weight) = (tenant(number), self.weights[number]);
            let may = self.may_hold_more(number, self.queue.free());
            assert_eq!(self.queue.try_take(&tenant, weight), may);
            if may {
                self.held[number] += 1;
            } else {
                let id = self.queue.next_id;
                assert_eq!(self.queue.push(&tenant, weight, (number, id)), id);
                self.waiting[number].push_back(id);
            }
        }

        fn leave(&mut self, number: usize, which: usize) {
            let calls = &mut self.waiting[number];
            if let Some(which) = which.checked_rem(calls.len())
                && let Some(id) = calls.remove(which)
            {
                self.queue.remove(&tenant(number), id);
            }
        }

        /// The numbers of the tenants that get a permit in its place.
        fn release(&mut self, number: usize) -> Vec<usize> {
            self.held[number] -= 1;
            self.queue.release(&tenant(number));
            let mut granted = Vec::new();
            loop {
                let free = self.queue.free();
                let Some((of, (next, id))) = self.queue.grant() else {
                    return granted;
                };
                assert_eq!(of, tenant(next));
                assert!(self.may_hold_more(next, free));
                assert_eq!(
                    self.waiting[next].pop_front(),
                    Some(id),
                    "in order of arrival"
                );
                self.held[next] += 1;
                granted.push(next);
            }
        }

        /// The number of a tenant that holds a permit.
        fn holder(&self, which: usize) -> Option<usize> {
            let holds = (0..self.held.len()).filter(|it| self.held[*it] > 0);
            let holds: Vec<usize> = holds.collect();
            which.checked_rem(holds.len()).map(|which| holds[which])
        }
    }

    proptest! {
        #[test]
        fn no_permit_is_lost_and_nobody_is_forgotten(
            count in 1_usize..60,
            weights in prop::array::uniform4(1_u32..4),
            steps in steps(),
        ) {
            let mut model = Model::new(count, &weights);
            for step in steps {
                match step {
                    Step::Acquire { tenant } => model.acquire(tenant),
                    Step::Leave { which } => model.leave(which % 4, which / 4),
                    Step::Release { which } => {
                        if let Some(number) = model.holder(which) {
                            model.release(number);
                        }
                    }
                }
                let Model { queue, held, waiting, .. } = &model;
                prop_assert_eq!(queue.free() + held.iter().sum::<usize>(), count);
                prop_assert_eq!(queue.waiting(), waiting.iter().map(|it| it.len()).sum::<usize>());
                // Work conserving, up to what a tenant may hold.
                let waits = (0..4).filter(|it| !waiting[*it].is_empty());
                for number in waits {
                    prop_assert!(!model.may_hold_more(number, queue.free()));
                }
            }
            // Everybody who waits gets a permit in the end.
            while let Some(number) = model.holder(0) {
                model.release(number);
            }
            prop_assert!(model.waiting.iter().all(|it| it.is_empty()));
            prop_assert_eq!(model.queue.free(), count);
            prop_assert!(model.queue.shares.is_empty());
        }

        /// Whatever the number of permits, also if it is less than that of the
        /// tenants.
        #[test]
        fn shares_are_by_weight(
            count in 1_usize..100,
            weights in prop::collection::vec(1_u32..6, 2..12),
        ) {
            let mut model = Model::new(count, &weights);
            let mut held = std::collections::VecDeque::new();
            // Each has more than it can get, the first one far more.
            for number in 0..weights.len() {
                for _ in 0..count * if number == 0 { 9 } else { 1 } {
                    let before = model.held[number];
                    model.acquire(number);
                    held.extend((before < model.held[number]).then_some(number));
                }
            }
            let total: u32 = weights.iter().sum();
            let rounds = 200;
            let mut got = vec![0_u32; weights.len()];
            // The permits that were taken before anybody waited come back first.
            let mut turns = 0;
            while turns < count + (rounds * total) as usize {
                let number = held.pop_front().expect("permits are held");
                for next in model.release(number) {
                    model.acquire(next);
                    held.push_back(next);
                    turns += 1;
                    if turns > count {
                        got[next] += 1;
                    }
                }
            }
            for (number, weight) in weights.iter().enumerate() {
                let share = f64::from(got[number]) / f64::from(rounds * weight);
                prop_assert!((0.9..=1.1).contains(&share), "{number}: {got:?} {weights:?}");
            }
        }
    }

    /// How many permits a tenant of a weight gets, and then another one.
    fn alone(count: usize, tenants: [(&Tenant, u32); 2]) -> [usize; 2] {
        let mut queue = PermitQueue::<()>::new(count);
        tenants.map(|(tenant, weight)| {
            let takes = (0..count).take_while(|_| queue.try_take(tenant, weight));
            takes.count()
        })
    }

    #[test]
    fn one_that_begins_alone_leaves_some_to_others() {
        let (one, other) = (&tenant(0), &tenant(1));
        assert_eq!(alone(200, [(one, 1), (other, 1)]), [189, 11]);
        assert_eq!(alone(200, [(one, 4), (other, 1)]), [197, 3]);
        assert_eq!(alone(50, [(one, 1), (other, 1)]), [48, 2]);
        assert_eq!(alone(17, [(one, 1), (other, 1)]), [16, 1]);
        assert_eq!(alone(16, [(one, 1), (other, 1)]), [16, 0]);
        // Calls of nobody who is known.
        assert_eq!(alone(200, [(&None, 1), (other, 1)]), [200, 0]);
    }

    #[test]
    fn one_that_comes_back_may_let_two_calls_begin() {
        let mut model = Model::new(133, &[1, 1, 1]);
        for (number, calls) in [(2, 100), (0, 16), (1, 16)] {
            for _ in 0..calls {
                model.acquire(number);
            }
        }
        // One is free, and each holds too many for it.
        for number in [1, 0, 2] {
            model.acquire(number);
        }
        assert_eq!((model.queue.free(), model.queue.waiting()), (1, 3));
        assert_eq!(model.release(0), [1, 0]);
        assert_eq!((model.queue.free(), model.queue.waiting()), (0, 1));
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
            queue.release(&short);
            let (_, next) = queue.grant().unwrap();
            long_held += usize::from(next == 0);
        }
        assert_eq!(long_held, 5);
    }
}
