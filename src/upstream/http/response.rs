//! A response, over either version of HTTP.

use super::pool::{Http2Body, StreamError};
use crate::upstream::UpstreamError;
use bytes::Bytes;
use futures::{Stream, StreamExt, future::Either};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

/// A response whose body has not been read.
pub enum ApiResponse {
    /// Over HTTP/1.1.
    Http1(reqwest::Response),
    /// Over HTTP/2.
    Http2(http::Response<Http2Body>),
}

/// What a body claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// A JSON document.
    Json,
    /// Server-sent events.
    Events,
    /// Events in frames of AWS.
    Frames,
    /// Something else, or nothing.
    Other,
}

/// The body ended before its end.
#[derive(Debug, Clone, Copy)]
pub enum BodyBroke {
    /// This one.
    Alone,
    /// As others on the same connection, of which one was reported.
    WithOthers,
}

impl From<StreamError> for BodyBroke {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::BrokenWithOthers => BodyBroke::WithOthers,
            _ => BodyBroke::Alone,
        }
    }
}

impl From<BodyBroke> for UpstreamError {
    fn from(broke: BodyBroke) -> Self {
        match broke {
            BodyBroke::Alone => UpstreamError::Broken,
            BodyBroke::WithOthers => UpstreamError::BrokenWithOthers,
        }
    }
}

impl ApiResponse {
    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            ApiResponse::Http1(response) => response.status(),
            ApiResponse::Http2(response) => response.status(),
        }
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        match self {
            ApiResponse::Http1(response) => response.headers(),
            ApiResponse::Http2(response) => response.headers(),
        }
    }

    /// What the body claims to be.
    pub fn format(&self) -> BodyFormat {
        let content_type = self.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let (media_type, _) = content_type
            .map(|value| value.split_once(';').unwrap_or((value, "")))
            .unwrap_or_default();
        match media_type.trim() {
            it if it.eq_ignore_ascii_case("text/event-stream") => BodyFormat::Events,
            it if it.eq_ignore_ascii_case("application/json") => BodyFormat::Json,
            it if it.eq_ignore_ascii_case("application/vnd.amazon.eventstream") => {
                BodyFormat::Frames
            }
            _ => BodyFormat::Other,
        }
    }

    /// The size of the body as announced, in bytes.
    pub fn content_length(&self) -> Option<u64> {
        match self {
            ApiResponse::Http1(response) => response.content_length(),
            ApiResponse::Http2(response) => {
                let length = response.headers().get(CONTENT_LENGTH)?;
                length.to_str().ok()?.parse().ok()
            }
        }
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// When the body ends before its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyBroke> {
        match self {
            ApiResponse::Http1(response) => response.chunk().await.map_err(|_| BodyBroke::Alone),
            ApiResponse::Http2(response) => {
                let next = response.body_mut().next().await;
                next.transpose().map_err(BodyBroke::from)
            }
        }
    }

    /// The pieces of the body.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, BodyBroke>> + Send + 'static {
        match self {
            ApiResponse::Http1(response) => {
                let body = response.bytes_stream();
                Either::Left(body.map(|piece| piece.map_err(|_| BodyBroke::Alone)))
            }
            ApiResponse::Http2(response) => {
                let body = response.into_body();
                Either::Right(body.map(|piece| piece.map_err(BodyBroke::from)))
            }
        }
    }
}
