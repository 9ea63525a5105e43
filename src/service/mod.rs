//! The RPCs: what each one checks, asks the API, and returns.

mod answer;
mod batches;
mod call;
mod classify;
mod config;
mod document;
mod documents;
mod files;
mod generate;
mod given_document;
mod items;
mod kept_responses;
mod model;
mod models;
mod passthrough;
mod pdf;
mod prompt_cache;
mod summarize;
mod text;

pub use call::OPTION_HEADERS;
pub use config::{
    ClassifyConfig, DocumentsConfig, GenerateConfig, ItemsConfig, PassthroughConfig, ServiceConfig,
    SummarizeConfig,
};
pub use passthrough::{MAX_HEADERS_OF_API, is_of_api};

use crate::{
    batches::Batches,
    files::Files,
    memory::MessageBudget,
    models::PriceTable,
    proto::v1::{self, claude_service_server::ClaudeService},
    response_cache::ResponseCache,
    upstream::Client,
};
use futures::{StreamExt, stream::BoxStream};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// The RPCs of all services of `claude.v1`. Cloning is cheap.
#[derive(Clone)]
pub struct Rpcs {
    claude: Client,
    config: Arc<ServiceConfig>,
    batches: Option<Batches>,
    files: Option<Files>,
    prices: PriceTable,
    /// What documents and items hold is drawn from it.
    memory: MessageBudget,
    /// Cancelled when the server shuts down.
    drain: CancellationToken,
    responses: Option<ResponseCache>,
    /// The documents that may still be summarized at once.
    documents: Arc<Semaphore>,
}

impl Rpcs {
    /// The RPCs, with `claude` as the client of the API.
    pub fn new(claude: Client, config: ServiceConfig) -> Self {
        Rpcs {
            claude,
            documents: Arc::new(Semaphore::new(config.documents.max_documents)),
            config: Arc::new(config),
            batches: None,
            files: None,
            prices: PriceTable::default(),
            memory: MessageBudget::new(usize::MAX, Duration::MAX),
            drain: CancellationToken::new(),
            responses: None,
        }
    }

    /// Says what documents cost at these prices; without them, it is not known.
    #[must_use]
    pub fn with_prices(self, prices: PriceTable) -> Self {
        Rpcs { prices, ..self }
    }

    /// Draws what documents and items hold from this budget; without it, they have no limit.
    #[must_use]
    pub fn with_memory(self, memory: MessageBudget) -> Self {
        Rpcs { memory, ..self }
    }

    /// Reads no more items once this is cancelled.
    #[must_use]
    pub fn with_drain(self, drain: CancellationToken) -> Self {
        Rpcs { drain, ..self }
    }

    /// Keeps responses for calls that ask for it; without a cache, for none.
    #[must_use]
    pub fn with_responses(self, responses: Option<ResponseCache>) -> Self {
        Rpcs { responses, ..self }
    }

    /// Serves batches; without them, BatchService rejects all calls.
    #[must_use]
    pub fn with_batches(self, batches: Option<Batches>) -> Self {
        Rpcs { batches, ..self }
    }

    /// Serves files; without them, FileService rejects all calls.
    #[must_use]
    pub fn with_files(self, files: Option<Files>) -> Self {
        Rpcs { files, ..self }
    }
}

/// Responses of at least this size are compressed, if the caller accepts that;
/// below, it costs more time than it saves.
const COMPRESS_FROM: usize = 8 * 1024;

type Events<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl ClaudeService for Rpcs {
    type GenerateStreamStream = Events<v1::GenerateStreamResponse>;
    type ProcessItemsStream = Events<v1::ProcessItemsResponse>;
    type SummarizeStreamStream = Events<v1::SummarizeStreamResponse>;

    async fn generate(
        &self,
        request: Request<v1::GenerateRequest>,
    ) -> Result<Response<v1::GenerateResponse>, Status> {
        Rpcs::generate(self, request).await.map(compressed_if_large)
    }

    async fn generate_stream(
        &self,
        request: Request<v1::GenerateStreamRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        let response = Rpcs::generate_stream(self, request).await?;
        Ok(response.map(|events| events.boxed()))
    }

    async fn summarize(
        &self,
        request: Request<v1::SummarizeRequest>,
    ) -> Result<Response<v1::SummarizeResponse>, Status> {
        Rpcs::summarize(self, request)
            .await
            .map(compressed_if_large)
    }

    async fn summarize_stream(
        &self,
        request: Request<v1::SummarizeStreamRequest>,
    ) -> Result<Response<Self::SummarizeStreamStream>, Status> {
        let response = Rpcs::summarize_stream(self, request).await?;
        Ok(response.map(|events| events.boxed()))
    }

    async fn classify(
        &self,
        request: Request<v1::ClassifyRequest>,
    ) -> Result<Response<v1::ClassifyResponse>, Status> {
        Rpcs::classify(self, request).await.map(compressed_if_large)
    }

    async fn process_items(
        &self,
        request: Request<Streaming<v1::ProcessItemsRequest>>,
    ) -> Result<Response<Self::ProcessItemsStream>, Status> {
        let results = Rpcs::process_items(self, request).await?;
        Ok(Response::new(results.boxed()))
    }

    async fn count_tokens(
        &self,
        request: Request<v1::CountTokensRequest>,
    ) -> Result<Response<v1::CountTokensResponse>, Status> {
        Rpcs::count_tokens(self, request)
            .await
            .map(compressed_if_large)
    }

    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        Rpcs::list_models(self, request)
            .await
            .map(compressed_if_large)
    }
}

fn compressed_if_large<T: prost::Message>(mut response: Response<T>) -> Response<T> {
    if response.get_ref().encoded_len() < COMPRESS_FROM {
        response.disable_compression();
    }
    response
}
