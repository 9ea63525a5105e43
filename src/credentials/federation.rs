//! Workload identity federation of the Claude API: an identity token of the platform, such
//! as the projected token of a Kubernetes service account, is exchanged for an access token
//! (RFC 7523). All facts are those of the official SDK (PyPI `anthropic` 2.14.0,
//! `WorkloadIdentityCredentials`).
//!
//! Written here, since no crate has the fields of this grant. An access token belongs to a
//! workspace, which no request can change.

use super::{
    BearerToken, CredentialsError, CredentialsSource, renewed::Expiring, token_header::token_header,
};
use futures::FutureExt;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use reqwest::{Client, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    borrow::Cow,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{fs::File, io::AsyncReadExt};

/// The beta of every request with an access token of this source.
pub const TOKEN_BETA: &str = "oauth-2025-04-20";

/// The betas of the exchange.
const EXCHANGE_BETAS: &str = "oauth-2025-04-20,oidc-federation-2026-04-01";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Path below the base URL of the API.
const PATH: &str = "/v1/oauth/token";

/// Maximum size of an identity token: a larger file is something else.
const MAX_IDENTITY_TOKEN: u64 = 16 * 1024;

/// Maximum size of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// The codes of errors that are reported: those of OAuth (RFC 6749, section 5.2; RFC 8693,
/// section 2.2.2) and of the Claude API. Anything else may quote the identity token.
const KNOWN_CODES: [&str; 15] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
    "access_denied",
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "api_error",
    "overloaded_error",
];

/// What is exchanged, and for whom.
#[derive(Debug, Clone)]
pub struct Federation {
    /// The rule that identity tokens must match.
    pub federation_rule_id: String,
    /// The organization.
    pub organization_id: String,
    /// The service account that the access token acts as.
    pub service_account_id: Option<String>,
    /// The workspace that the access token is for.
    pub workspace_id: Option<String>,
    /// File with the identity token, which is read for each exchange.
    pub identity_token_file: PathBuf,
}

#[derive(Serialize)]
struct Exchange<'a> {
    grant_type: &'static str,
    assertion: &'a str,
    federation_rule_id: &'a str,
    organization_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    /// In seconds.
    expires_in: f64,
    token_type: Option<String>,
}

impl Federation {
    /// The access token, exchanged at the API with this base URL over this client.
    pub fn token(self, client: Client, base_url: &Url) -> BearerToken {
        let mut url = base_url.clone();
        url.set_path(&format!("{}{PATH}", base_url.path().trim_end_matches('/')));
        let federation = Arc::new(self);
        BearerToken::new(
            CredentialsSource::Federation,
            Box::new(move || {
                let federation = Arc::clone(&federation);
                let (client, url) = (client.clone(), url.clone());
                async move { federation.exchange(&client, url).await }.boxed()
            }),
        )
    }

    async fn exchange(
        &self,
        client: &Client,
        url: Url,
    ) -> Result<Expiring<HeaderValue>, CredentialsError> {
        let identity = self.identity_token().await?;
        let body = serde_json::to_vec(&Exchange {
            grant_type: GRANT,
            assertion: identity.expose_secret(),
            federation_rule_id: &self.federation_rule_id,
            organization_id: &self.organization_id,
            service_account_id: self.service_account_id.as_deref(),
            workspace_id: self.workspace_id.as_deref(),
        })
        .map_err(|_| failed("the request cannot be written"))?;
        // Before the exchange: it counts from when the token was issued.
        let now = SystemTime::now();
        let response = client
            .post(url)
            .header("anthropic-beta", EXCHANGE_BETAS)
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(|error| match error.is_connect() {
                true => failed("failed to connect to the token endpoint"),
                false => failed("the connection to the token endpoint broke"),
            })?;
        let status = response.status();
        let answer = answer(response).await?;
        if !status.is_success() {
            return Err(refused(status, &answer));
        }
        let unreadable = "failed to read the answer of the token endpoint";
        let found: Issued = serde_json::from_slice(&answer).map_err(|_| failed(unreadable))?;
        let is_bearer = |kind: &String| kind.eq_ignore_ascii_case("bearer");
        if !found.token_type.as_ref().is_none_or(is_bearer) {
            return Err(failed("the token must be a bearer token"));
        }
        let life = Duration::try_from_secs_f64(found.expires_in).ok();
        let expires = life.and_then(|life| now.checked_add(life));
        let expires = expires.ok_or_else(|| failed(unreadable))?;
        Ok(Expiring {
            value: token_header(CredentialsSource::Federation, &found.access_token)?,
            expires: Some(expires),
        })
    }

    /// The identity token as it is now: the platform replaces it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn identity_token(&self) -> Result<SecretString, CredentialsError> {
        let read = async {
            let mut text = String::new();
            let file = File::open(&self.identity_token_file).await?;
            let mut file = file.take(MAX_IDENTITY_TOKEN + 1);
            file.read_to_string(&mut text).await?;
            Ok(text)
        };
        let text = read.await.map_err(|error: std::io::Error| {
            failed(format!(
                "failed to read the identity token: {}",
                error.kind()
            ))
        })?;
        if text.len() as u64 > MAX_IDENTITY_TOKEN {
            return Err(failed("the identity token must be at most 16 KiB"));
        }
        let token = text.trim();
        if token.is_empty() {
            return Err(failed("the identity token must not be empty"));
        }
        Ok(SecretString::from(token))
    }
}

/// The body of an answer, within its bound.
async fn answer(mut response: Response) -> Result<Vec<u8>, CredentialsError> {
    let broke = "the connection to the token endpoint broke";
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|_| failed(broke))? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(failed("the answer of the token endpoint is too large"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The error of a status, with the code of the error if it is a known one.
fn refused(status: StatusCode, answer: &[u8]) -> CredentialsError {
    let body: Value = serde_json::from_slice(answer).unwrap_or_default();
    // As OAuth has it, or the Claude API.
    let error = &body["error"];
    let code = error.as_str().or_else(|| error["type"].as_str());
    let code = code.and_then(|code| KNOWN_CODES.into_iter().find(|known| *known == code));
    let status = status.as_u16();
    failed(match code {
        Some(code) => format!("the token endpoint answered {status} {code}"),
        None => format!("the token endpoint answered {status}"),
    })
}

fn failed(problem: impl Into<Cow<'static, str>>) -> CredentialsError {
    CredentialsError::failed(CredentialsSource::Federation, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_quotes_nothing_but_a_known_code() {
        let said = |body: &str| refused(StatusCode::UNAUTHORIZED, body.as_bytes()).to_string();
        let unknown = "failed to get credentials by federation: the token endpoint answered 401";
        for body in [
            "",
            "eyJhbGciOi",
            "[]",
            r#"{"error": "eyJhbGciOi"}"#,
            r#"{"error": {"type": "eyJhbGciOi", "message": "eyJhbGciOi"}}"#,
        ] {
            assert_eq!(said(body), unknown, "{body}");
        }
        let oauth = r#"{"error": "invalid_grant", "error_description": "eyJhbGciOi"}"#;
        assert_eq!(said(oauth), format!("{unknown} invalid_grant"));
        let api = r#"{"type": "error", "error": {"type": "permission_error", "message": "x"}}"#;
        assert_eq!(said(api), format!("{unknown} permission_error"));
    }
}
