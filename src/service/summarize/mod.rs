//! Summarize and SummarizeStream.

mod prompt;
mod stream;

use super::{
    Rpcs, ServiceConfig, answer, call,
    generate::max_tokens,
    given_document::{DocumentField, GivenDocument},
    kept_responses::FoundResponse,
    model, text,
};
use crate::{
    claude::{
        answer::Message,
        request::{MessagesRequest, OutputConfig, SystemPrompt},
    },
    models::catalogue,
    proto::v1,
    status::{self, Path, Violations},
    upstream::{AnswerOrigin, Failed, KeyChoice, RoutedRpc},
};
use futures::{Stream, StreamExt};
pub(super) use prompt::{SummaryRequest, TOKENS_PER_WORD};
use tonic::{Request, Response, Status};

/// Tokens for thinking in addition to the summary, when checking for a length
/// that the configured `max_tokens` would truncate.
const ROOM_FOR_THINKING: u32 = 1024;

impl Rpcs {
    pub(super) async fn summarize(
        &self,
        request: Request<v1::SummarizeRequest>,
    ) -> Result<Response<v1::SummarizeResponse>, Status> {
        let mut options = call::options(
            &request,
            self.config.summarize.coalesce,
            &self.config.passthrough,
        )?;
        options.key_choice = KeyChoice::CachedPrefix;
        options.rpc = RoutedRpc::Summarize;
        let max_age = call::cache_max_age(&request, self.config.summarize.cache_max_age)?;
        let mut wrong = Violations::default();
        let checked = CheckedSummary::read(request.into_inner(), &self.config, &mut wrong);
        wrong.into_result()?;
        let keep_as = match self.kept(&checked.upstream, &options, max_age).await {
            FoundResponse::Kept(response) => return Ok(Response::new(response)),
            FoundResponse::Missing(keep_as) => keep_as,
        };

        let answered = self
            .claude
            .message(checked.upstream, options)
            .await
            .map_err(|failed| status::upstream_failed(&failed, checked.field.name))?;
        let response = response(answered.value, answered.origin, checked.characters);
        if let Some(keep_as) = keep_as {
            keep_as.keep(&response).await;
        }
        Ok(Response::new(response))
    }

    pub(super) async fn summarize_stream(
        &self,
        request: Request<v1::SummarizeStreamRequest>,
    ) -> Result<
        Response<impl Stream<Item = Result<v1::SummarizeStreamResponse, Status>> + Send + use<>>,
        Status,
    > {
        let mut options = call::options(&request, false, &self.config.passthrough)?;
        options.key_choice = KeyChoice::CachedPrefix;
        options.rpc = RoutedRpc::Summarize;
        let Some(request) = request.into_inner().request else {
            let mut wrong = Violations::default();
            wrong.add("request", "must be set");
            return Err(wrong.into_status());
        };
        let mut wrong = Violations::under("request");
        let checked = CheckedSummary::read(request, &self.config, &mut wrong);
        wrong.into_result()?;

        let field = checked.field.wrapped;
        let answered = self
            .claude
            .stream(checked.upstream, options)
            .await
            .map_err(|failed| status::upstream_failed(&failed, field))?;
        let attempts = answered.attempts;
        let mut translator = stream::SummaryTranslator::new(answered.origin, checked.characters);
        let events = answered.value.filter_map(move |event| {
            let outcome = match event {
                Ok(event) => translator.translate(event).map(Ok),
                Err(error) => Some(Err(status::upstream_failed(
                    &Failed { error, attempts },
                    field,
                ))),
            };
            std::future::ready(outcome)
        });
        Ok(Response::new(events))
    }
}

/// A request that was validated.
pub(super) struct CheckedSummary {
    /// What the API is asked.
    pub upstream: MessagesRequest,
    /// Length of the text in characters; 0 for a PDF.
    pub characters: usize,
    /// The field of the document.
    pub field: DocumentField,
}

/// The settings of a request that were validated.
pub(super) struct CheckedSettings {
    /// What the API is asked, without its message.
    pub base: MessagesRequest,
    /// The summary that is wanted.
    pub wanted: SummaryRequest,
}

impl CheckedSummary {
    /// Validates a request and maps it to a request of the API.
    pub fn read(
        mut request: v1::SummarizeRequest,
        config: &ServiceConfig,
        wrong: &mut Violations,
    ) -> Self {
        let document = GivenDocument::take(&mut request.text, &mut request.pdf, wrong);
        let CheckedSettings { base, wanted } = CheckedSettings::read(request, config, wrong);
        CheckedSummary {
            upstream: MessagesRequest {
                messages: vec![wanted.message(document.block)],
                ..base
            },
            characters: document.characters,
            field: document.field,
        }
    }
}

impl CheckedSettings {
    /// Validates a request, but for its document.
    pub fn read(
        mut request: v1::SummarizeRequest,
        config: &ServiceConfig,
        wrong: &mut Violations,
    ) -> Self {
        let wanted = SummaryRequest::take(&mut request, wrong);
        let model = model::choose(
            request.model,
            &config.summarize.model,
            &config.allowed_models,
            Path::root("model"),
            wrong,
        );
        let effort = config.summarize.effort;
        let effort = effort.and_then(|wanted| catalogue().effort_for(&model, wanted));
        let enough = config
            .summarize
            .max_tokens
            .max(wanted.tokens() + ROOM_FOR_THINKING);
        let max_tokens = max_tokens(request.max_tokens, 1, enough, wrong);
        let base = MessagesRequest {
            model,
            max_tokens: Some(max_tokens),
            system: Some(SystemPrompt::Text(prompt::SYSTEM.to_owned())),
            output_config: effort.map(|effort| OutputConfig {
                effort: Some(effort),
                format: None,
            }),
            ..MessagesRequest::default()
        };
        CheckedSettings { base, wanted }
    }
}

/// The response, for a text of this length; 0 for a PDF.
pub(super) fn response(
    message: Message,
    origin: AnswerOrigin,
    characters: usize,
) -> v1::SummarizeResponse {
    let text = message.text();
    let stop_reason_text = message.stop_reason.unwrap_or_default();
    let stop_reason = answer::stop_reason(&stop_reason_text);
    let summary = match stop_reason {
        // A text before a refusal is not a summary.
        v1::StopReason::Refusal => String::new(),
        _ => text.trim().to_owned(),
    };
    v1::SummarizeResponse {
        length_ratio: text::length_ratio(summary.chars().count(), characters),
        summary,
        stop_reason: stop_reason.into(),
        stop_reason_text,
        refusal: answer::refusal(message.stop_details),
        usage: Some(answer::usage(&message.usage)),
        model: message.model,
        host: origin.host.to_string(),
        request_id: origin.request_id.unwrap_or_default(),
        cached: false,
    }
}
