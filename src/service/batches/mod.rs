//! The RPCs of `claude.v1.BatchService`.

mod listed;
mod results;
mod submission;

use super::{Events, Rpcs, call};
use crate::{
    access::Identity,
    batches::{BatchError, Batches},
    call::Deadline,
    proto::v1::{self, batch_service_server::BatchService},
    status::{self, Violations},
    telemetry::CallRecord,
};
use futures::StreamExt;
use listed::listed;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Number of batches in a page, unless the caller asks for another.
const PAGE: usize = 100;

/// Maximum number of batches in a page.
const LARGEST_PAGE: usize = 1000;

impl Rpcs {
    /// The batches, for this call.
    fn batches<T>(&self, request: &Request<T>) -> Result<Batches, Status> {
        let batches = self.batches.as_ref().ok_or_else(status::batches_disabled)?;
        let record = request.extensions().get::<CallRecord>();
        Ok(batches.on_behalf_of(record.cloned().unwrap_or_default()))
    }
}

/// The tenant of a caller; empty without access control.
fn tenant<T>(request: &Request<T>) -> String {
    let caller = request.extensions().get::<Arc<Identity>>();
    caller.map_or_else(String::new, |caller| caller.tenant.to_string())
}

fn failed(error: BatchError) -> Status {
    status::batch_failed(&error)
}

#[tonic::async_trait]
impl BatchService for Rpcs {
    type StreamBatchResultsStream = Events<v1::StreamBatchResultsResponse>;

    async fn submit_batch(
        &self,
        request: Request<v1::SubmitBatchRequest>,
    ) -> Result<Response<v1::SubmitBatchResponse>, Status> {
        let batches = self.batches(&request)?;
        let options = call::options(&request, false, &self.config.passthrough)?;
        batches.may_submit(&options).map_err(failed)?;
        let new = submission::read(self, request.into_inner(), options).await?;
        let record = batches.submit(new).await.map_err(failed)?;
        Ok(Response::new(v1::SubmitBatchResponse {
            batch: Some(listed(&record, batches.retention())),
        }))
    }

    async fn get_batch(
        &self,
        request: Request<v1::GetBatchRequest>,
    ) -> Result<Response<v1::GetBatchResponse>, Status> {
        let (batches, tenant) = (self.batches(&request)?, tenant(&request));
        let id = request.into_inner().id;
        let record = batches.get(&tenant, &id).await.map_err(failed)?;
        Ok(Response::new(v1::GetBatchResponse {
            batch: Some(listed(&record, batches.retention())),
        }))
    }

    async fn list_batches(
        &self,
        request: Request<v1::ListBatchesRequest>,
    ) -> Result<Response<v1::ListBatchesResponse>, Status> {
        let (batches, tenant) = (self.batches(&request)?, tenant(&request));
        let request = request.into_inner();
        let size = match usize::try_from(request.page_size) {
            Ok(0) => PAGE,
            Ok(size) if size <= LARGEST_PAGE => size,
            _ => {
                let mut wrong = Violations::default();
                wrong.add("page_size", format!("must be between 1 and {LARGEST_PAGE}"));
                return Err(wrong.into_status());
            }
        };
        let all = batches.list(&tenant).await.map_err(failed)?;
        let first = match request.page_token.as_str() {
            "" => 0,
            last => match all.iter().position(|record| record.id == last) {
                Some(position) => position + 1,
                None => {
                    let mut wrong = Violations::default();
                    wrong.add(
                        "page_token",
                        "must be the token of a page whose last batch exists",
                    );
                    return Err(wrong.into_status());
                }
            },
        };
        let page = &all[first..(first + size).min(all.len())];
        let has_more = first + size < all.len();
        let last = page.last().filter(|_| has_more);
        Ok(Response::new(v1::ListBatchesResponse {
            batches: page
                .iter()
                .map(|it| listed(it, batches.retention()))
                .collect(),
            next_page_token: last.map(|record| record.id.clone()).unwrap_or_default(),
        }))
    }

    async fn cancel_batch(
        &self,
        request: Request<v1::CancelBatchRequest>,
    ) -> Result<Response<v1::CancelBatchResponse>, Status> {
        let (batches, tenant) = (self.batches(&request)?, tenant(&request));
        let id = request.into_inner().id;
        let record = batches.cancel(&tenant, &id).await.map_err(failed)?;
        Ok(Response::new(v1::CancelBatchResponse {
            batch: Some(listed(&record, batches.retention())),
        }))
    }

    async fn delete_batch(
        &self,
        request: Request<v1::DeleteBatchRequest>,
    ) -> Result<Response<v1::DeleteBatchResponse>, Status> {
        let (batches, tenant) = (self.batches(&request)?, tenant(&request));
        let id = request.into_inner().id;
        batches.delete(&tenant, &id).await.map_err(failed)?;
        Ok(Response::new(v1::DeleteBatchResponse {}))
    }

    async fn stream_batch_results(
        &self,
        request: Request<v1::StreamBatchResultsRequest>,
    ) -> Result<Response<Self::StreamBatchResultsStream>, Status> {
        let (batches, tenant) = (self.batches(&request)?, tenant(&request));
        let deadline = request.extensions().get::<Deadline>().copied();
        let id = request.into_inner().id;
        let results = batches.results(&tenant, &id, deadline).await;
        let (record, items, results) = results.map_err(failed)?;
        Ok(Response::new(
            results::responses(record, items, results).boxed(),
        ))
    }
}
