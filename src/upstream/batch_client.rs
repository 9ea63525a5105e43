//! The calls of the Message Batches API.

use super::{
    Answered, BatchCall, BatchResults, Body, CallOptions, Client, Failed, Payload, client::call,
};
use crate::claude::{
    batches::{BatchPage, MessageBatch},
    request::MessagesRequest,
};
use bytes::Bytes;

impl Client {
    /// Creates a batch. An attempt that may have reached the API is not repeated.
    ///
    /// # Errors
    /// When the API does not accept the batch, or it is not known whether it did.
    pub async fn create_batch(
        &self,
        body: Bytes,
        options: CallOptions,
    ) -> Result<Answered<MessageBatch>, Failed> {
        self.batch(BatchCall::Create { body }, options).await
    }

    /// Reads a batch.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn get_batch(
        &self,
        id: &str,
        options: CallOptions,
    ) -> Result<Answered<MessageBatch>, Failed> {
        self.batch(BatchCall::Get(id.to_owned()), options).await
    }

    /// Cancels a batch.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn cancel_batch(
        &self,
        id: &str,
        options: CallOptions,
    ) -> Result<Answered<MessageBatch>, Failed> {
        self.batch(BatchCall::Cancel(id.to_owned()), options).await
    }

    /// A page of the list of batches.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn list_batches(
        &self,
        after_id: Option<String>,
        options: CallOptions,
    ) -> Result<Answered<BatchPage>, Failed> {
        let answered = self
            .of_batches(BatchCall::List { after_id }, options)
            .await?;
        answered.expect(|body| match body {
            Body::Batches(page) => Some(page),
            _ => None,
        })
    }

    /// Deletes a batch.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn delete_batch(
        &self,
        id: &str,
        options: CallOptions,
    ) -> Result<Answered<()>, Failed> {
        let answered = self
            .of_batches(BatchCall::Delete(id.to_owned()), options)
            .await?;
        answered.expect(|body| matches!(body, Body::Deleted).then_some(()))
    }

    /// The results of a batch, as they arrive.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn batch_results(
        &self,
        id: &str,
        options: CallOptions,
    ) -> Result<Answered<BatchResults>, Failed> {
        let answered = self
            .of_batches(BatchCall::Results(id.to_owned()), options)
            .await?;
        answered.expect(|body| match body {
            Body::BatchResults(results) => Some(results),
            _ => None,
        })
    }

    async fn batch(
        &self,
        of: BatchCall,
        options: CallOptions,
    ) -> Result<Answered<MessageBatch>, Failed> {
        let answered = self.of_batches(of, options).await?;
        answered.expect(|body| match body {
            Body::Batch(batch) => Some(*batch),
            _ => None,
        })
    }

    async fn of_batches(
        &self,
        of: BatchCall,
        options: CallOptions,
    ) -> Result<Answered<Body>, Failed> {
        let nothing = MessagesRequest::default();
        self.answered(call(Payload::Batches(of), &nothing, options))
            .await
    }
}
