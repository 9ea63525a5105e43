//! The HTTP clients that the floors differ in.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::future::Future;
use tonic::Status;

/// An answer of the API, with the id that it gave the request.
pub struct Answer<B> {
    pub request_id: String,
    pub body: B,
}

/// The pieces of a streamed body, as they come.
pub type Pieces = BoxStream<'static, Result<Bytes, Status>>;

/// Sends requests to the API.
pub trait Api: Clone + Send + Sync + 'static {
    /// Returns the answer when its body is complete.
    fn whole(&self, body: Vec<u8>) -> impl Future<Output = Result<Answer<Bytes>, Status>> + Send;

    /// Returns the answer when its body begins.
    fn pieces(&self, body: Vec<u8>) -> impl Future<Output = Result<Answer<Pieces>, Status>> + Send;
}

/// hyper's own client.
#[derive(Clone)]
pub struct Hyper {
    http: Client<HttpConnector, Full<Bytes>>,
    url: http::Uri,
    headers: HeaderMap,
}

impl Hyper {
    pub fn new(upstream: &str) -> Hyper {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Hyper {
            http: Client::builder(TokioExecutor::new()).build(connector),
            url: url(upstream).parse().expect("an address"),
            headers: headers(),
        }
    }

    async fn post(
        &self,
        body: Vec<u8>,
    ) -> Result<Answer<http::Response<hyper::body::Incoming>>, Status> {
        let mut request = http::Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        let response = self.http.request(request).await.map_err(unavailable)?;
        Ok(Answer {
            request_id: request_id(response.headers()),
            body: response,
        })
    }
}

impl Api for Hyper {
    async fn whole(&self, body: Vec<u8>) -> Result<Answer<Bytes>, Status> {
        let Answer { request_id, body } = self.post(body).await?;
        let body = body.into_body().collect().await.map_err(unavailable)?;
        Ok(Answer {
            request_id,
            body: body.to_bytes(),
        })
    }

    async fn pieces(&self, body: Vec<u8>) -> Result<Answer<Pieces>, Status> {
        let Answer { request_id, body } = self.post(body).await?;
        let pieces = body.into_body().into_data_stream().map_err(unavailable);
        Ok(Answer {
            request_id,
            body: pieces.boxed(),
        })
    }
}

/// reqwest, which the service uses.
#[derive(Clone)]
pub struct Reqwest {
    http: reqwest::Client,
    url: reqwest::Url,
}

impl Reqwest {
    pub fn new(upstream: &str) -> Reqwest {
        let http = reqwest::Client::builder()
            .no_proxy()
            .default_headers(headers())
            .build();
        Reqwest {
            http: http.expect("a client"),
            url: url(upstream).parse().expect("an address"),
        }
    }

    async fn post(&self, body: Vec<u8>) -> Result<Answer<reqwest::Response>, Status> {
        let request = self.http.post(self.url.clone()).body(body);
        let response = request.send().await.map_err(unavailable)?;
        Ok(Answer {
            request_id: request_id(response.headers()),
            body: response,
        })
    }
}

impl Api for Reqwest {
    async fn whole(&self, body: Vec<u8>) -> Result<Answer<Bytes>, Status> {
        let Answer { request_id, body } = self.post(body).await?;
        Ok(Answer {
            request_id,
            body: body.bytes().await.map_err(unavailable)?,
        })
    }

    async fn pieces(&self, body: Vec<u8>) -> Result<Answer<Pieces>, Status> {
        let Answer { request_id, body } = self.post(body).await?;
        Ok(Answer {
            request_id,
            body: body.bytes_stream().map_err(unavailable).boxed(),
        })
    }
}

fn url(upstream: &str) -> String {
    format!("http://{upstream}/v1/messages")
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer none"),
        ("anthropic-version", "2026-10-21"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

fn request_id(headers: &HeaderMap) -> String {
    let id = headers.get("request-id").and_then(|it| it.to_str().ok());
    id.unwrap_or_default().to_owned()
}

fn unavailable<E>(_: E) -> Status {
    Status::unavailable("the upstream does not answer")
}
