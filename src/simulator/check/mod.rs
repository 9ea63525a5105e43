//! The API's rules for requests.

mod betas;
mod compacted;
mod conformity;
mod content;
mod model_rules;
mod output;
mod reading;
mod shapes;

use super::{
    cache,
    error::{ApiError, require},
    host::SimulatedHost,
    state::SimulatorState,
    threads::{self, ThreadTurn},
    tokens,
};
use crate::{
    claude::{
        API_VERSION,
        request::{MessagesRequest, Thinking},
        tools::ToolChoice,
    },
    models::KnownModel,
};
use betas::Betas;
use http::{HeaderMap, Method, header};
use serde_json::{Map, Value};

/// The version before the current one.
const OLDER_VERSION: &str = "2023-06-01";

const MAX_MESSAGES: usize = 100_000;
const MAX_CACHE_MARKS: usize = 4;
const MIN_THINKING_BUDGET: u32 = 1024;

/// Checks the headers, other than the credentials.
///
/// # Errors
/// 400 for what is missing or wrong.
pub(super) fn headers(
    headers: &HeaderMap,
    method: &Method,
    host: SimulatedHost,
) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if host == SimulatedHost::ClaudePlatformAws && text("anthropic-workspace-id").is_none() {
        return Err(ApiError::invalid(
            "anthropic-workspace-id: header is required",
        ));
    }
    match text("anthropic-version") {
        _ if host.has_version_in_body() => {}
        Some(API_VERSION | OLDER_VERSION) => {}
        Some(version) => {
            let message = format!("anthropic-version: \"{version}\" is not a valid version");
            return Err(ApiError::invalid(message));
        }
        None => return Err(ApiError::invalid("anthropic-version: header is required")),
    }
    if method == Method::POST {
        // The client of AWS sends none unless it is asked to.
        let otherwise = match host {
            SimulatedHost::BedrockRuntime => "application/json",
            _ => "",
        };
        let content_type = text(header::CONTENT_TYPE.as_str()).unwrap_or(otherwise);
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::invalid("content-type: must be application/json"));
        }
    }
    Ok(())
}

/// A request that has been checked.
#[derive(Debug)]
pub(super) struct CheckedRequest {
    /// What the service can say in types of its own.
    pub(super) request: MessagesRequest,
    /// The other fields of the body.
    pub(super) others: Map<String, Value>,
    pub(super) model: &'static KnownModel,
    /// The turn, if the request is one of a thread.
    pub(super) thread: Option<ThreadTurn>,
}

/// Reads and checks the body of a request; `counts` when only its tokens are
/// to be counted.
///
/// # Errors
/// 404 for an unknown model, 400 for the rest.
pub(super) fn messages(
    body: &[u8],
    headers: &HeaderMap,
    counts: bool,
    key: &str,
    state: &SimulatorState,
) -> Result<CheckedRequest, ApiError> {
    let shape = if counts { "CountTokens" } else { "Create" };
    let shapes_only = state.config.shapes_only;
    let mut fields = reading::read(body, shape, &Betas::read(headers, shapes_only))?;
    if !shapes_only {
        threads::check(&fields)?;
    }
    let thread = state.threads.open(key, &mut fields)?;
    let (mut request, others) = reading::split(fields)?;
    let model = state.config.host.find_model(&request.model)?;
    if !shapes_only {
        let host = state.config.host;
        host.refuse_lacking(&request, &others, headers, model)?;
        rules(&request, model, counts)?;
        for fallback in others
            .get("fallbacks")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            host.find_model(fallback["model"].as_str().unwrap_or_default())?;
        }
        if let Some(unknown) = state.containers.unknown(key, others.get("container")) {
            return Err(ApiError::not_found(format!("container: {unknown}")));
        }
    }
    compacted::forget(&mut request);
    Ok(CheckedRequest {
        request,
        others,
        model,
        thread,
    })
}

/// What the shape of a request does not say.
fn rules(request: &MessagesRequest, model: &KnownModel, counts: bool) -> Result<(), ApiError> {
    sizes(request, model)?;
    model_rules::check(request, model)?;
    thinking(request, counts)?;
    content::system(request)?;
    content::messages(request)?;
    content::tools(request)?;
    choice(request)?;
    if let Some(format) = request
        .output_config
        .as_ref()
        .and_then(|it| it.format.as_ref())
    {
        output::format(format)?;
    }
    Ok(())
}

fn sizes(request: &MessagesRequest, model: &KnownModel) -> Result<(), ApiError> {
    require(
        !request.messages.is_empty(),
        || "messages: at least one message is required",
    )?;
    require(request.messages.len() <= MAX_MESSAGES, || {
        format!("messages: at most {MAX_MESSAGES} messages are allowed")
    })?;
    require(cache::count(request) <= MAX_CACHE_MARKS, || {
        format!("A maximum of {MAX_CACHE_MARKS} blocks with cache_control may be provided.")
    })?;
    let max_tokens = request.max_tokens.unwrap_or(0);
    require(max_tokens <= model.limits.max_output, || {
        format!(
            "max_tokens: {max_tokens} > {}, which is the maximum allowed number of output tokens \
             for {}",
            model.limits.max_output,
            model.id()
        )
    })?;
    let input = tokens::of_request(request);
    require(input <= model.limits.context_window, || {
        format!(
            "prompt is too long: {input} tokens > {} maximum",
            model.limits.context_window
        )
    })?;
    require(
        request
            .stop_sequences
            .iter()
            .all(|it| !it.trim().is_empty()),
        || "stop_sequences: each stop sequence must contain non-whitespace",
    )
}

fn thinking(request: &MessagesRequest, counts: bool) -> Result<(), ApiError> {
    let Some(Thinking::Enabled { budget_tokens, .. }) = request.thinking else {
        return Ok(());
    };
    require(budget_tokens >= MIN_THINKING_BUDGET, || {
        format!("thinking.enabled.budget_tokens: Input should be at least {MIN_THINKING_BUDGET}")
    })?;
    require(
        counts || Some(budget_tokens) < request.max_tokens,
        || "max_tokens: must be greater than thinking.budget_tokens",
    )
}

fn choice(request: &MessagesRequest) -> Result<(), ApiError> {
    let Some(choice) = &request.tool_choice else {
        return Ok(());
    };
    require(
        !request.tools.is_empty(),
        || "tool_choice: may only be specified while providing tools",
    )?;
    if let ToolChoice::Tool { name, .. } = choice {
        require(request.tools.iter().any(|tool| tool.name() == name), || {
            format!("tool_choice.name: tool '{name}' not found in provided tools")
        })?;
    }
    Ok(())
}
