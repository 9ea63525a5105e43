//! The processing of a batch.

use super::{
    super::{answer, check, error::require, state::SimulatorState},
    batch::{Batch, BatchRefusal, EndedBatch, RequestCounts},
    create::BatchRequest,
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
pub(super) fn at_once(state: &SimulatorState, key: &str, requests: &[BatchRequest]) -> EndedBatch {
    let (headers, mut outcome) = (HeaderMap::new(), Outcome::default());
    for request in requests {
        outcome.add(
            &request.custom_id,
            process(state, key, &headers, &request.params),
        );
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
    /// Processes the requests, each at its time, until the batch is stopped or expires.
    /// Nothing is left to do when the simulator is gone.
    async fn run(mut self, state: Weak<SimulatorState>, requests: Vec<BatchRequest>) {
        let total = requests.len();
        for (index, request) in requests.into_iter().enumerate() {
            let due = self.duration.mul_f64((index + 1) as f64 / total as f64);
            let expires = self.batch.expires_after;
            tokio::select! {
                biased;
                () = self.batch.stop.cancelled() => {}
                () = sleep_until(self.begun + due.min(expires)) => {}
            }
            let Some(state) = state.upgrade() else {
                return;
            };
            let result = if self.batch.stop.is_cancelled() {
                ItemResult::Canceled
            } else if due > expires {
                ItemResult::Expired
            } else {
                process(&state, &self.batch.key, &self.headers, &request.params)
            };
            self.outcome.add(&request.custom_id, result);
        }
        if let Some(state) = state.upgrade() {
            let ended = self.outcome.end(self.number);
            state.batches.end(&self.batch.id, ended);
        }
    }
}

/// Checks and answers one request, as a message outside a batch that comes with these
/// headers.
fn process(state: &SimulatorState, key: &str, headers: &HeaderMap, params: &[u8]) -> ItemResult {
    let checked = check::messages(params, headers, false, key, state);
    let checked = checked.and_then(|checked| {
        require(
            !checked.request.stream,
            || "stream: must be false in a Message Batch",
        )?;
        Ok(checked)
    });
    match checked {
        Ok(checked) => ItemResult::Succeeded {
            message: raw(answer::batched(state, key, &checked)),
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
    fn add(&mut self, custom_id: &str, result: ItemResult) {
        let line = ResultLine {
            custom_id,
            result: &result,
        };
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
