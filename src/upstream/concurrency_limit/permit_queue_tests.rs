//! Who gets a permit.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;

fn tenant(number: usize) -> Option<Holder> {
    Some(Holder::Tenant(Arc::from(number.to_string())))
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
fn alone(count: usize, tenants: [(&Option<Holder>, u32); 2]) -> [usize; 2] {
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
