//! Whose turn it is.

use super::*;
use crate::call::Priority;
use proptest::prelude::*;
use std::collections::VecDeque;

/// The part of the limits that one request is.
const PART: f64 = 0.001;

fn tenant(number: usize) -> Option<Holder> {
    Some(Holder::Tenant(Arc::from(number.to_string())))
}

fn rank(holder: &Option<Holder>, weight: u32) -> Rank<'_> {
    Rank {
        priority: Priority::Interactive,
        holder,
        weight,
    }
}

fn requests(requests: f64) -> Cost {
    Cost {
        requests,
        ..Cost::default()
    }
}

fn part(cost: Cost) -> f64 {
    cost.requests * PART
}

/// A queue, with what is expected of it.
struct Model {
    queue: Queue,
    weights: Vec<u32>,
    /// Id and cost of the calls of each tenant, in order of arrival.
    waiting: Vec<VecDeque<(u64, f64)>>,
    next_id: u64,
}

impl Model {
    fn new(weights: &[u32]) -> Self {
        Model {
            queue: Queue::default(),
            weights: weights.to_vec(),
            waiting: vec![VecDeque::new(); weights.len()],
            next_id: 0,
        }
    }

    fn push(&mut self, number: usize, cost: f64) {
        let id = self.next_id;
        self.next_id += 1;
        let rank_of = tenant(number);
        let rank = rank(&rank_of, self.weights[number]);
        self.queue.push(id, rank, requests(cost));
        self.waiting[number].push_back((id, cost));
    }

    /// Admits the first in the queue: the number of its tenant, and its cost.
    fn admit(&mut self) -> Option<(usize, f64)> {
        let (number, cost, _turn) = self.take_turn()?;
        Some((number, cost))
    }

    /// The same, with its turn.
    fn take_turn(&mut self) -> Option<(usize, f64, TakenTurn)> {
        let (id, _) = self.queue.first()?;
        let first = |calls: &VecDeque<(u64, f64)>| calls.front().is_some_and(|it| it.0 == id);
        let number = self.waiting.iter().position(first);
        let number = number.expect("the first in the queue is the first of its tenant");
        let (_, cost) = self.waiting[number].pop_front()?;
        let turn = self.queue.admitted(&tenant(number), id, cost * PART);
        Some((number, cost, turn.expect("it waited")))
    }

