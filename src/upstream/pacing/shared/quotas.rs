//! The Redis scripts and their calls.

use crate::upstream::pacing::{
    bucket::Cost,
    buckets::Levels,
    cold_start::{ACCEPTED_AFTER, FIRST_CALLS},
    quota::Quota,
    state::OtherReplicas,
};
use crate::{
    call::Priority,
    store::{RedisCommand, RedisScript, Store},
    upstream::{Bucket, RateLimits, RequestShape},
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Semaphore};

/// Maximum number of settlements and observations in progress. More are
/// dropped, and the API's next response corrects the count.
const MAX_IN_BACKGROUND: usize = 1024;

/// Number of values in the response of the admission script.
const RESPONSE_LEN: usize = 18;

/// The quotas of all replicas, in one Redis.
pub struct SharedQuotas {
    store: Store,
    /// Random id of this replica.
    replica: String,
    admit: RedisScript,
    settle: RedisScript,
    observe: RedisScript,
    background: Arc<Semaphore>,
}

/// What the first in the queue asks for, and what it reports about those behind
/// it.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionRequest {
    /// Cost of the call.
    pub cost: Cost,
    /// Priority of the call.
    pub priority: Priority,
    /// How long the call has been the first in the queue of its replica.
    pub first_for: Duration,
    /// Total cost of the other interactive calls that wait.
    pub interactive: Cost,
    /// Total cost of the other batch calls that wait.
    pub batch: Cost,
    /// Level and limit of each bucket, as far as known here.
    pub figures: [Option<(f64, f64)>; 3],
    /// The shape of the call.
    pub shape: RequestShape,
    /// How much longer the API rejects calls of that shape, as far as known here.
    pub blocked: Duration,
}

/// The decision of the script.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AdmissionDecision {
    /// The call is reserved.
    Charged,
    /// The call is reserved, although the limits are not known yet.
    ChargedEarly,
    /// The call must wait for this time.
    Wait(Duration),
    /// The API rejects calls of this shape.
    Blocked,
}

/// The response to [`AdmissionRequest`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdmissionResponse {
    /// Whether the call was admitted.
    pub decision: AdmissionDecision,
    /// How much longer the API rejects calls of this shape.
    pub blocked: Duration,
    /// Level and limit of each bucket after the decision.
    pub figures: [Option<(f64, f64)>; 3],
    /// The demand of the other replicas.
    pub others: OtherReplicas,
}

/// What the response headers of a call reported.
#[derive(Debug)]
pub struct Observation {
    /// The limits that the API reported.
    pub reported: RateLimits,
    /// The levels after the reservation of the call; `None` if it was not
    /// reserved in Redis with known limits.
    pub at_reservation: Option<Levels>,
    /// What was reserved before the limits were known.
    pub early: Cost,
    /// What is returned in Redis if the API rejected the call.
    pub back: Cost,
    /// Cost of the call.
    pub cost: Cost,
}

// === impl SharedQuotas ===

impl SharedQuotas {
    /// Quotas in this Redis.
    pub fn new(store: Store) -> Self {
        let quota = include_str!("quota.lua");
        let script = |code: &str| RedisScript::new(&format!("{quota}{code}"));
        SharedQuotas {
            store,
            replica: format!("{:016x}", rand::random::<u64>()),
            admit: script(include_str!("admit.lua")),
            settle: script(include_str!("settle.lua")),
            observe: script(include_str!("observe.lua")),
            background: Arc::new(Semaphore::new(MAX_IN_BACKGROUND)),
        }
    }

    /// The underlying Redis.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Requests admission of a call. `None` when Redis is unreachable.
    pub async fn admit(&self, name: &str, ask: &AdmissionRequest) -> Option<AdmissionResponse> {
        let mut script = self.admit.on(name, &[]);
        script.arg(u8::from(ask.priority == Priority::Interactive));
        with_cost(&mut script, ask.cost);
        script.arg(ask.first_for.as_secs_f64() * 1000.0);
        with_cost(&mut script, ask.interactive);
        with_cost(&mut script, ask.batch);
        for figures in ask.figures {
            let (level, limit) = figures.unwrap_or((-1.0, -1.0));
            script.arg(level).arg(limit);
        }
        script
            .arg(FIRST_CALLS)
            .arg(ask.blocked.as_secs_f64() * 1000.0)
            .arg(&self.replica)
            .arg(ACCEPTED_AFTER.as_secs_f64() * 1000.0)
            .arg(ask.shape.id());
        let figures: Vec<f64> = self.store.query(script).await?;
        AdmissionResponse::read(&figures)
    }

