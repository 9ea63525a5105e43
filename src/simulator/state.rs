//! What the connections share, and the handle by which a test in the same
//! process scripts and observes them.

use super::{
    batches::BatchStore,
    behaviour::Behaviour,
    cache::PromptCache,
    config::{FaultRates, SimulatorConfig},
    containers::ContainerStore,
    files::FileStore,
    host::AcceptedCredentials,
    limits::Limiter,
    threads::ThreadStore,
};
use crate::claude::models::ModelInfo;
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// Maximum number of recorded requests; the oldest are dropped.
const RECORDED: usize = 20_000;

/// Pause of a `slow_body` fault that is drawn at its rate.
const SLOW_BODY_DELAY: Duration = Duration::from_millis(50);

/// Events before a fault that is drawn at its rate strikes a stream: some text
/// has been sent by then.
const FAULT_AFTER_EVENTS: usize = 4;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// All headers, the API key included.
    pub headers: HeaderMap,
    /// Body; empty when it was too large to be accepted.
    pub body: Bytes,
}

/// Counts of requests and connections since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests whose head has arrived.
    pub requests: u64,
    /// Requests whose answer is not complete yet.
    pub in_flight: u64,
    /// Requests that the simulator ended: with a whole answer, an error, or a
    /// connection that it cut or dropped.
    pub answered: u64,
    /// Requests whose client disconnected before the answer was complete, or
    /// whose connection was cut by another request.
    pub hung_up: u64,
    /// Requests rejected by the rate limits.
    pub rate_limited: u64,
    /// Connections open at this moment.
    pub connections_open: u64,
    /// Connections accepted since the start.
    pub connections_accepted: u64,
}

/// Scripts and observes a simulator in the same process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) state: Arc<SimulatorState>,
}

impl Handle {
    /// Scripts the next requests to `/v1/messages` and `count_tokens`, one
    /// behaviour each, in order. A request whose header names a behaviour does
    /// not use one up.
    pub fn next(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.state.script().next.extend(behaviours);
    }

    /// Sets the behaviour of every request that nothing else is scripted for;
    /// `None` clears it.
    pub fn always(&self, behaviour: Option<Behaviour>) {
        self.state.script().always = behaviour;
    }

    /// Lets a key or token expire now. From then on, only those are accepted that
    /// `api_keys` and `tokens` of the configuration list.
    pub fn expire(&self, credential: &str) {
        self.state.accepted.expire(credential);
    }

    /// The last 20,000 requests, oldest first; empty unless
    /// [`SimulatorConfig::record`] is set.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.recorded.lock().iter().cloned().collect()
    }

    /// The counts as of now.
    pub fn counts(&self) -> Counts {
        *self.state.counts.borrow()
    }

    /// Waits until the counts satisfy the predicate.
    pub async fn until(&self, predicate: impl Fn(&Counts) -> bool) {
        let mut changes = self.state.counts.subscribe();
        // The sender lives as long as this handle, so this cannot fail.
        let _ = changes.wait_for(|counts| predicate(counts)).await;
    }
}

/// What the connections share.
#[derive(Debug)]
pub(super) struct SimulatorState {
    pub(super) config: SimulatorConfig,
    pub(super) limiter: Limiter,
    pub(super) cache: PromptCache,
    pub(super) accepted: AcceptedCredentials,
    /// Models that are described next to those of the catalogue.
    pub(super) models: Vec<ModelInfo>,
    pub(super) batches: BatchStore,
    pub(super) files: FileStore,
    pub(super) threads: ThreadStore,
    pub(super) containers: ContainerStore,
    counts: watch::Sender<Counts>,
    script: Mutex<Script>,
    recorded: Mutex<VecDeque<RecordedRequest>>,
    requests_named: AtomicU64,
}

/// The behaviours that requests meet.
#[derive(Debug)]
struct Script {
    next: VecDeque<Behaviour>,
    always: Option<Behaviour>,
    dice: StdRng,
}

