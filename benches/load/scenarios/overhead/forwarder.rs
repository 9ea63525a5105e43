//! The bare forwarder: a tonic service that sends the prompt on by hyper's own
//! client and gives the body back, with no limit, check, retry or trace.

use bytes::Bytes;
use claude_grpc::proto::v1::{
    self,
    claude_service_server::{ClaudeService, ClaudeServiceServer},
};
use futures::stream::BoxStream;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::process::ExitCode;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

#[derive(Clone)]
struct Forwarder {
    http: Client<HttpConnector, Full<Bytes>>,
    upstream: http::Uri,
}

/// Serves until killed. Says on its first line where.
pub fn run(upstream: &str) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let forwarder = Forwarder {
            http: Client::builder(TokioExecutor::new()).build(connector),
            upstream: format!("http://{upstream}/v1/messages")
                .parse()
                .expect("an address"),
        };
        let listener = TcpListener::bind(crate::rig::any_port())
            .await
            .expect("a free port");
        println!(
            "listening on {}",
            listener.local_addr().expect("its address")
        );
        Server::builder()
            .add_service(ClaudeServiceServer::new(forwarder))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await
            .expect("it serves");
    });
    ExitCode::SUCCESS
}

#[tonic::async_trait]
impl ClaudeService for Forwarder {
    type GenerateStreamStream = BoxStream<'static, Result<v1::GenerateStreamResponse, Status>>;
    type SummarizeStreamStream = BoxStream<'static, Result<v1::SummarizeStreamResponse, Status>>;

    async fn generate(
        &self,
        request: Request<v1::GenerateRequest>,
    ) -> Result<Response<v1::GenerateResponse>, Status> {
        let asked = request.into_inner();
        let prompt = asked.messages.first().map_or("", |message| &message.text);
        let body = format!(
            r#"{{"model":"claude-sonnet-5-5","max_tokens":64,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        );
        let request = http::Request::post(self.upstream.clone())
            .header("content-type", "application/json")
            .header("authorization", "Bearer none")
            .header("anthropic-version", "2026-10-21")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Status::internal("no request"))?;
        let response = self.http.request(request).await;
        let response = response.map_err(|_| Status::unavailable("no upstream"))?;
        let body = response.into_body().collect().await;
        let body = body
            .map_err(|_| Status::unavailable("no answer"))?
            .to_bytes();
        let text = String::from_utf8(body.into()).map_err(|_| Status::internal("no text"))?;
        let text = v1::content_block::Block::Text(v1::TextBlock {
            text,
            ..v1::TextBlock::default()
        });
        Ok(Response::new(v1::GenerateResponse {
            content: vec![v1::ContentBlock { block: Some(text) }],
            ..v1::GenerateResponse::default()
        }))
    }

    async fn generate_stream(
        &self,
        _: Request<v1::GenerateStreamRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        Err(not_forwarded())
    }

    async fn summarize(
        &self,
        _: Request<v1::SummarizeRequest>,
    ) -> Result<Response<v1::SummarizeResponse>, Status> {
        Err(not_forwarded())
    }

    async fn summarize_stream(
        &self,
        _: Request<v1::SummarizeStreamRequest>,
    ) -> Result<Response<Self::SummarizeStreamStream>, Status> {
        Err(not_forwarded())
    }

    async fn classify(
        &self,
        _: Request<v1::ClassifyRequest>,
    ) -> Result<Response<v1::ClassifyResponse>, Status> {
        Err(not_forwarded())
    }

    async fn count_tokens(
        &self,
        _: Request<v1::CountTokensRequest>,
    ) -> Result<Response<v1::CountTokensResponse>, Status> {
        Err(not_forwarded())
    }

    async fn list_models(
        &self,
        _: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        Err(not_forwarded())
    }
}

fn not_forwarded() -> Status {
    Status::unimplemented("the forwarder only forwards Generate")
}
