//! An upstream that costs next to nothing: the same answer at once, with the
//! headers that the Claude API sends.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use std::{convert::Infallible, net::SocketAddr};
use tokio::net::TcpListener;

const ANSWER: &str = r#"{"id":"msg_013Zva2CMHLNnXjNJJKqJ2EF","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[{"type":"text","text":"Hi! It is good to hear from you. What can I do for you today?","citations":null}],"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":9,"output_tokens":18,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"service_tier":"standard"}}"#;

/// Starts it on a port of its own.
pub async fn start() -> SocketAddr {
    let listener = TcpListener::bind(crate::rig::any_port())
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let _ = Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await;
            });
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("request-id", "req_011CSHoEeqs5C35K2UUqR7Fy")
        .header("anthropic-organization-id", "a1b2c3")
        .header("anthropic-ratelimit-requests-limit", "100000000")
        .header("anthropic-ratelimit-requests-remaining", "99999999")
        .header("anthropic-ratelimit-requests-reset", "2026-11-24T12:00:00Z")
        .header("anthropic-ratelimit-input-tokens-limit", "100000000000")
        .header("anthropic-ratelimit-input-tokens-remaining", "99999999000")
        .header(
            "anthropic-ratelimit-input-tokens-reset",
            "2026-11-24T12:00:00Z",
        )
        .header("anthropic-ratelimit-output-tokens-limit", "100000000000")
        .header("anthropic-ratelimit-output-tokens-remaining", "99999999000")
        .header(
            "anthropic-ratelimit-output-tokens-reset",
            "2026-11-24T12:00:00Z",
        )
        .body(Full::new(Bytes::from_static(ANSWER.as_bytes())))
        .expect("valid headers");
    Ok(response)
}