    fn leave(&mut self, number: usize, which: usize) {
        let calls = &mut self.waiting[number];
        if let Some(which) = which.checked_rem(calls.len())
            && let Some((id, _)) = calls.remove(which)
        {
            self.queue.remove(&tenant(number), id);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push { tenant: usize, cost: f64 },
    Leave { tenant: usize, which: usize },
    Admit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_usize..5, 0.1..50.0).prop_map(|(tenant, cost)| Step::Push { tenant, cost }),
        1 => (0_usize..5, any::<usize>()).prop_map(|(tenant, which)| Step::Leave { tenant, which }),
        2 => Just(Step::Admit),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn nobody_is_lost_and_nothing_is_kept(
        weights in prop::array::uniform5(1_u32..1000),
        steps in steps(),
    ) {
        let mut model = Model::new(&weights);
        for step in steps {
            match step {
                Step::Push { tenant, cost } => model.push(tenant, cost),
                Step::Leave { tenant, which } => model.leave(tenant, which),
                Step::Admit => {
                    model.admit();
                }
            }
            let (queue, calls) = (&model.queue, model.waiting.iter().flatten());
            let waits: Vec<usize> = (0..5).filter(|it| !model.waiting[*it].is_empty()).collect();
            prop_assert_eq!(queue.len(), calls.clone().count());
            let total: f64 = calls.map(|(_, cost)| cost).sum();
            prop_assert!((queue.cost().requests - total).abs() < 1e-6);
            prop_assert_eq!(queue.firsts.len(), waits.len());
            let together: u32 = waits.iter().map(|it| weights[*it]).sum();
            prop_assert_eq!(queue.weight, u64::from(together));
            prop_assert_eq!(queue.shares.len(), waits.len() + queue.absent.len());
            prop_assert!(queue.absent.iter().all(|(start, _)| *start > queue.now));
        }
        // Everybody has a turn in the end.
        while model.admit().is_some() {}
        prop_assert!(model.waiting.iter().all(VecDeque::is_empty));
        prop_assert!(model.queue.is_empty() && model.queue.shares.is_empty());
        prop_assert!(model.queue.absent.is_empty() && model.queue.now == 0);
    }

    /// What start-time fair queueing promises: while two tenants wait, what each has
    /// got by its weight differs by at most one call of each.
    #[test]
    fn shares_are_by_weight_whatever_the_calls_cost(
        tenants in prop::collection::vec((1_u32..6, 0.1..50.0), 2..12),
        turns in 1_usize..500,
    ) {
        let (weights, costs): (Vec<u32>, Vec<f64>) = tenants.into_iter().unzip();
        let mut model = Model::new(&weights);
        // Each has more than it can get, the first one far more.
        for (number, cost) in costs.iter().enumerate() {
            for _ in 0..if number == 0 { 50 } else { 2 } {
                model.push(number, *cost);
            }
        }
        let mut got = vec![0.0; weights.len()];
        for _ in 0..turns {
            let (number, cost) = model.admit().expect("calls wait");
            got[number] += cost;
            model.push(number, cost);
        }
        let by_weight = |number: usize, cost: f64| cost / f64::from(weights[number]);
        for one in 0..weights.len() {
            for other in 0..one {
                let difference = by_weight(one, got[one]) - by_weight(other, got[other]);
                let most = by_weight(one, costs[one]) + by_weight(other, costs[other]);
                prop_assert!(difference.abs() <= most + 1e-6, "{one}, {other}: {got:?}");
            }
        }
    }

    /// However long it has been absent, and whatever it got before.
    #[test]
    fn one_that_comes_waits_for_one_call_of_each_other_at_most(
        turns in 0_usize..100,
        others in 1_usize..20,
    ) {
        let mut model = Model::new(&vec![1; others + 1]);
        for number in 0..others {
            for _ in 0..100 {
                model.push(number, 7.0);
            }
        }
        for _ in 0..turns {
            model.admit();
        }
        model.push(others, 7.0);
        let turn = std::iter::from_fn(|| model.admit()).position(|(number, _)| number == others);
        prop_assert!(turn.is_some_and(|turn| turn <= others), "{turn:?}");
    }

    #[test]
    fn one_tenant_alone_is_served_as_it_comes(costs in prop::collection::vec(0.1..50.0, 1..50)) {
        let mut model = Model::new(&[3]);
        let mut total = 0.0;
        for cost in &costs {
            let (tenant, total_before) = (tenant(0), total);
            let before = model.queue.cost_before(rank(&tenant, 3), requests(*cost), part);
            prop_assert!((before.requests - total_before).abs() < 1e-6);
            model.push(0, *cost);
            total += cost;
        }
        for id in 0..costs.len() {
            prop_assert_eq!(model.queue.first().map(|it| it.0), Some(id as u64));
            model.admit();
        }
    }
}

proptest! {
    // Each has thousands of turns.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever was reserved, and however many calls are in flight until they are
    /// settled.
    #[test]
    fn shares_are_those_of_actual_use(
        tenants in prop::collection::vec((1_u32..6, 1.0..5.0, 0.1..1.0), 2..6),
        in_flight in 0_usize..5,
    ) {
        let weights: Vec<u32> = tenants.iter().map(|it| it.0).collect();
        let together: f64 = weights.iter().copied().map(f64::from).sum();
        let mut model = Model::new(&weights);
        for (number, (_, cost, _)) in tenants.iter().enumerate() {
            for _ in 0..40 {
                model.push(number, *cost);
            }
        }
        let mut used = vec![0.0; tenants.len()];
        let mut open = VecDeque::new();
        let mut total = 0.0;
        while total < 500.0 * together {
            let (number, cost, turn) = model.take_turn().expect("calls wait");
            model.push(number, cost);
            let uses = cost * tenants[number].2;
            open.push_back((turn, uses));
            used[number] += uses / f64::from(weights[number]);
            total += uses;
            if open.len() > in_flight && let Some((turn, uses)) = open.pop_front() {
                model.queue.settle(&turn, uses * PART);
            }
        }
        let mean = used.iter().sum::<f64>() / used.len() as f64;
        for used in &used {
            prop_assert!((0.9..=1.1).contains(&(used / mean)), "{used} of {mean}");
        }
    }
}

#[test]
fn what_goes_before_is_foreseen() {
    // Two with weight 1 and many calls, one with weight 2.
    let mut model = Model::new(&[1, 1, 2, 1]);
    for _ in 0..100 {
        model.push(0, 1.0);
        model.push(1, 1.0);
    }
    let foreseen = |model: &Model, number: usize| {
        let tenant = tenant(number);
        let rank = rank(&tenant, model.weights[number]);
        let before = model.queue.cost_before(rank, requests(1.0), part);
        (before.requests * 1000.0).round() / 1000.0
    };
    // All the calls of its own, and the others have as many turns meanwhile.
    assert_eq!(foreseen(&model, 0), 200.0);
    assert_eq!(foreseen(&model, 3), 2.0);
    assert_eq!(foreseen(&model, 2), 1.0);
    for _ in 0..9 {
        model.push(2, 1.0);
    }
    // Nine of its own, and five turns of each of two others.
    assert_eq!(foreseen(&model, 2), 9.0 + 10.0);
    let mut before = 0;
    let mut left = 9;
    while left > 0 {
        let (number, _) = model.admit().expect("calls wait");
        before += usize::from(number != 2);
        left -= usize::from(number == 2);
    }
    assert!((8..=10).contains(&before), "{before}");
}

#[test]
fn one_that_had_its_turn_waits_for_the_others_although_it_left() {
    let mut model = Model::new(&[1, 1]);
    model.push(0, 10.0);
    for _ in 0..20 {
        model.push(1, 1.0);
    }
    assert_eq!(model.admit(), Some((0, 10.0)));
    let before = model
        .queue
        .cost_before(rank(&tenant(0), 1), requests(1.0), part);
    assert_eq!(before.requests.round(), 11.0);
    model.push(0, 1.0);
    for _ in 0..10 {
        assert_eq!(model.admit(), Some((1, 1.0)));
    }
    let next: Vec<_> = (0..2).filter_map(|_| model.admit()).collect();
    assert!(next.contains(&(0, 1.0)), "{next:?}");
}

#[test]
fn calls_that_leave_cost_their_tenant_nothing() {
    let mut model = Model::new(&[1, 1]);
    model.push(0, 1.0);
    for _ in 0..10 {
        model.push(1, 50.0);
    }
    for _ in 0..9 {
        model.leave(1, 0);
    }
    assert_eq!(model.admit(), Some((0, 1.0)));
    model.push(0, 1.0);
    assert_eq!(model.admit(), Some((1, 50.0)));
}

#[test]
fn a_turn_of_another_time_is_not_settled() {
    let mut model = Model::new(&[1, 1]);
    model.push(0, 10.0);
    let (_, _, turn) = model.take_turn().expect("it waits");
    assert!(model.queue.is_empty());
    for _ in 0..2 {
        model.push(1, 1.0);
        model.push(0, 1.0);
    }
    assert_eq!(model.admit(), Some((1, 1.0)));
    assert_eq!(model.admit(), Some((0, 1.0)));
    model.queue.settle(&turn, 0.0);
    assert_eq!(model.admit(), Some((1, 1.0)));
}

#[test]
fn one_that_comes_is_not_behind_those_that_used_little() {
    let mut model = Model::new(&[1, 1]);
    for _ in 0..30 {
        model.push(0, 10.0);
    }
    let turns: Vec<_> = (0..5).filter_map(|_| model.take_turn()).collect();
    for (_, _, turn) in turns {
        model.queue.settle(&turn, PART);
    }
    model.push(1, 10.0);
    let before = std::iter::from_fn(|| {
        let (number, _, turn) = model.take_turn()?;
        model.queue.settle(&turn, PART);
        Some(number)
    });
    assert!(before.take_while(|number| *number == 0).count() <= 1);
}

#[test]
fn one_that_did_not_wait_keeps_no_credit() {
    let mut model = Model::new(&[1, 1]);
    model.push(0, 10.0);
    for _ in 0..30 {
        model.push(1, 1.0);
    }
    let (number, _, turn) = model.take_turn().expect("it waits");
    assert_eq!(number, 0);
    for _ in 0..5 {
        assert_eq!(model.admit(), Some((1, 1.0)));
    }
    // It used nothing, and came back later.
    model.queue.settle(&turn, 0.0);
    assert!(model.queue.absent.is_empty());
    model.push(0, 1.0);
    model.push(0, 1.0);
    let turns: Vec<_> = (0..4).filter_map(|_| model.admit()).collect();
    let own = turns.iter().filter(|it| it.0 == 0).count();
    assert_eq!(own, 2, "{turns:?}");
    assert_ne!((turns[0].0, turns[1].0), (0, 0));
}

#[test]
fn a_limit_of_zero_stops_nobody_else() {
    let mut queue = Queue::default();
    let (one, other) = (tenant(0), tenant(1));
    for id in 0..4 {
        let tenant = if id % 2 == 0 { &one } else { &other };
        queue.push(id, rank(tenant, 1), requests(1.0));
    }
    queue.admitted(&one, 0, f64::INFINITY);
    queue.admitted(&other, 1, f64::NAN);
    assert!(queue.first().is_some());
    assert_eq!(queue.len(), 2);
}
