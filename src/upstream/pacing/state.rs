//! The state of a quota: what is known of the limits, and the queues.

use super::{
    bucket::Cost,
    buckets::{Buckets, Levels},
    demand::Demand,
    queue::Queue,
};
use crate::{
    call::{Deadline, Priority},
    upstream::RateLimits,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};

/// Until the first answer has told the limits, so many calls may be in flight.
pub(super) const CALLS_BEFORE_LIMITS_ARE_KNOWN: usize = 16;

/// Weight of one more answer in how long answers take.
const NEWEST: f64 = 0.1;

/// What other replicas say is as good as unsaid after so long.
const OTHERS_ARE_KNOWN_FOR: Duration = Duration::from_secs(2);

/// The state of a quota.
#[derive(Debug, Default)]
pub struct State {
    meter: Meter,
    pub(super) in_flight: usize,
    /// Charges of the calls in flight.
    outstanding: Cost,
    pub(super) interactive: Queue,
    pub(super) batch: Queue,
    next_id: u64,
    /// What interactive calls take before batch has its turn.
    interactive_demand: Demand,
    /// How long an answer takes, on average of lately.
    answer_time: Option<Duration>,
    /// The API refused a call and said until when.
    blocked_until: Option<Instant>,
    /// What other replicas wait for, and when that was known.
    others: Option<(OtherReplicas, Instant)>,
}

/// What the replicas do that share the quota.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OtherReplicas {
    /// What interactive calls at the other replicas wait for.
    pub interactive: Cost,
    /// What batch calls at the other replicas wait for.
    pub batch: Cost,
    /// What interactive calls of all replicas take a second.
    pub interactive_demand: Cost,
}

/// What is known of the limits.
#[derive(Debug, Default)]
enum Meter {
    #[default]
    Unknown,
    /// The API did not name any.
    Unmetered,
    Metered(Buckets),
}

// === impl State ===

