//! The state of a quota: what is known about the limits, and the queues.

use super::{
    answer_times::AnswerTimes,
    bucket::Cost,
    buckets::{Buckets, Levels},
    cold_start::ColdStart,
    demand::Demand,
    queue::{Queue, TakenTurn},
    rank::Rank,
    rejections::Rejections,
};
use crate::{
    call::{Deadline, Priority},
    upstream::{RateLimits, RequestShape},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};

/// After this time, the reports of other replicas are ignored.
const OTHERS_ARE_KNOWN_FOR: Duration = Duration::from_secs(2);

/// How long calls gather that waited for the end of a rejection: a few ticks of the
/// timer.
const GATHERING: Duration = Duration::from_millis(5);

/// The limit by which turns are counted as long as the API has reported none.
const ASSUMED_REQUESTS: f64 = 1000.0;

/// The state of a quota.
#[derive(Debug, Default)]
pub struct State {
    meter: Meter,
    /// Whether the limits are those of the configuration.
    is_assumed: bool,
    cold_start: ColdStart,
    pub(super) in_flight: usize,
    /// Reservations of the calls in flight.
    outstanding: Cost,
    pub(super) interactive: Queue,
    pub(super) batch: Queue,
    next_id: u64,
    /// The rate of interactive calls, which go before batch calls.
    interactive_demand: Demand,
    answer_times: AnswerTimes,
    rejections: Rejections,
    /// When the calls of the shape that was rejected last come back.
    come_back: Option<Instant>,
    /// What other replicas wait for, and when they reported it.
    others: Option<(OtherReplicas, Instant)>,
}

/// The demand of the other replicas that share the quota.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OtherReplicas {
    /// Total cost of the interactive calls that wait in other replicas.
    pub interactive: Cost,
    /// Total cost of the batch calls that wait in other replicas.
    pub batch: Cost,
    /// Cost per second of the interactive calls of all replicas.
    pub interactive_demand: Cost,
}

/// What is known about the limits.
#[derive(Debug, Default)]
enum Meter {
    #[default]
    Unknown,
    /// The API reported no limits.
    Unmetered,
    Metered(Buckets),
}

// === impl Meter ===

impl Meter {
    /// The part of the limits that a cost is: of the one of which it needs most
    /// (dominant resource fairness: Ghodsi et al., 2011).
    fn part(&self, cost: Cost) -> f64 {
        match self {
            Meter::Metered(buckets) => buckets.part(cost),
            Meter::Unknown | Meter::Unmetered => cost.requests / ASSUMED_REQUESTS,
        }
    }
}

// === impl State ===

impl State {
    /// The state with the limits of the configuration, if there are any.
    pub(super) fn assuming(limits: Option<&RateLimits>) -> Self {
        State {
            meter: limits.map_or(Meter::Unknown, |it| Meter::Metered(Buckets::assumed(it))),
            is_assumed: limits.is_some(),
            ..State::default()
        }
    }