    /// Settles a reservation: `difference` is the usage beyond it, `early` what
    /// was reserved before the limits were known, `rejected` for how long the API
    /// rejects calls of which shape.
    pub async fn settle(
        &self,
        name: &str,
        priority: Priority,
        difference: Cost,
        early: Option<Cost>,
        rejected: Option<(RequestShape, Duration)>,
    ) -> Option<()> {
        let mut script = self.settle.on(name, &[]);
        script.arg(u8::from(priority == Priority::Interactive));
        with_cost(&mut script, difference);
        script.arg(u8::from(early.is_some()));
        with_cost(&mut script, early.unwrap_or_default());
        let (shape, rejected_for) = rejected.unwrap_or_default();
        script
            .arg(rejected_for.as_secs_f64() * 1000.0)
            .arg(u8::from(rejected.is_some()))
            .arg(shape.id());
        self.store.query(script).await
    }

    /// Applies the response headers of a call.
    pub async fn observe(&self, name: &str, observation: &Observation) -> Option<()> {
        let mut script = self.observe.on(name, &[]);
        let reported = &observation.reported;
        for bucket in [
            &reported.requests,
            &reported.input_tokens,
            &reported.output_tokens,
        ] {
            let reported =
                bucket.map(|Bucket { limit, remaining }| (remaining as f64, limit as f64));
            let (left, limit) = reported.unwrap_or((-1.0, -1.0));
            script.arg(left).arg(limit);
        }
        script.arg(u8::from(observation.at_reservation.is_some()));
        with_cost(&mut script, observation.at_reservation.unwrap_or_default());
        with_cost(&mut script, observation.early);
        script.arg(u8::from(reported.refused));
        with_cost(&mut script, observation.back);
        with_cost(&mut script, observation.cost);
        self.store.query(script).await
    }

    /// Runs work in the background, and then notifies waiting calls. Dropped
    /// when too much is in progress or there is no runtime.
    pub fn in_background(
        &self,
        quota: &Arc<Quota>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let permit = Arc::clone(&self.background).try_acquire_owned();
        let (Ok(permit), Ok(runtime)) = (permit, Handle::try_current()) else {
            quota.wake_next();
            return;
        };
        let quota = Arc::clone(quota);
        runtime.spawn(async move {
            work.await;
            drop(permit);
            quota.wake_next();
        });
    }
}

impl fmt::Debug for SharedQuotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedQuotas")
    }
}

fn with_cost(script: &mut RedisCommand, cost: Cost) {
    script
        .arg(cost.requests)
        .arg(cost.input_tokens)
        .arg(cost.output_tokens);
}

// === impl AdmissionResponse ===

impl AdmissionResponse {
    fn read(figures: &[f64]) -> Option<Self> {
        let figures: &[f64; RESPONSE_LEN] = figures.try_into().ok()?;
        let millis = |it: f64| {
            let seconds = (it / 1000.0).max(0.0);
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        };
        let bucket = |at: usize| {
            let (level, limit) = (figures[at], figures[at + 1]);
            (limit >= 0.0).then_some((level, limit))
        };
        let cost = |at: usize| Cost {
            requests: figures[at],
            input_tokens: figures[at + 1],
            output_tokens: figures[at + 2],
        };
        Some(AdmissionResponse {
            decision: match figures[0] {
                1.0 => AdmissionDecision::Charged,
                2.0 => AdmissionDecision::ChargedEarly,
                3.0 => AdmissionDecision::Blocked,
                // Timers have a resolution of one millisecond.
                _ => AdmissionDecision::Wait(millis(figures[1]).max(Duration::from_millis(1))),
            },
            blocked: millis(figures[2]),
            figures: [bucket(3), bucket(5), bucket(7)],
            others: OtherReplicas {
                interactive: cost(9),
                batch: cost(12),
                // The sum covers about ten seconds.
                interactive_demand: cost(15).times(0.1),
            },
        })
    }
}