impl State {
    pub(super) fn queue(&mut self, priority: Priority) -> &mut Queue {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Batch => &mut self.batch,
        }
    }

    /// Puts a call into its queue: its place, and how it is woken.
    pub(super) fn enqueue(&mut self, cost: Cost, priority: Priority) -> (u64, Arc<Notify>) {
        let id = self.next_id;
        self.next_id += 1;
        (id, self.queue(priority).push(id, cost))
    }

    pub(super) fn anyone_before(&self, priority: Priority) -> bool {
        !self.interactive.is_empty() || (priority == Priority::Batch && !self.batch.is_empty())
    }

    pub(super) fn refill(&mut self) {
        if let Meter::Metered(buckets) = &mut self.meter {
            buckets.refill();
        }
    }

    pub(super) fn take(&mut self, cost: Cost, priority: Priority) {
        if let Meter::Metered(buckets) = &mut self.meter {
            buckets.take(cost);
            if priority == Priority::Interactive {
                self.interactive_demand.add(cost);
            }
        }
    }

    pub(super) fn levels(&self) -> Levels {
        match &self.meter {
            Meter::Metered(buckets) => buckets.levels(),
            _ => Levels::default(),
        }
    }

    /// How long until a call fits that nobody is before. `None` as long as
    /// nobody can say: an answer will wake whoever waits.
    pub(super) fn fits_in(&mut self, cost: Cost) -> Option<Duration> {
        self.refill();
        let by_limits = match &mut self.meter {
            Meter::Unmetered => Duration::ZERO,
            Meter::Unknown if self.in_flight < CALLS_BEFORE_LIMITS_ARE_KNOWN => Duration::ZERO,
            Meter::Unknown => return None,
            Meter::Metered(buckets) => buckets.ready_in(cost),
        };
        Some(by_limits.max(self.blocked_for()))
    }

    /// How long until a call has its turn behind those that wait, and those
    /// that will come and go before it.
    pub(super) fn wait(&mut self, cost: Cost, priority: Priority) -> Duration {
        let before = match priority {
            Priority::Interactive => self.interactive.cost(),
            Priority::Batch => self.interactive.cost().plus(self.batch.cost()),
        };
        self.wait_behind(before, cost, priority)
    }

    /// The same, behind those of this replica that cost so much.
    pub(super) fn wait_behind(&mut self, before: Cost, cost: Cost, priority: Priority) -> Duration {
        self.refill();
        let others = self.others();
        let elsewhere = others.unwrap_or_default();
        let (before, demand) = match priority {
            Priority::Interactive => (before.plus(elsewhere.interactive), Cost::default()),
            Priority::Batch => (
                before.plus(elsewhere.interactive).plus(elsewhere.batch),
                others.map_or_else(
                    || self.interactive_demand.rate(),
                    |it| it.interactive_demand,
                ),
            ),
        };
        let by_limits = match &mut self.meter {
            Meter::Unknown | Meter::Unmetered => Duration::ZERO,
            Meter::Metered(buckets) => buckets.ready_in_turn(before.plus(cost), demand),
        };
        by_limits.max(self.blocked_for())
    }

    fn others(&self) -> Option<OtherReplicas> {
        let (others, at) = self.others?;
        (at.elapsed() < OTHERS_ARE_KNOWN_FOR).then_some(others)
    }

    /// Takes over what is known of the quota elsewhere. Buckets that are not
    /// known there stay as they are.
    pub(super) fn adopt(
        &mut self,
        figures: [Option<(f64, f64)>; 3],
        others: OtherReplicas,
        blocked: Duration,
    ) {
        let now = Instant::now();
        if figures.iter().any(Option::is_some) {
            self.meter = Meter::Metered(Buckets::of(figures));
        }
        self.others = Some((others, now));
        if !blocked.is_zero() {
            self.block(now + blocked);
        }
    }

    /// No call begins before then.
    pub(super) fn block(&mut self, until: Instant) {
        self.blocked_until = self.blocked_until.max(Some(until));
    }

    /// Level and limit of each bucket; `None` where there is none.
    pub(super) fn figures(&self) -> [Option<(f64, f64)>; 3] {
        match &self.meter {
            Meter::Metered(buckets) => buckets.figures(),
            _ => [None; 3],
        }
    }

    pub(super) fn is_unmetered(&self) -> bool {
        matches!(self.meter, Meter::Unmetered)
    }

    /// Notes how long an answer took.
    pub(super) fn answered(&mut self, took: Duration) {
        self.answer_time = Some(match self.answer_time {
            None => took,
            Some(average) => average.mul_f64(1.0 - NEWEST) + took.mul_f64(NEWEST),
        });
    }

    /// Counts a call in.
    pub(super) fn begin(&mut self, cost: Cost) {
        self.in_flight += 1;
        self.outstanding = self.outstanding.plus(cost);
    }

    /// Counts a call out, and corrects its reservation.
    pub(super) fn end(&mut self, charged: Cost, used: Cost, priority: Priority) {
        self.refill();
        self.in_flight -= 1;
        self.outstanding = self.outstanding.minus(charged);
        self.take(used.minus(charged), priority);
    }

    /// Whether a call that waits so long has time left for its answer.
    pub(super) fn leaves_time(&self, wait: Duration, deadline: Deadline) -> bool {
        let answer = self.answer_time.unwrap_or_default();
        wait.saturating_add(answer) <= deadline.remaining()
    }

    pub(super) fn blocked_for(&self) -> Duration {
        self.blocked_until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    pub(super) fn next(&self) -> Option<(u64, &Notify)> {
        self.interactive.first().or_else(|| self.batch.first())
    }

    pub(super) fn wake_next(&self) {
        if let Some((_, turn)) = self.next() {
            turn.notify_one();
        }
    }

    pub(super) fn observe(&mut self, told: &RateLimits, at_charge: &Levels, charged: Cost) {
        if told.is_empty() {
            if matches!(self.meter, Meter::Unknown) {
                self.meter = Meter::Unmetered;
            }
            return;
        }
        match &mut self.meter {
            Meter::Metered(buckets) => buckets.correct(told, at_charge, charged),
            Meter::Unknown | Meter::Unmetered => {
                let mut buckets = Buckets::new(told);
                // Calls in flight may not be in the API's figures yet.
                buckets.take(self.outstanding);
                self.meter = Meter::Metered(buckets);
            }
        }
    }
}
