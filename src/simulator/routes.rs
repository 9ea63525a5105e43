//! The way of one request.

use super::{
    answer,
    behaviour::{Asked, Behaviour},
    body::{AnswerBody, BrokenOff, Whole},
    catalogue, check,
    error::ApiError,
    limits::Remaining,
    state::{Recorded, State},
    tokens,
};
use crate::claude::{MAX_BODY_BYTES, models::TokenCount};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::sync::Arc;

/// A request whose body has come, and what it is to meet.
pub(super) struct Asking {
    pub(super) state: Arc<State>,
    pub(super) request_id: String,
    /// Number of the request since the start.
    pub(super) number: u64,
    /// API key; empty until it is checked.
    pub(super) key: String,
    pub(super) behaviour: Option<Behaviour>,
}

/// Answers one request. An error tells hyper to close the connection (or to
/// reset the stream) without an answer.
pub(super) async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, BrokenOff> {
    let mut in_flight = state.begin();
    let number = state.number();
    let mut asking = Asking {
        request_id: format!("req_sim_{number:012}"),
        state,
        number,
        key: String::new(),
        behaviour: None,
    };
    let (parts, body) = request.into_parts();
    let answered = match read(body).await {
        Ok(body) => {
            asking.record(&parts, &body);
            asking.route(&parts, body).await
        }
        Err(error) => {
            asking.record(&parts, &Bytes::new());
            Err(Failure::Api(error))
        }
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(Failure::Api(error)) => error.respond(&asking.request_id),
        Err(Failure::BrokenOff) => {
            in_flight.answered();
            return Err(BrokenOff);
        }
    };
    asking.add_headers(response.headers_mut());
    response.body_mut().answer_to(in_flight);
    Ok(response)
}

/// Why there is no ordinary answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error answer.
    Api(ApiError),
    /// The connection is closed on purpose.
    BrokenOff,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Failure::Api(error)
    }
}

async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            413,
            "Request exceeds the maximum allowed number of bytes.",
        )),
        Err(_) => Err(ApiError::invalid("the request body broke off")),
    }
}

impl Asking {
    async fn route(&mut self, parts: &Parts, body: Bytes) -> Result<Response<AnswerBody>, Failure> {
        let path = parts.uri.path();
        let generates = path == "/v1/messages";
        let counts = path == "/v1/messages/count_tokens";
        let model = path.strip_prefix("/v1/models").and_then(|rest| match rest {
            "" => Some(None),
            _ => rest.strip_prefix('/').map(Some),
        });
        if !generates && !counts && model.is_none() {
            return Err(ApiError::not_found(format!("Not found: {path}")).into());
        }
        let method = if model.is_some() {
            Method::GET
        } else {
            Method::POST
        };
        if parts.method != method {
            return Err(ApiError::new(405, "Method Not Allowed").into());
        }
        self.key = check::headers(&parts.headers, &parts.method, &self.state.config.api_keys)?;
        self.behaviour = self.choose_behaviour(&parts.headers, model.is_none())?;
        if let Some(behaviour) = &self.behaviour {
            // The request ends here: nothing of it is looked at.
            if let Some(response) = meet(behaviour).await? {
                return Ok(response);
            }
        }
        if let Some(model) = model {
            let found = match model {
                None => catalogue::page(parts.uri.query().unwrap_or_default())?,
                Some(id) => catalogue::model(id)?,
            };
            return Ok(answer::plain(found, self.behaviour.as_ref())?);
        }
        let (request, known) = check::messages(&body, counts)?;
        if counts {
            let count = TokenCount {
                input_tokens: tokens::of_request(&request),
            };
            let json = serde_json::to_string(&count).expect("a number always serializes");
            return Ok(answer::plain(json, self.behaviour.as_ref())?);
        }
        answer::respond(self, request, known).await
    }

    fn choose_behaviour(
        &self,
        headers: &HeaderMap,
        scriptable: bool,
    ) -> Result<Option<Behaviour>, ApiError> {
        let Some(value) = headers.get("x-simulator") else {
            return Ok(self.state.behaviour(scriptable));
        };
        let asked: Asked = std::str::from_utf8(value.as_bytes())
            .map_err(|_| ApiError::invalid("x-simulator: is not UTF-8"))?
            .parse()
            .map_err(|error| ApiError::invalid(format!("x-simulator: {error}")))?;
        let retries = headers
            .get("x-stainless-retry-count")
            .and_then(|count| count.to_str().ok()?.parse().ok())
            .unwrap_or(0);
        Ok(asked.attempt(retries))
    }

    fn record(&self, parts: &Parts, body: &Bytes) {
        if !self.state.config.record {
            return;
        }
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        self.state.record(Recorded {
            method: parts.method.to_string(),
            path: path.to_owned(),
            headers: parts.headers.clone(),
            body: body.clone(),
        });
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert("request-id", id);
        }
        headers.insert(
            "anthropic-organization-id",
            HeaderValue::from_static("00000000-0000-4000-8000-000000000000"),
        );
        if !headers.contains_key("anthropic-ratelimit-requests-limit") {
            Remaining::unlimited().write(headers);
        }
    }
}

/// What a behaviour does to any request, whatever is in it; `None` when it is
/// about the answer to a valid one.
async fn meet(behaviour: &Behaviour) -> Result<Option<Response<AnswerBody>>, Failure> {
    let said = |status: u16| format!("[simulated] an answer with status {status}");
    Err(match behaviour {
        Behaviour::RateLimited { retry_after } => {
            ApiError::rate_limited(*retry_after, said(429)).into()
        }
        Behaviour::SpendLimit => ApiError::spend_limit().into(),
        Behaviour::Overloaded => ApiError::overloaded().into(),
        Behaviour::Error(status) => ApiError::new(*status, said(*status)).into(),
        Behaviour::ShouldRetry(should_retry, status) => ApiError::new(*status, said(*status))
            .should_retry(*should_retry)
            .into(),
        Behaviour::Drop => Failure::BrokenOff,
        // Held here, the request is still counted as under way, and seen as
        // hung up when its client closes.
        Behaviour::Hang => std::future::pending().await,
        Behaviour::HtmlError => {
            let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n\
                        <body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n";
            let mut response = Whole {
                bytes: Bytes::from_static(page.as_bytes()),
                content_type: "text/html",
            }
            .respond();
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            return Ok(Some(response));
        }
        _ => return Ok(None),
    })
}
