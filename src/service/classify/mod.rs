//! Classify: chooses labels for a text.

mod classification;
mod labels;
mod look;
mod prompt;
mod schema;

use super::{
    Rpcs, ServiceConfig, answer, call, document,
    generate::max_tokens,
    given_document::{DocumentField, GivenDocument},
    kept_responses::FoundResponse,
    model,
    prompt_cache::{self, shared_system},
    text,
};
use crate::{
    claude::{
        answer::Message,
        request::{CacheControl, MessagesRequest, OutputConfig, OutputFormat},
    },
    models::catalogue,
    proto::v1,
    reason::Reason,
    status::{self, Path, Violations},
    upstream::{CallOptions, Client, KeyChoice, RoutedRpc},
};
use classification::{Breach, Classification};
pub(super) use schema::LabelChoice;
use tonic::{Request, Response, Status};

const MAX_TASK: usize = 1000;

/// Maximum number of model calls before a broken contract is an error.
const MAX_MODEL_CALLS: i32 = 2;

/// Tokens of one confidence in the answer: a key and a number.
const TOKENS_PER_LABEL: u32 = 16;

/// Tokens of the rest of the answer, and room for thinking.
const OTHER_TOKENS: u32 = 768;

impl Rpcs {
    pub(super) async fn classify(
        &self,
        request: Request<v1::ClassifyRequest>,
    ) -> Result<Response<v1::ClassifyResponse>, Status> {
        let mut options = call::options(
            &request,
            self.config.classify.coalesce,
            &self.config.passthrough,
        )?;
        options.key_choice = KeyChoice::CachedPrefix;
        options.rpc = RoutedRpc::Classify;
        let max_age = call::cache_max_age(&request, self.config.classify.cache_max_age)?;
        let mut request = request.into_inner();
        let mut wrong = Violations::default();
        let (mut upstream, field) = self.classify_upstream(&mut request, &mut wrong);
        wrong.into_result()?;
        let keep_as = match self.kept(&upstream, &options, max_age).await {
            FoundResponse::Kept(response) => return Ok(Response::new(response)),
            FoundResponse::Missing(keep_as) => keep_as,
        };
        let classifier = Classifier {
            client: self.claude.clone(),
            options,
            labels: request,
        };
        let response = classifier.classified(&mut upstream, field.name).await?;
        if let Some(keep_as) = keep_as {
            keep_as.keep(&response).await;
        }
        Ok(Response::new(response))
    }

    /// Checks a request and maps it to a request of the API, and returns the field that its
    /// document was in.
    pub(super) fn classify_upstream(
        &self,
        request: &mut v1::ClassifyRequest,
        wrong: &mut Violations,
    ) -> (MessagesRequest, DocumentField) {
        let document = GivenDocument::take(&mut request.text, &mut request.pdf, wrong);
        let upstream = MessagesRequest {
            messages: vec![prompt::message(document.block)],
            ..classify_base(request, &self.config, wrong)
        };
        (upstream, document.field)
    }
}

/// Checks a request but for its document, and maps it to a request of the API without a
/// message.
pub(super) fn classify_base(
    request: &mut v1::ClassifyRequest,
    service: &ServiceConfig,
    wrong: &mut Violations,
) -> MessagesRequest {
    let config = &service.classify;
    text::at_most(&request.task, MAX_TASK, Path::root("task"), wrong);
    labels::check(
        &request.labels,
        request.multi_label || request.allow_none,
        wrong,
    );
    // Too many are rejected: what is made of them would take far more than they do.
    request.labels.truncate(labels::MAX_LABELS);
    let model = model::choose(
        std::mem::take(&mut request.model),
        &config.model,
        &service.allowed_models,
        Path::root("model"),
        wrong,
    );
    let effort = config.effort;
    let effort = effort.and_then(|wanted| catalogue().effort_for(&model, wanted));
    let count = u32::try_from(request.labels.len()).unwrap_or(u32::MAX);
    let enough = OTHER_TOKENS.saturating_add(count.saturating_mul(TOKENS_PER_LABEL));
    let max_tokens = max_tokens(request.max_tokens, 1, config.max_tokens.max(enough), wrong);
    let choice = choice(request);
    let system = prompt::system(choice, &request.task);
    let ttl = prompt_cache::ttl(request.cache_ttl, Path::root("cache_ttl"), wrong);
    let mark = CacheControl::Ephemeral { ttl };
    let mark = config.cache_prompt.then_some(mark);
    MessagesRequest {
        system: Some(shared_system(system, &model, mark)),
        model,
        max_tokens: Some(max_tokens),
        output_config: Some(OutputConfig {
            effort,
            format: Some(OutputFormat::JsonSchema {
                schema: schema::schema(choice),
            }),
        }),
        ..MessagesRequest::default()
    }
}

