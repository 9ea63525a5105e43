//! Message Batches: requests that are answered later.
//!
//! A batch is kept in memory. A task processes its requests over the configured time,
//! a number of them at the same time, and its results are there once it has ended.

mod batch;
mod config;
mod create;
mod fixture;
mod process;
mod queue;
mod store;

pub use config::SimulatorBatchesConfig;
pub(super) use fixture::BatchFixture;
pub(super) use store::BatchStore;

use super::{
    answer,
    body::{AnswerBody, BrokenOff, Pieces, respond},
    error::ApiError,
    exchange::Exchange,
    paging::ListQuery,
};
use batch::BatchRefusal;
use bytes::Bytes;
use futures::stream;
use http::{Method, Response, header, request::Parts};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// Path of the list of batches.
pub(super) const PATH: &str = "/v1/messages/batches";

/// Maximum size of the body that creates a batch.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// `retry-after` when the store of batches is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchEndpoint<'a> {
    List,
    Batch(&'a str),
    Cancel(&'a str),
    Results(&'a str),
}

/// The endpoint of a path, if it is one of batches.
pub(super) fn endpoint(path: &str) -> Option<BatchEndpoint<'_>> {
    let below = path.strip_prefix(PATH)?;
    if below.is_empty() {
        return Some(BatchEndpoint::List);
    }
    let below = below.strip_prefix('/')?;
    match below.split_once('/') {
        None if below.is_empty() => None,
        None => Some(BatchEndpoint::Batch(below)),
        Some((id, "cancel")) => Some(BatchEndpoint::Cancel(id)),
        Some((id, "results")) => Some(BatchEndpoint::Results(id)),
        Some(_) => None,
    }
}

impl BatchEndpoint<'_> {
    /// The method as which the headers are checked: only a batch is created with a body.
    ///
    /// # Errors
    /// 405 for a method that the endpoint does not have.
    pub(super) fn method<'a>(&self, parts: &'a Parts) -> Result<&'a Method, ApiError> {
        match (self, &parts.method) {
            (BatchEndpoint::Cancel(_), &Method::POST) => Ok(&Method::GET),
            (BatchEndpoint::List, method @ (&Method::GET | &Method::POST))
            | (BatchEndpoint::Batch(_), method @ (&Method::GET | &Method::DELETE))
            | (BatchEndpoint::Results(_), method @ &Method::GET) => Ok(method),
            _ => Err(ApiError::new(405, "Method Not Allowed")),
        }
    }
}

/// Answers a request whose key and method have been checked.
///
/// # Errors
/// 404 for an unknown batch, 429 when there are too many, 400 for the rest.
pub(super) fn answer(
    exchange: &Exchange,
    parts: &Parts,
    endpoint: BatchEndpoint<'_>,
    body: &Bytes,
) -> Result<Response<AnswerBody>, ApiError> {
    let (state, key) = (&exchange.state, exchange.key.as_str());
    let origin = origin(exchange, parts);
    let json = match (endpoint, &parts.method) {
        (BatchEndpoint::List, &Method::POST) => {
            let requests = create::read(body)?;
            let headers = parts.headers.clone();
            let batch = process::begin(state, key, headers, requests, body.len())?;
            json_of(&batch.described(&origin))
        }
        (BatchEndpoint::List, _) => {
            let query = parts.uri.query().unwrap_or_default();
            let query = ListQuery::read(query, |_, _| Ok(false))?;
            let batches = state.batches.list(key);
            let described = batches.iter().map(|batch| batch.described(&origin));
            json_of(&query.page(described.collect(), |batch| batch.id, |_| true)?)
        }
        (BatchEndpoint::Batch(id), &Method::DELETE) => {
            state.batches.delete(key, id)?;
            json_of(&DeletedBatch {
                id,
                kind: "message_batch_deleted",
            })
        }
        (BatchEndpoint::Batch(id), _) => json_of(&state.batches.find(key, id)?.described(&origin)),
        (BatchEndpoint::Cancel(id), _) => {
            json_of(&state.batches.cancel(key, id)?.described(&origin))
        }
        (BatchEndpoint::Results(id), _) => {
            let lines = state.batches.find(key, id)?.results()?;
            return Ok(results(lines));
        }
    };
    answer::plain(json, exchange.behaviour.as_ref())
}

impl From<BatchRefusal> for ApiError {
    fn from(refusal: BatchRefusal) -> Self {
        match refusal {
            BatchRefusal::Unknown => ApiError::not_found("Message Batch not found."),
            BatchRefusal::NoResults => ApiError::not_found(
                "The Message Batch has no results yet: it is still in progress.",
            ),
            BatchRefusal::InProgress => ApiError::invalid(
                "A Message Batch that is in progress cannot be deleted: cancel it first.",
            ),
            BatchRefusal::NoRoom => ApiError::rate_limited(
                RETRY_AFTER,
                "The Message Batches that are in progress leave no room for another one.",
            ),
        }
    }
}

/// Lines, each sent when the client reads it.
fn results(lines: Arc<[Bytes]>) -> Response<AnswerBody> {
    let lines = (0..lines.len()).map(move |index| Ok::<_, BrokenOff>(lines[index].clone()));
    let pieces: Pieces = Box::pin(stream::iter(lines));
    respond("application/x-jsonl", AnswerBody::pieces(pieces))
}

/// Scheme and host as the client called them, with what stands in front of paths.
fn origin(exchange: &Exchange, parts: &Parts) -> String {
    let host = parts.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let tls = &exchange.state.config.tls;
    let is_tls = tls.cert_file.is_some() || tls.generated_ca_file.is_some();
    let scheme = if is_tls { "https" } else { "http" };
    let authority = authority.or(host).unwrap_or("localhost");
    format!("{scheme}://{authority}{}", exchange.base_path)
}

/// The answer to a deletion.
#[derive(Serialize)]
struct DeletedBatch<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serializes")
}
