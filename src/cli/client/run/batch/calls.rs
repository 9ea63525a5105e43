//! The calls about batches, each repeated while it may succeed later.

use crate::{
    cli::client::{
        connection::Connection,
        run::{repeat::repeated, stop::RunStop},
    },
    proto::{
        ERROR_DOMAIN,
        v1::{
            Batch, BatchItem, BatchItemError, DeleteBatchRequest, GetBatchRequest,
            StreamBatchResultsRequest, StreamBatchResultsResponse, SubmitBatchRequest,
            batch_service_client::BatchServiceClient,
        },
    },
};
use std::time::Duration;
use tonic::{Code, Status, transport::Channel};
use tonic_types::{ErrorDetails, StatusExt};

/// The shortest deadline of a call: the service passes a submission on to the API, and reads
/// results from there.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Calls about batches.
#[derive(Debug)]
pub struct BatchCalls {
    connection: Connection,
    client: BatchServiceClient<Channel>,
    /// How long a call is repeated.
    retry_for: Duration,
    stop: RunStop,
}

// === impl BatchCalls ===

impl BatchCalls {
    /// Calls over this connection, repeated for this time unless the run stops.
    pub fn new(connection: &Connection, retry_for: Duration, stop: RunStop) -> Self {
        BatchCalls {
            client: connection.batches(),
            connection: connection.with_timeout_of_at_least(TIMEOUT),
            retry_for,
            stop,
        }
    }

    /// Submits a batch, or finds the one that has been submitted with this `request_id`.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn submit(&self, request_id: &str, items: &[BatchItem]) -> Result<Batch, Status> {
        let submit = async || {
            let request = SubmitBatchRequest {
                request_id: request_id.to_owned(),
                items: items.to_vec(),
            };
            let call = self.connection.answer(
                "claude.v1.BatchService/SubmitBatch",
                request,
                async |_, request| self.client.clone().submit_batch(request).await,
            );
            Ok(call.await?.batch.unwrap_or_default())
        };
        repeated(self.retry_for, &self.stop, submit).await
    }

    /// A batch as it is.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn get(&self, id: &str) -> Result<Batch, Status> {
        let get = async || {
            let call = self.connection.answer(
                "claude.v1.BatchService/GetBatch",
                GetBatchRequest { id: id.to_owned() },
                async |_, request| self.client.clone().get_batch(request).await,
            );
            Ok(call.await?.batch.unwrap_or_default())
        };
        repeated(self.retry_for, &self.stop, get).await
    }

    /// All results of a batch that has ended.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn results(&self, id: &str) -> Result<Vec<StreamBatchResultsResponse>, Status> {
        let read = async || {
            let call = self.connection.call(
                "claude.v1.BatchService/StreamBatchResults",
                StreamBatchResultsRequest { id: id.to_owned() },
                async |_, request| {
                    let results = self.client.clone().stream_batch_results(request).await;
                    let mut results = results?.into_inner();
                    let mut all = Vec::new();
                    while let Some(result) = results.message().await? {
                        all.push(result);
                    }
                    Ok(all)
                },
            );
            call.await
        };
        repeated(self.retry_for, &self.stop, read).await
    }

    /// Deletes a batch that has ended. One that cannot be deleted is deleted by the service
    /// when its retention is over.
    pub async fn delete(&self, id: &str) {
        let call = self.connection.answer(
            "claude.v1.BatchService/DeleteBatch",
            DeleteBatchRequest { id: id.to_owned() },
            async |_, request| self.client.clone().delete_batch(request).await,
        );
        let _ = call.await;
    }
}

/// The status with which a call would fail as an item of a batch has, or the batch itself.
pub fn status_of(error: &BatchItemError) -> Status {
    let details = ErrorDetails::with_error_info(&error.reason, ERROR_DOMAIN, []);
    Status::with_error_details(Code::from(error.code), &error.message, details)
}
