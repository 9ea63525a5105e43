//! Generate, GenerateStream and CountTokens.

#[cfg(test)]
mod agreement;
mod answer;
mod browser;
mod content;
mod extra;
mod json;
mod picture;
mod position;
mod request;
mod settings;
mod sources;
mod stream;
mod tool_name;
mod tools;

pub use answer::response;
pub use request::{max_tokens, messages_request};

use super::{Rpcs, call, kept_responses::FoundResponse};
use crate::{
    claude::request::MessagesRequest,
    proto::v1,
    status::{self, Violations},
    upstream::Failed,
};
use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status};

/// The largest field of a request, named when the request is too large.
const PAYLOAD: &str = "messages";

/// The same field of a request that wraps a GenerateRequest.
const WRAPPED_PAYLOAD: &str = "request.messages";

impl Rpcs {
    pub(super) async fn generate(
        &self,
        request: Request<v1::GenerateRequest>,
    ) -> Result<Response<v1::GenerateResponse>, Status> {
        let options = call::options(
            &request,
            self.config.generate.coalesce,
            &self.config.passthrough,
        )?;
        let max_age = call::cache_max_age(&request, self.config.generate.cache_max_age)?;
        let mut wrong = Violations::default();
        let upstream = request::messages_request(request.into_inner(), &self.config, &mut wrong);
        wrong.into_result()?;
        let keep_as = match self.kept(&upstream, &options, max_age).await {
            FoundResponse::Kept(response) => return Ok(Response::new(response)),
            FoundResponse::Missing(keep_as) => keep_as,
        };

        let answered = self
            .claude
            .message(upstream, options)
            .await
            .map_err(|failed| status::upstream_failed(&failed, PAYLOAD))?;
        let response = answer::response(answered.value, answered.origin);
        if let Some(keep_as) = keep_as {
            keep_as.keep(&response).await;
        }
        Ok(Response::new(response))
    }

    pub(super) async fn generate_stream(
        &self,
        request: Request<v1::GenerateStreamRequest>,
    ) -> Result<
        Response<impl Stream<Item = Result<v1::GenerateStreamResponse, Status>> + Send + use<>>,
        Status,
    > {
        let options = call::options(&request, false, &self.config.passthrough)?;
        let upstream = self.wrapped(request.into_inner().request)?;

        let answered = self
            .claude
            .stream(upstream, options)
            .await
            .map_err(|failed| status::upstream_failed(&failed, WRAPPED_PAYLOAD))?;
        let attempts = answered.attempts;
        let mut translator = stream::GenerateTranslator::new(answered.origin);
        let events = answered.value.filter_map(move |event| {
            let outcome = match event {
                Ok(event) => translator.translate(event).map(Ok),
                Err(error) => Some(Err(status::upstream_failed(
                    &Failed { error, attempts },
                    WRAPPED_PAYLOAD,
                ))),
            };
            std::future::ready(outcome)
        });
        Ok(Response::new(events))
    }

    pub(super) async fn count_tokens(
        &self,
        request: Request<v1::CountTokensRequest>,
    ) -> Result<Response<v1::CountTokensResponse>, Status> {
        let options = call::options(&request, false, &self.config.passthrough)?;
        // Fields that do not affect the count are left out.
        let upstream = MessagesRequest {
            max_tokens: None,
            stop_sequences: Vec::new(),
            metadata: None,
            service_tier: None,
            container: None,
            diagnostics: None,
            inference_geo: None,
            ..self.wrapped(request.into_inner().request)?
        };
        let model = upstream.model.clone();

        let answered = self
            .claude
            .count_tokens(upstream, options)
            .await
            .map_err(|failed| status::upstream_failed(&failed, WRAPPED_PAYLOAD))?;
        Ok(Response::new(v1::CountTokensResponse {
            input_tokens: super::answer::saturating(answered.value.input_tokens),
            model,
            host: answered.origin.host.to_string(),
            request_id: answered.origin.request_id.unwrap_or_default(),
        }))
    }

    fn wrapped(&self, request: Option<v1::GenerateRequest>) -> Result<MessagesRequest, Status> {
        let Some(request) = request else {
            let mut wrong = Violations::default();
            wrong.add("request", "must be set");
            return Err(wrong.into_status());
        };
        let mut wrong = Violations::under("request");
        let upstream = request::messages_request(request, &self.config, &mut wrong);
        wrong.into_result()?;
        Ok(upstream)
    }
}
