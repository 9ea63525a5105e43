//! One request and the answer that is made for it.

use super::{
    behaviour::{Behaviour, RequestedBehaviour},
    body::BrokenOff,
    connection::ConnectionControl,
    error::ApiError,
    limits::RateLimitHeaders,
    state::{RecordedRequest, SimulatorState},
};
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use std::sync::Arc;

/// A request whose body has arrived, and the behaviour that it meets.
pub(super) struct Exchange {
    pub(super) state: Arc<SimulatorState>,
    /// The connection that the request came on.
    pub(super) connection: Arc<ConnectionControl>,
    pub(super) request_id: String,
    /// Number of the request since the start.
    pub(super) number: u64,
    /// What stands in front of the paths of the API.
    pub(super) base_path: String,
    /// API key, or the account of another host; empty until it is checked.
    pub(super) key: String,
    pub(super) behaviour: Option<Behaviour>,
}

/// Why a request has no ordinary answer.
#[derive(Debug)]
pub(super) enum ExchangeError {
    /// The API's answer is an error.
    Api(ApiError),
    /// The stream, or with HTTP/1.1 its connection, is closed on purpose.
    BrokenOff(BrokenOff),
    /// The connection is closed on purpose, with every stream on it.
    Disconnected,
}

impl From<ApiError> for ExchangeError {
    fn from(error: ApiError) -> Self {
        ExchangeError::Api(error)
    }
}

impl Exchange {
    /// The exchange of a request that has just arrived.
    pub(super) fn new(state: Arc<SimulatorState>, connection: Arc<ConnectionControl>) -> Self {
        let number = state.number();
        Exchange {
            request_id: state.config.host.request_id(number),
            base_path: String::new(),
            state,
            connection,
            number,
            key: String::new(),
            behaviour: None,
        }
    }

    /// The behaviour that the request meets: the one that its header names, or
    /// the one that is scripted or drawn for it. `scriptable` is true for the two endpoints
    /// that generate or count.
    ///
    /// # Errors
    /// 400 when the header names an unknown behaviour.
    pub(super) fn choose_behaviour(
        &self,
        headers: &HeaderMap,
        scriptable: bool,
    ) -> Result<Option<Behaviour>, ApiError> {
        let Some(value) = headers.get("x-simulator") else {
            return Ok(self.state.behaviour(scriptable));
        };
        let asked: RequestedBehaviour = std::str::from_utf8(value.as_bytes())
            .map_err(|_| ApiError::invalid("x-simulator: is not UTF-8"))?
            .parse()
            .map_err(|error| ApiError::invalid(format!("x-simulator: {error}")))?;
        let retries = headers
            .get("x-stainless-retry-count")
            .and_then(|count| count.to_str().ok()?.parse().ok())
            .unwrap_or(0);
        Ok(asked.attempt(retries))
    }

    /// Keeps the request for inspection, if that is configured.
    pub(super) fn record(&self, parts: &Parts, body: &Bytes) {
        if !self.state.config.record {
            return;
        }
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        self.state.record(RecordedRequest {
            method: parts.method.to_string(),
            path: path.to_owned(),
            headers: parts.headers.clone(),
            body: body.clone(),
        });
    }

    /// Adds the headers that every answer has.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        let host = self.state.config.host;
        host.add_ids(self.number, headers);
        if !host.sends_rate_limits() {
            RateLimitHeaders::remove(headers);
        } else if !headers.contains_key("anthropic-ratelimit-requests-limit") {
            RateLimitHeaders::unlimited().write(headers);
        }
    }
}
