//! The path of one request.

use super::{
    answer, batches,
    behaviour::Behaviour,
    body::{AnswerBody, BrokenOff, Whole},
    catalogue, check,
    connection::ConnectionControl,
    error::ApiError,
    exchange::{Exchange, ExchangeError},
    files,
    host::Target,
    state::SimulatorState,
    tokens,
};
use crate::claude::{MAX_BODY_BYTES, models::TokenCount};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::sync::Arc;

/// Answers one request. An error makes hyper close the connection (or reset the
/// stream) without an answer.
pub(super) async fn answer(
    state: Arc<SimulatorState>,
    connection: Arc<ConnectionControl>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, BrokenOff> {
    let mut in_flight = state.begin();
    let mut exchange = Exchange::new(state, connection);
    let host = exchange.state.config.host;
    let (mut parts, body) = request.into_parts();
    let uri = parts.uri.clone();
    let target = host.target(uri.path());
    let max_bytes = match &target {
        Ok(target) => max_body_bytes(&exchange, target.path),
        Err(_) => MAX_BODY_BYTES,
    };
    let answered = match read(body, max_bytes).await {
        Ok(body) => {
            exchange.record(&parts, &body);
            match target {
                Ok(target) => route(&mut exchange, &target, &mut parts, body).await,
                Err(lacking) => Err(ExchangeError::Api(lacking)),
            }
        }
        Err(error) => {
            exchange.record(&parts, &Bytes::new());
            Err(ExchangeError::Api(error))
        }
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(ExchangeError::Api(error)) => host.refuse(&error, &exchange.request_id),
        Err(ExchangeError::BrokenOff(broken_off)) => {
            in_flight.answered();
            return Err(broken_off);
        }
        Err(ExchangeError::Disconnected) => {
            in_flight.answered();
            exchange.connection.cut();
            // Ends with the connection.
            return std::future::pending().await;
        }
    };
    exchange.add_headers(response.headers_mut());
    response.body_mut().answer_to(in_flight);
    Ok(response)
}

/// The size of the largest body that a path accepts.
fn max_body_bytes(exchange: &Exchange, path: &str) -> usize {
    match path {
        batches::PATH => batches::MAX_BODY_BYTES,
        files::PATH => files::max_body_bytes(&exchange.state.config.files),
        _ => MAX_BODY_BYTES,
    }
}

async fn read(body: Incoming, max_bytes: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, max_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            413,
            "Request exceeds the maximum allowed number of bytes.",
        )),
        Err(_) => Err(ApiError::invalid("the request body broke off")),
    }
}

async fn route(
    exchange: &mut Exchange,
    target: &Target<'_>,
    parts: &mut Parts,
    body: Bytes,
) -> Result<Response<AnswerBody>, ExchangeError> {
    let path = target.path;
    exchange.base_path = target.prefix.to_owned();
    if let Some(endpoint) = batches::endpoint(path) {
        let method = endpoint.method(parts)?;
        // A client that asks for the state of batches does not use up what a test wants
        // to happen.
        let creates = path == batches::PATH && *method == Method::POST;
        return match admit(exchange, target, parts, method, creates).await? {
            Some(response) => Ok(response),
            None => Ok(batches::answer(exchange, parts, endpoint, &body)?),
        };
    }
    if let Some(endpoint) = files::endpoint(path) {
        return match admit(exchange, target, parts, endpoint.method(parts)?, false).await? {
            Some(response) => Ok(response),
            None => Ok(files::answer(exchange, parts, endpoint, body).await?),
        };
    }
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
    if let Some(response) = admit(exchange, target, parts, &method, model.is_none()).await? {
        return Ok(response);
    }
    if let Some(model) = model {
        let fixtures = &exchange.state.models;
        let found = match model {
            None => catalogue::page(parts.uri.query().unwrap_or_default(), fixtures)?,
            Some(id) => catalogue::model(id, fixtures)?,
        };
        return Ok(answer::plain(found, exchange.behaviour.as_ref())?);
    }
    let host = exchange.state.config.host;
    let body = host.rewrite(target, &mut parts.headers, body)?;
    let checked = check::messages(
        &body,
        &parts.headers,
        counts,
        &exchange.key,
        &exchange.state,
    )?;
    if counts {
        let count = TokenCount {
            input_tokens: tokens::of_request(&checked.request),
        };
        let json = serde_json::to_string(&count).expect("a number always serializes");
        return Ok(answer::plain(json, exchange.behaviour.as_ref())?);
    }
    answer::respond(exchange, &checked).await
}

/// Checks the headers of a request, as one of this method, and lets it meet its
/// behaviour; `None` when it goes on.
async fn admit(
    exchange: &mut Exchange,
    target: &Target<'_>,
    parts: &Parts,
    method: &Method,
    scriptable: bool,
) -> Result<Option<Response<AnswerBody>>, ExchangeError> {
    let state = &exchange.state;
    let host = state.config.host;
    let credential = host.authenticate(&parts.headers, &state.accepted)?;
    check::headers(&parts.headers, method, host)?;
    exchange.key = host.account(target, &parts.headers, credential).to_owned();
    exchange.behaviour = exchange.choose_behaviour(&parts.headers, scriptable)?;
    match &exchange.behaviour {
        // The request can end here: nothing of it is looked at.
        Some(behaviour) => meet(behaviour, &exchange.connection).await,
        None => Ok(None),
    }
}

/// Applies a behaviour that concerns any request, valid or not; `None` when it
/// concerns the answer to a valid one.
async fn meet(
    behaviour: &Behaviour,
    connection: &ConnectionControl,
) -> Result<Option<Response<AnswerBody>>, ExchangeError> {
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
        Behaviour::Drop => ExchangeError::BrokenOff(BrokenOff::Cut),
        Behaviour::RefusedStream => {
            let refused = h2::Error::from(h2::Reason::REFUSED_STREAM);
            ExchangeError::BrokenOff(BrokenOff::Refused(refused))
        }
        Behaviour::Disconnect => ExchangeError::Disconnected,
        Behaviour::GoAway => {
            connection.drain();
            return Ok(None);
        }
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