/// Makes the calls for labels.
#[derive(Debug, Clone)]
pub(super) struct Classifier {
    /// The client of the API.
    pub client: Client,
    /// The options of each call.
    pub options: CallOptions,
    /// The labels and what else is wanted, without a document.
    pub labels: v1::ClassifyRequest,
}

// === impl Classifier ===

impl Classifier {
    /// Asks, and once more if the answer is not valid. `payload` is the field that is too
    /// large if the request is.
    pub async fn classified(
        &self,
        upstream: &mut MessagesRequest,
        payload: &'static str,
    ) -> Result<v1::ClassifyResponse, Status> {
        let mut usage = v1::Usage::default();
        let mut model_calls = 0;
        loop {
            model_calls += 1;
            let answered = self
                .client
                .message(&mut *upstream, self.options.clone())
                .await
                .map_err(|failed| status::upstream_failed(&failed, payload))?;
            let message = answered.value;
            answer::add_usage(&mut usage, answer::usage(&message.usage));
            match classification::read(&message, self.choice()) {
                Ok(Classification {
                    labels,
                    confidences,
                    reason,
                }) => {
                    return Ok(v1::ClassifyResponse {
                        labels,
                        confidences,
                        reason,
                        usage: Some(usage),
                        model: message.model,
                        host: answered.origin.host.to_string(),
                        request_id: answered.origin.request_id.unwrap_or_default(),
                        model_calls,
                        cached: false,
                    });
                }
                Err(breach) if model_calls < MAX_MODEL_CALLS => {
                    // A truncated answer would be truncated again, so raise the
                    // limit, unless the caller set it.
                    if breach == Breach::Cut && self.labels.max_tokens.is_none() {
                        upstream.max_tokens = upstream.max_tokens.map(|tokens| tokens * 2);
                    }
                }
                Err(breach) => return Err(broken(&breach, answered.origin.request_id.as_deref())),
            }
        }
    }

    /// A request about this text, like `base`.
    pub fn request(base: &MessagesRequest, text: &str) -> MessagesRequest {
        MessagesRequest {
            messages: vec![prompt::message(document::of_text(text))],
            ..base.clone()
        }
    }

    /// What an answer may choose.
    pub fn choice(&self) -> LabelChoice<'_> {
        choice(&self.labels)
    }
}

/// The response to a request that was made once, in a batch.
pub(super) fn response_in_batch(
    message: Message,
    choice: LabelChoice<'_>,
) -> Result<v1::ClassifyResponse, Status> {
    let read = classification::read(&message, choice);
    let read = read.map_err(|breach| broken(&breach, None))?;
    Ok(v1::ClassifyResponse {
        labels: read.labels,
        confidences: read.confidences,
        reason: read.reason,
        usage: Some(answer::usage(&message.usage)),
        model: message.model,
        request_id: String::new(),
        host: String::new(),
        model_calls: 1,
        cached: false,
    })
}

/// What an answer may choose.
pub(super) fn choice(request: &v1::ClassifyRequest) -> LabelChoice<'_> {
    LabelChoice {
        labels: &request.labels,
        multi_label: request.multi_label,
        allow_none: request.allow_none,
        include_reason: request.include_reason,
    }
}

/// The error when the last answer breaks the contract as well.
fn broken(breach: &Breach, request_id: Option<&str>) -> Status {
    match breach {
        Breach::Refused(category) => status::invalid_answer(
            Reason::AnswerRefused,
            match category {
                Some(category) => format!("the model refused to classify the text ({category})"),
                None => "the model refused to classify the text".to_owned(),
            },
            request_id,
        ),
        Breach::Cut => status::invalid_answer(
            Reason::AnswerTruncated,
            "the model's answer was truncated; raise max_tokens or shorten the text",
            request_id,
        ),
        Breach::Mismatch(what) => status::invalid_answer(
            Reason::AnswerInvalid,
            format!("the model's answer is not a classification: {what}"),
            request_id,
        ),
    }
}