    pub(super) fn queue(&mut self, priority: Priority) -> &mut Queue {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Batch => &mut self.batch,
        }
    }

    /// Puts a call into its queue: returns its id, and how it is notified.
    pub(super) fn enqueue(&mut self, cost: Cost, rank: Rank<'_>) -> (u64, Arc<Notify>) {
        let id = self.next_id;
        self.next_id += 1;
        (id, self.queue(rank.priority).push(id, rank, cost))
    }

    /// Takes a call out of its queue that has its turn.
    pub(super) fn take_turn(&mut self, id: u64, rank: Rank<'_>, cost: Cost) -> Option<TakenTurn> {
        let part = self.meter.part(cost);
        self.queue(rank.priority).admitted(rank.holder, id, part)
    }

    /// Lets a turn cost its holder what the call has used.
    pub(super) fn settle_turn(&mut self, turn: &TakenTurn, priority: Priority, used: Cost) {
        let part = self.meter.part(used);
        self.queue(priority).settle(turn, part);
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

    /// Time until the calls have come back that waited for the end of a rejection.
    /// They wake up within a tick of the timer, in any order, and none of them goes
    /// before all are in the queue.
    pub(super) fn gathers_for(&self) -> Duration {
        match self.come_back {
            Some(at) if at <= Instant::now() => GATHERING.saturating_sub(at.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// Time until a call fits that is first in the queue.
    pub(super) fn fits_in(&mut self, cost: Cost) -> Duration {
        self.refill();
        let fits_in = match &mut self.meter {
            Meter::Unmetered => Duration::ZERO,
            Meter::Unknown => self.cold_start.fits_in(self.in_flight),
            Meter::Metered(buckets) => buckets.ready_in(cost),
        };
        fits_in.max(self.gathers_for())
    }

    /// Time until a call has its turn behind the waiting calls that go first, and
    /// behind those that will arrive before it is served.
    pub(super) fn wait(&mut self, cost: Cost, rank: Rank<'_>) -> Duration {
        let part = |cost| self.meter.part(cost);
        let before = match rank.priority {
            Priority::Interactive => self.interactive.cost_before(rank, cost, part),
            Priority::Batch => {
                let before = self.batch.cost_before(rank, cost, part);
                self.interactive.cost().plus(before)
            }
        };
        self.wait_behind(before, cost, rank.priority)
    }

    /// As [`wait`](Self::wait), behind calls of this replica with the total
    /// cost `before`.
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
        match &mut self.meter {
            Meter::Unknown | Meter::Unmetered => Duration::ZERO,
            Meter::Metered(buckets) => buckets.ready_in_turn(before.plus(cost), demand),
        }
    }

    fn others(&self) -> Option<OtherReplicas> {
        let (others, at) = self.others?;
        (at.elapsed() < OTHERS_ARE_KNOWN_FOR).then_some(others)
    }

    /// Adopts what Redis knows about the quota. Buckets that are not known
    /// there stay unchanged.
    pub(super) fn adopt(&mut self, figures: [Option<(f64, f64)>; 3], others: OtherReplicas) {
        if figures.iter().any(Option::is_some) {
            self.meter = Meter::Metered(Buckets::of(figures));
        }
        self.others = Some((others, Instant::now()));
    }

    /// No call of this shape starts before `until`.
    pub(super) fn block(&mut self, shape: RequestShape, until: Instant) {
        self.rejections.add(shape, until);
        self.come_back = Some(until);
    }

    /// Level and limit of each bucket; `None` if it is not known.
    pub(super) fn figures(&self) -> [Option<(f64, f64)>; 3] {
        match &self.meter {
            Meter::Metered(buckets) => buckets.figures(),
            _ => [None; 3],
        }
    }

    pub(super) fn is_unmetered(&self) -> bool {
        matches!(self.meter, Meter::Unmetered)
    }

    /// Records how long the response to a call of this cost took.
    pub(super) fn answered(&mut self, cost: Cost, took: Duration) {
        self.answer_times.add(cost.output_tokens, took);
    }

    /// Whether a call has succeeded.
    pub(super) fn has_answered(&self) -> bool {
        self.answer_times.is_known()
    }

    /// Counts a call as in flight.
    pub(super) fn begin(&mut self, cost: Cost) {
        if matches!(self.meter, Meter::Unknown) {
            self.cold_start.sent(self.in_flight);
        }
        self.in_flight += 1;
        self.outstanding = self.outstanding.plus(cost);
    }

    /// Removes a call from those in flight, and corrects its reservation.
    pub(super) fn end(&mut self, charged: Cost, used: Cost, priority: Priority) {
        self.refill();
        self.in_flight -= 1;
        self.outstanding = self.outstanding.minus(charged);
        self.take(used.minus(charged), priority);
    }

    /// Whether a call that waits for this time has time left for its response.
    /// One that does not wait is sent in any case.
    pub(super) fn leaves_time(&self, cost: Cost, wait: Duration, deadline: Deadline) -> bool {
        let answer = self.answer_times.expected(cost.output_tokens);
        wait.is_zero() || wait.saturating_add(answer) <= deadline.remaining()
    }

    /// How much longer the API rejects calls of this shape.
    pub(super) fn blocked_for(&self, shape: RequestShape) -> Duration {
        self.rejections.left(shape)
    }

    pub(super) fn next(&self) -> Option<(u64, &Notify)> {
        self.interactive.first().or_else(|| self.batch.first())
    }

    pub(super) fn wake_next(&self) {
        if let Some((_, turn)) = self.next() {
            turn.notify_one();
        }
    }

    pub(super) fn observe(
        &mut self,
        reported: &RateLimits,
        at_reservation: &Levels,
        charged: Cost,
    ) {
        if reported.is_empty() {
            if let Meter::Metered(buckets) = &mut self.meter
                && self.is_assumed
                && reported.refused
            {
                buckets.empty_one(charged);
            }
            if matches!(self.meter, Meter::Unknown) {
                if reported.refused {
                    self.cold_start.rejected();
                } else if reported.accepted {
                    self.meter = Meter::Unmetered;
                }
            }
            return;
        }
        let is_assumed = std::mem::take(&mut self.is_assumed);
        match &mut self.meter {
            Meter::Metered(buckets) if !is_assumed => {
                buckets.correct(reported, at_reservation, charged);
            }
            Meter::Metered(_) | Meter::Unknown | Meter::Unmetered => {
                let mut buckets = Buckets::new(reported);
                // The API's numbers may not include calls in flight yet. They do
                // include this one, unless it failed.
                let counted = match reported.accepted {
                    true => charged,
                    false => Cost::default(),
                };
                buckets.take(self.outstanding.minus(counted));
                if let Meter::Metered(assumed) = &self.meter {
                    buckets.add_unknown(assumed);
                }
                self.meter = Meter::Metered(buckets);
            }
        }
    }
}
