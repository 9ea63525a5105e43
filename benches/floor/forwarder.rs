//! A floor: parses the call, forwards it, returns the answer.

use super::{
    any_port, api,
    client::{Answer, Api, Hyper, Reqwest},
    events,
};
use claude_grpc::proto::v1::{
    self,
    claude_service_server::{ClaudeService, ClaudeServiceServer},
};
use futures::stream::BoxStream;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

#[derive(Clone)]
struct Forwarder<A> {
    api: A,
}

/// Serves until killed. Its first line ends in its address.
pub fn run(client: &str, upstream: &str) -> ExitCode {
    // As in the service, where a subscriber says which spans are wanted. With
    // none, every span of h2 and hyper would be offered to the `log` crate.
    let none = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::set_global_default(none).expect("the first subscriber");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match client {
        "hyper" => runtime.block_on(serve(Hyper::new(upstream))),
        "reqwest" => runtime.block_on(serve(Reqwest::new(upstream))),
        other => panic!("unknown client {other}"),
    }
    ExitCode::SUCCESS
}

async fn serve(api: impl Api) {
    let listener = TcpListener::bind(any_port()).await.expect("a free port");
    println!(
        "listening on {}",
        listener.local_addr().expect("its address")
    );
    Server::builder()
        .add_service(ClaudeServiceServer::new(Forwarder { api }))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .expect("it serves");
}

#[tonic::async_trait]
impl<A: Api> ClaudeService for Forwarder<A> {
    type GenerateStreamStream = BoxStream<'static, Result<v1::GenerateStreamResponse, Status>>;
    type ProcessItemsStream = BoxStream<'static, Result<v1::ProcessItemsResponse, Status>>;
    type SummarizeStreamStream = BoxStream<'static, Result<v1::SummarizeStreamResponse, Status>>;

    async fn generate(
        &self,
        request: Request<v1::GenerateRequest>,
    ) -> Result<Response<v1::GenerateResponse>, Status> {
        let ask = api::generate(request.get_ref(), false)?;
        let Answer { request_id, body } = self.api.whole(ask).await?;
        let message = api::Message::parse(&body)?;
        Ok(Response::new(message.into_generated(request_id)))
    }

    async fn generate_stream(
        &self,
        request: Request<v1::GenerateStreamRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        let request = request.into_inner().request.unwrap_or_default();
        let ask = api::generate(&request, true)?;
        let Answer { request_id, body } = self.api.pieces(ask).await?;
        let events = events::forward(events::events(body), request_id);
        Ok(Response::new(Box::pin(events)))
    }

    async fn classify(
        &self,
        request: Request<v1::ClassifyRequest>,
    ) -> Result<Response<v1::ClassifyResponse>, Status> {
        let request = request.into_inner();
        let Answer { request_id, body } = self.api.whole(api::classify(&request)?).await?;
        let message = api::Message::parse(&body)?;
        let answer = message.into_classified(request_id, request.labels)?;
        Ok(Response::new(answer))
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

    async fn process_items(
        &self,
        _: Request<Streaming<v1::ProcessItemsRequest>>,
    ) -> Result<Response<Self::ProcessItemsStream>, Status> {
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
    Status::unimplemented("a floor does not forward this call")
}
