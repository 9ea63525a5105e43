//! A batch that exists from the start.

use super::{
    super::{error::ApiError, state::SimulatorState},
    create, process,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A batch that has ended when the simulator starts. It belongs to all keys, and stays
/// when it is deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulator) struct BatchFixture {
    pub(in crate::simulator) id: String,
    /// As in the body that creates a batch.
    requests: Vec<RequestFixture>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RequestFixture {
    custom_id: String,
    params: Value,
}

impl BatchFixture {
    /// Processes the requests, and keeps the batch.
    ///
    /// # Errors
    /// As when a batch is created with these requests.
    pub(in crate::simulator) fn install(self, state: &mut SimulatorState) -> Result<(), ApiError> {
        let body = Bytes::from(json!({"requests": self.requests}).to_string());
        let requests = create::read(&body)?;
        let key = "";
        let mut batch = state
            .batches
            .new_batch(self.id, key, requests.len(), body.len());
        batch.ended = Some(process::at_once(state, key, requests));
        state.batches.fixed.push(batch);
        Ok(())
    }
}