impl SimulatorState {
    pub(super) fn new(config: SimulatorConfig) -> Self {
        SimulatorState {
            limiter: Limiter::new(config.limits.clone()),
            cache: PromptCache::default(),
            accepted: AcceptedCredentials::new(&config.api_keys, &config.tokens),
            models: Vec::new(),
            batches: BatchStore::new(config.batches.clone()),
            files: FileStore::new(config.files.clone()),
            threads: ThreadStore::default(),
            containers: ContainerStore::default(),
            counts: watch::Sender::new(Counts::default()),
            script: Mutex::new(Script {
                next: VecDeque::new(),
                always: None,
                dice: StdRng::seed_from_u64(config.faults.seed),
            }),
            recorded: Mutex::default(),
            requests_named: AtomicU64::new(1),
            config,
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock()
    }

    /// The number of a new request, unique since the start.
    pub(super) fn number(&self) -> u64 {
        self.requests_named.fetch_add(1, Ordering::Relaxed)
    }

    /// The behaviour of a request whose header names none.
    /// `scriptable` is true for the two endpoints that generate or count.
    pub(super) fn behaviour(&self, scriptable: bool) -> Option<Behaviour> {
        let mut script = self.script();
        if !scriptable {
            return script.always.clone();
        }
        if let Some(next) = script.next.pop_front() {
            return Some(next);
        }
        if script.always.is_some() {
            return script.always.clone();
        }
        let roll = script.dice.random();
        by_rate(&self.config.faults, roll, self.config.retry_after)
    }

    pub(super) fn record(&self, request: RecordedRequest) {
        let mut recorded = self.recorded.lock();
        if recorded.len() == RECORDED {
            recorded.pop_front();
        }
        recorded.push_back(request);
    }

    /// Counts a request as in flight until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.counts.send_modify(|counts| {
            counts.requests += 1;
            counts.in_flight += 1;
        });
        InFlight {
            state: Some(Arc::clone(self)),
        }
    }

    /// Counts a request that the rate limits rejected.
    pub(super) fn refused(&self) {
        self.counts.send_modify(|counts| counts.rate_limited += 1);
    }

    /// Counts a connection as open until the returned guard is dropped.
    pub(super) fn connected(self: &Arc<Self>) -> Connected {
        self.counts.send_modify(|counts| {
            counts.connections_accepted += 1;
            counts.connections_open += 1;
        });
        Connected(Arc::clone(self))
    }
}

/// The fault that a uniform random number from 0 to 1 selects.
fn by_rate(rates: &FaultRates, roll: f64, retry_after: Duration) -> Option<Behaviour> {
    let after_events = FAULT_AFTER_EVENTS;
    let mut upper = 0.0;
    let (name, _) = rates.named().into_iter().find(|(_, rate)| {
        upper += rate;
        roll < upper
    })?;
    Some(match name {
        "rate_limited" => Behaviour::RateLimited { retry_after },
        "overloaded" => Behaviour::Overloaded,
        "error" => Behaviour::Error(500),
        "drop" => Behaviour::Drop,
        "disconnect" => Behaviour::Disconnect,
        "refused_stream" => Behaviour::RefusedStream,
        "cut" => Behaviour::Cut { after_events },
        "error_event" => Behaviour::ErrorEvent { after_events },
        "hang" => Behaviour::Hang,
        "garbage" => Behaviour::Garbage,
        _ => Behaviour::SlowBody {
            delay: SLOW_BODY_DELAY,
        },
    })
}

/// A request under way: when it is dropped before it is
/// [`answered`](Self::answered), its client has hung up.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Option<Arc<SimulatorState>>,
}

impl InFlight {
    /// Counts the request as ended by the simulator.
    pub(super) fn answered(&mut self) {
        if let Some(state) = self.state.take() {
            state.counts.send_modify(|counts| {
                counts.in_flight -= 1;
                counts.answered += 1;
            });
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            state.counts.send_modify(|counts| {
                counts.in_flight -= 1;
                counts.hung_up += 1;
            });
        }
    }
}

/// Guard of an open connection.
#[derive(Debug)]
pub(super) struct Connected(Arc<SimulatorState>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0
            .counts
            .send_modify(|counts| counts.connections_open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64) -> Vec<Option<Behaviour>> {
        let state = SimulatorState::new(SimulatorConfig {
            faults: FaultRates {
                seed,
                overloaded: 0.2,
                cut: 0.1,
                ..FaultRates::default()
            },
            ..SimulatorConfig::default()
        });
        (0..10_000).map(|_| state.behaviour(true)).collect()
    }

    #[test]
    fn faults_come_as_often_as_asked_and_again_with_the_same_seed() {
        let first = faults(1);
        assert_eq!(first, faults(1));
        assert_ne!(first, faults(2));
        let share = |wanted: &Behaviour| {
            let wanted = Some(wanted.clone());
            first.iter().filter(|it| **it == wanted).count() as f64 / first.len() as f64
        };
        assert!((share(&Behaviour::Overloaded) - 0.2).abs() < 0.02);
        assert!((share(&Behaviour::Cut { after_events: 4 }) - 0.1).abs() < 0.02);
    }
}
