//! The requests of a batch in their order: which of them are processed at the same time.

use super::{
    super::{
        answer::BatchedAnswer,
        check,
        error::{ApiError, require},
        state::SimulatorState,
    },
    create::BatchRequest,
};
use http::HeaderMap;
use std::{collections::VecDeque, vec};

/// Number of requests that are processed at the same time.
///
/// The API does not state how many it processes. With this number, requests that begin with
/// the same text all write it to the prompt cache in a small batch, and nearly all read it in
/// one of thousands.
const CONCURRENCY: usize = 100;

/// The requests that have no result yet.
pub(super) struct RequestQueue {
    /// Those that are being processed, oldest first.
    begun: VecDeque<BegunRequest>,
    waiting: vec::IntoIter<BatchRequest>,
}

/// A request that is being processed.
pub(super) struct BegunRequest {
    pub(super) custom_id: String,
    pub(super) answer: Result<BatchedAnswer, ApiError>,
}

impl RequestQueue {
    pub(super) fn new(requests: Vec<BatchRequest>) -> Self {
        RequestQueue {
            begun: VecDeque::new(),
            waiting: requests.into_iter(),
        }
    }

    /// Takes the oldest request. As many as may be processed at the same time have begun by
    /// then: none of them reads what its answer writes to the prompt cache. They come with
    /// these headers.
    pub(super) fn next(
        &mut self,
        state: &SimulatorState,
        key: &str,
        headers: &HeaderMap,
    ) -> Option<BegunRequest> {
        let free = CONCURRENCY - self.begun.len();
        let begun = self
            .waiting
            .by_ref()
            .take(free)
            .map(|request| BegunRequest {
                answer: begin(state, key, headers, &request.params),
                custom_id: request.custom_id,
            });
        self.begun.extend(begun);
        self.begun.pop_front()
    }

    /// The custom ids of the requests that are left.
    pub(super) fn into_custom_ids(self) -> impl Iterator<Item = String> {
        let begun = self.begun.into_iter().map(|request| request.custom_id);
        begun.chain(self.waiting.map(|request| request.custom_id))
    }
}

/// Checks a request as a message outside a batch, and begins to process it.
fn begin(
    state: &SimulatorState,
    key: &str,
    headers: &HeaderMap,
    params: &[u8],
) -> Result<BatchedAnswer, ApiError> {
    let checked = check::messages(params, headers, false, key, state)?;
    require(
        !checked.request.stream,
        || "stream: must be false in a Message Batch",
    )?;
    Ok(BatchedAnswer::begin(state, key, checked))
}
