//! gRPC on the wire as it is, for what no client would send or show.

use crate::support::{World, http_client, soon};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use tonic::Status;

pub const GENERATE: &str = "/claude.v1.ClaudeService/Generate";

/// A message as gRPC frames it.
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// What came back.
pub struct Answer {
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The trailers, or the headers of an answer that has nothing else.
    pub trailers: HeaderMap,
}

impl Answer {
    pub fn status(&self) -> Status {
        Status::from_header_map(&self.trailers).expect("no grpc-status")
    }
}

/// Posts bytes as a gRPC request.
pub async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    let mut request = Request::post(format!("http://{}{path}", world.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = tonic::body::Body::new(Full::new(body));
    let call = http_client().request(request.body(body).unwrap());
    let response = soon(call).await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    // Clients of Go take a status in the headers only if nothing follows them.
    let is_status = headers.contains_key("grpc-status");
    assert_eq!(response.body().is_end_stream(), is_status, "{headers:?}");
    let collected = soon(response.into_body().collect()).await.unwrap();
    Answer {
        trailers: collected.trailers().unwrap_or(&headers).clone(),
        body: collected.to_bytes(),
        headers,
    }
}
