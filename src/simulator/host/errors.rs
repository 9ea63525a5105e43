//! Errors in the form of each host.

use super::kind::{Cloud, SimulatedHost};
use crate::simulator::{
    body::{AnswerBody, Whole},
    error::ApiError,
};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// Follows the name of an exception in `x-amzn-errortype`.
const BEDROCK_NAMESPACE: &str = "http://internal.amazon.com/coral/com.amazon.bedrock/";

/// Who writes an error, with the code that he gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorForm {
    /// Claude, behind any host.
    Claude,
    /// An exception of AWS, which has a status of its own.
    Aws(&'static str),
    /// A status of gRPC.
    Google(&'static str),
    /// Azure's gateway; the HTTP status if there is no code.
    Azure(Option<&'static str>),
}

impl SimulatedHost {
    /// The response for an error.
    pub(in crate::simulator) fn refuse(
        self,
        error: &ApiError,
        request_id: &str,
    ) -> Response<AnswerBody> {
        let status = error.status();
        let (status, body) = match self.form(error) {
            ErrorForm::Claude => {
                let mut response = respond(status, error.json(request_id));
                error.set_headers(response.headers_mut());
                if self == SimulatedHost::BedrockMantle {
                    response.headers_mut().remove("retry-after");
                    response.headers_mut().remove("retry-after-ms");
                }
                return response;
            }
            ErrorForm::Aws(exception) => {
                let status = match error.gateway_code() {
                    Some(_) => status,
                    None => status_of(exception),
                };
                let mut response = respond(status, json!({"message": error.message()}).to_string());
                let kind = format!("{exception}:{BEDROCK_NAMESPACE}");
                if let Ok(kind) = HeaderValue::from_str(&kind) {
                    response.headers_mut().insert("x-amzn-errortype", kind);
                }
                return response;
            }
            ErrorForm::Google(code) => (status, google(error, code)),
            ErrorForm::Azure(code) => {
                let code = code.map_or_else(|| status.to_string(), str::to_owned);
                let body = json!({"error": {"code": code, "message": error.message()}});
                (status, body)
            }
        };
        let mut response = respond(status, body.to_string());
        let headers = response.headers_mut();
        if self == SimulatedHost::Foundry {
            error.set_retry_after(headers);
        }
        if self.cloud() == Some(Cloud::Google) && status == 401 {
            let challenge = "Bearer realm=\"https://accounts.google.com/\"";
            headers.insert("www-authenticate", HeaderValue::from_static(challenge));
        }
        response
    }

    fn form(self, error: &ApiError) -> ErrorForm {
        let status = error.status();
        match (self.cloud(), error.gateway_code()) {
            (Some(Cloud::Aws), Some(exception)) => return ErrorForm::Aws(exception),
            (Some(Cloud::Google), Some(code)) => return ErrorForm::Google(code),
            (Some(Cloud::Azure), code @ Some(_)) => return ErrorForm::Azure(code),
            _ => {}
        }
        // Credentials are the gateway's; what Claude says of a request passes it, and so
        // does that Claude is overloaded.
        let is_of_gateway = matches!(status, 401 | 403);
        let is_of_claude = matches!(status, 400 | 402 | 413 | 422 | 529);
        match self {
            SimulatedHost::BedrockRuntime => ErrorForm::Aws(exception_of(status)),
            SimulatedHost::Vertex if !is_of_claude => ErrorForm::Google(google_code(status)),
            SimulatedHost::Foundry if !is_of_claude && status != 500 => ErrorForm::Azure(None),
            SimulatedHost::ClaudePlatformAws | SimulatedHost::BedrockMantle if is_of_gateway => {
                ErrorForm::Aws(exception_of(status))
            }
            SimulatedHost::GoogleCloud if is_of_gateway => ErrorForm::Google(google_code(status)),
            _ => ErrorForm::Claude,
        }
    }
}

fn respond(status: u16, body: String) -> Response<AnswerBody> {
    let mut response = Whole::json(body).respond();
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// The exception of `InvokeModel` for an error of the Claude API.
pub(super) fn exception_of(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        402 => "ServiceQuotaExceededException",
        404 => "ResourceNotFoundException",
        408 | 504 => "ModelTimeoutException",
        429 => "ThrottlingException",
        502 => "ModelErrorException",
        503 | 529 => "ServiceUnavailableException",
        ..500 => "ValidationException",
        _ => "InternalServerException",
    }
}

/// The status of an exception in botocore's model of Bedrock.
fn status_of(exception: &str) -> u16 {
    match exception {
        "AccessDeniedException" => 403,
        "ResourceNotFoundException" => 404,
        "ModelTimeoutException" => 408,
        "ModelErrorException" => 424,
        "ThrottlingException" => 429,
        "InternalServerException" => 500,
        "ServiceUnavailableException" => 503,
        _ => 400,
    }
}

fn google(error: &ApiError, code: &str) -> Value {
    let mut object = json!({
        "code": error.status(),
        "message": error.message(),
        "status": code,
    });
    if let Some(reason) = error.details_code() {
        object["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": "googleapis.com",
        }]);
    }
    json!({"error": object})
}

/// The gRPC status of an HTTP status (`google/rpc/code.proto`).
fn google_code(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        502 | 503 => "UNAVAILABLE",
        ..500 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
