//! The processing of a batch.

use super::{
    super::{answer::BatchedAnswer, error::ApiError, state::SimulatorState},
    batch::{Batch, BatchRefusal, EndedBatch, RequestCounts},
    create::BatchRequest,
    queue::RequestQueue,
};
use bytes::Bytes;
use http::HeaderMap;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep_until};

/// Keeps a new batch and begins to process it.
///
/// # Errors
/// When there is not enough room for it.
pub(super) fn begin(
    state: &Arc<SimulatorState>,
    key: &str,
    headers: HeaderMap,
    requests: Vec<BatchRequest>,
    bytes: usize,
) -> Result<Batch, BatchRefusal> {
    let store = &state.batches;
    let number = state.number();
    let id = format!("msgbatch_sim_{number:016}");
    let batch = store.new_batch(id, key, requests.len(), bytes);
    store.keep(batch.clone())?;
    let processing = Processing {
        number,
        batch: batch.clone(),
        headers,
        begun: Instant::now(),
        duration: store.config.duration,
        outcome: Outcome::default(),
    };
    tokio::spawn(processing.run(Arc::downgrade(state), requests));
    Ok(batch)
}

/// The results of requests that are all processed now.
pub(super) fn at_once(
    state: &SimulatorState,
    key: &str,
    requests: Vec<BatchRequest>,
) -> EndedBatch {
    let (headers, mut outcome) = (HeaderMap::new(), Outcome::default());
    let mut queue = RequestQueue::new(requests);
    while let Some(request) = queue.next(state, key, &headers) {
        outcome.add(&request.custom_id, &finish(state, key, request.answer));
    }
    outcome.end(state.number())
}

/// A batch that is in progress.
struct Processing {
    number: u64,
    batch: Batch,
    /// Those that it was created with.
    headers: HeaderMap,
    begun: Instant,
    duration: Duration,
    outcome: Outcome,
}

impl Processing {
    /// Processes the requests until the batch is stopped or expires. Each is answered at
    /// its time. Nothing is left to do when the simulator is gone.
    async fn run(mut self, state: Weak<SimulatorState>, requests: Vec<BatchRequest>) {
        let total = requests.len();
        let mut queue = RequestQueue::new(requests);
        for index in 1..=total {
            let next = |state: Arc<_>| queue.next(&state, &self.batch.key, &self.headers);
            let Some(request) = state.upgrade().and_then(next) else {
                return;
            };
            let due = self.duration.mul_f64(index as f64 / total as f64);
            let unanswered = self.until(due).await;
            let Some(state) = state.upgrade() else {
                return;
            };
            let Some(unanswered) = unanswered else {
                let result = finish(&state, &self.batch.key, request.answer);
                self.outcome.add(&request.custom_id, &result);
                continue;
            };
            self.outcome.add(&request.custom_id, &unanswered);
            for custom_id in queue.into_custom_ids() {
                self.outcome.add(&custom_id, &unanswered);
            }
            break;
        }
        if let Some(state) = state.upgrade() {
            let ended = self.outcome.end(self.number);
            state.batches.end(&self.batch.id, ended);
        }
    }

    /// Waits until a request is due, this long after the batch has begun. Returns what becomes
    /// of it and of all after it if the batch is stopped or expires before.
    async fn until(&self, due: Duration) -> Option<ItemResult> {
        let expires = self.batch.expires_after;
        tokio::select! {
            biased;
            () = self.batch.stop.cancelled() => Some(ItemResult::Canceled),
            () = sleep_until(self.begun + due.min(expires)) => {
                (due > expires).then_some(ItemResult::Expired)
            }
        }
    }
}

/// The result of a request that is due.
fn finish(
    state: &SimulatorState,
    key: &str,
    answer: Result<BatchedAnswer, ApiError>,
) -> ItemResult {
    match answer {
        Ok(answer) => ItemResult::Succeeded {
            message: raw(answer.json(state, key)),
        },
        Err(error) => ItemResult::Errored {
            error: raw(error.json(&state.config.host.request_id(state.number()))),
        },
    }
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("what has just been written is JSON")
}

/// What became of one request.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ItemResult {
    Succeeded { message: Box<RawValue> },
    Errored { error: Box<RawValue> },
    Canceled,
    Expired,
}

/// One line of the results.
#[derive(Serialize)]
struct ResultLine<'a> {
    custom_id: &'a str,
    result: &'a ItemResult,
}

/// What became of the requests so far.
#[derive(Default)]
struct Outcome {
    counts: RequestCounts,
    lines: Vec<Bytes>,
}

impl Outcome {
    fn add(&mut self, custom_id: &str, result: &ItemResult) {
        let line = ResultLine { custom_id, result };
        let mut line = serde_json::to_string(&line).expect("plain data always serializes");
        line.push('\n');
        self.lines.push(Bytes::from(line));
        *match result {
            ItemResult::Succeeded { .. } => &mut self.counts.succeeded,
            ItemResult::Errored { .. } => &mut self.counts.errored,
            ItemResult::Canceled => &mut self.counts.canceled,
            ItemResult::Expired => &mut self.counts.expired,
        } += 1;
    }

    /// Ends the batch. No result stands where its request stood: a client that relies
    /// on the order finds out here.
    fn end(mut self, number: u64) -> EndedBatch {
        // Sattolo's algorithm: one cycle through all lines.
        let mut dice = StdRng::seed_from_u64(number);
        for index in (1..self.lines.len()).rev() {
            self.lines.swap(index, dice.random_range(0..index));
        }
        EndedBatch {
            at: SystemTime::now(),
            counts: self.counts,
            results: self.lines.into(),
        }
    }
}
