//! The credentials that a request must have.
//!
//! They are looked for and compared with those that are configured. Whether a signature
//! of AWS is right, only its form says here: `tests/hosts/verifier.py` stands in front of
//! the simulator where that matters.

use super::{
    accepted::{AcceptedCredentials, Standing},
    kind::{Cloud, SimulatedHost},
};
use crate::simulator::error::ApiError;
use http::HeaderMap;

impl SimulatedHost {
    /// The key or token of a request; with a signature, the access key id.
    ///
    /// # Errors
    /// 401 or 403, as the host answers.
    pub(in crate::simulator) fn authenticate<'a>(
        self,
        headers: &'a HeaderMap,
        accepted: &AcceptedCredentials,
    ) -> Result<&'a str, ApiError> {
        let credential = match self.cloud() {
            None => api_key(headers)
                .ok_or_else(|| ApiError::new(401, "x-api-key header is required"))?,
            Some(Cloud::Aws) => self.of_aws(headers, accepted)?,
            Some(Cloud::Google) => of_google(headers, accepted)?,
            Some(Cloud::Azure) => of_azure(headers, accepted)?,
        };
        if self == SimulatedHost::Claude && accepted.standing(credential) != Standing::Accepted {
            return Err(ApiError::new(401, "invalid x-api-key"));
        }
        Ok(credential)
    }

    fn of_aws<'a>(
        self,
        headers: &'a HeaderMap,
        accepted: &AcceptedCredentials,
    ) -> Result<&'a str, ApiError> {
        let key = match self {
            SimulatedHost::ClaudePlatformAws => api_key(headers),
            _ => bearer(headers),
        };
        if let Some(key) = key {
            return match accepted.standing(key) {
                Standing::Accepted => Ok(key),
                Standing::Expired => Err(aws("AccessDeniedException", "Bearer Token has expired")),
                Standing::Unknown => Err(aws(
                    "AccessDeniedException",
                    "Authentication failed: Please make sure your API Key is valid.",
                )),
            };
        }
        let Some(signature) = text(headers, "authorization") else {
            return Err(aws(
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ));
        };
        let access_key = self.access_key(headers, signature)?;
        let session = text(headers, "x-amz-security-token").map(|it| accepted.standing(it));
        match (accepted.standing(access_key), session) {
            (Standing::Expired, _) | (_, Some(Standing::Expired)) => Err(aws(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )),
            (Standing::Unknown, _) => Err(aws(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )),
            (Standing::Accepted, _) => Ok(access_key),
        }
    }

    /// The access key id of a signature of the right form (AWS Signature Version 4).
    fn access_key<'a>(self, headers: &HeaderMap, signature: &'a str) -> Result<&'a str, ApiError> {
        let incomplete = |what: &str| {
            let message = format!("Authorization header requires '{what}' parameter.");
            ApiError::new(400, message).gateway("IncompleteSignatureException")
        };
        let parts = signature.strip_prefix("AWS4-HMAC-SHA256");
        let parts = parts.ok_or_else(|| incomplete("Credential"))?;
        let part = |name: &str| {
            let mut parts = parts.split(',').map(str::trim);
            let found = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.filter(|value| !value.is_empty())
        };
        let credential = part("Credential").ok_or_else(|| incomplete("Credential"))?;
        let signed = part("SignedHeaders").ok_or_else(|| incomplete("SignedHeaders"))?;
        let digits = part("Signature").ok_or_else(|| incomplete("Signature"))?;
        let is_hash = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash || !signed.split(';').any(|it| it == "host") {
            return Err(aws(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            ));
        }
        let date = text(headers, "x-amz-date").ok_or_else(|| incomplete("X-Amz-Date"))?;
        let scope: Vec<&str> = credential.split('/').collect();
        let wrong_scope = |message: String| Err(aws("InvalidSignatureException", message));
        match scope[..] {
            [access_key, day, region, service, "aws4_request"]
                if ![access_key, day, region].contains(&"") =>
            {
                if service != self.signing_service() {
                    return wrong_scope(format!(
                        "Credential should be scoped to correct service: '{}'.",
                        self.signing_service()
                    ));
                }
                if !date.starts_with(day) {
                    return wrong_scope(
                        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version \
                         of date from HTTP"
                            .to_owned(),
                    );
                }
                Ok(access_key)
            }
            _ => wrong_scope(
                "Credential must have exactly 5 slash-delimited elements, e.g. \
                 keyid/date/region/service/term"
                    .to_owned(),
            ),
        }
    }
}

fn of_google<'a>(
    headers: &'a HeaderMap,
    accepted: &AcceptedCredentials,
) -> Result<&'a str, ApiError> {
    const EXPECTED: &str = "Expected OAuth 2 access token, login cookie or other valid \
        authentication credential.";
    let unauthenticated = |what: &str, reason: &'static str| {
        ApiError::new(401, format!("{what} {EXPECTED}"))
            .gateway("UNAUTHENTICATED")
            .code(reason)
    };
    let invalid = "Request had invalid authentication credentials.";
    let Some(token) = bearer(headers) else {
        return Err(unauthenticated(
            "Request is missing required authentication credential.",
            "CREDENTIALS_MISSING",
        ));
    };
    match accepted.standing(token) {
        Standing::Accepted => Ok(token),
        Standing::Expired => Err(unauthenticated(invalid, "ACCESS_TOKEN_EXPIRED")),
        Standing::Unknown => Err(unauthenticated(invalid, "ACCESS_TOKEN_TYPE_UNSUPPORTED")),
    }
}

fn of_azure<'a>(
    headers: &'a HeaderMap,
    accepted: &AcceptedCredentials,
) -> Result<&'a str, ApiError> {
    let unauthorized = |message: &str| ApiError::new(401, message).gateway("401");
    if let Some(token) = bearer(headers) {
        if accepted.standing(token) == Standing::Accepted {
            return Ok(token);
        }
        return Err(unauthorized(
            "Unauthorized. Access token is missing, invalid, audience is incorrect \
             (https://cognitiveservices.azure.com), or have expired.",
        ));
    }
    let key = text(headers, "x-api-key").or_else(|| text(headers, "api-key"));
    key.filter(|key| accepted.standing(key) == Standing::Accepted)
        .ok_or_else(|| {
            unauthorized(
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure \
                 to provide a valid key for an active subscription and use a correct regional \
                 API endpoint for your resource.",
            )
        })
}

/// A key of the Claude API, in either header.
fn api_key(headers: &HeaderMap) -> Option<&str> {
    text(headers, "x-api-key").or_else(|| bearer(headers))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let token = text(headers, "authorization")?.strip_prefix("Bearer ")?;
    Some(token.trim()).filter(|token| !token.is_empty())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    Some(value).filter(|value| !value.is_empty())
}

fn aws(exception: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(403, message).gateway(exception)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::host::config::SimulatorToken;
    use http::HeaderValue;
    use std::time::Duration;

    const SIGNATURE: &str = "AWS4-HMAC-SHA256 \
        Credential=AKID/20261128/eu-west-1/bedrock/aws4_request, \
        SignedHeaders=host;x-amz-date, \
        Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// The access key id, or the exception, of a request to Bedrock.
    fn signed(
        signature: &str,
        more: &[(&'static str, &'static str)],
        accepted: &AcceptedCredentials,
    ) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        let date = [("x-amz-date", "20261128T060000Z")];
        for (name, value) in date.iter().chain(more) {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let signature = HeaderValue::from_str(signature).unwrap();
        headers.insert("authorization", signature);
        let authenticated = SimulatedHost::BedrockRuntime.authenticate(&headers, accepted);
        authenticated
            .map(str::to_owned)
            .map_err(|error| error.gateway_code().unwrap())
    }

    #[test]
    fn a_signature_has_its_form() {
        let any = AcceptedCredentials::new(&[], &[]);
        assert_eq!(signed(SIGNATURE, &[], &any), Ok("AKID".to_owned()));
        for (wrong, exception) in [
            ("Basic abc".to_owned(), "IncompleteSignatureException"),
            (
                SIGNATURE.replace("SignedHeaders", "Headers"),
                "IncompleteSignatureException",
            ),
            (SIGNATURE.replace("host;", ""), "InvalidSignatureException"),
            (
                SIGNATURE.replace("0123", "012"),
                "InvalidSignatureException",
            ),
            (
                SIGNATURE.replace("/bedrock/", "/s3/"),
                "InvalidSignatureException",
            ),
            (
                SIGNATURE.replace("20261128/", "20261127/"),
                "InvalidSignatureException",
            ),
            (
                SIGNATURE.replace("/aws4_request", ""),
                "InvalidSignatureException",
            ),
        ] {
            assert_eq!(signed(&wrong, &[], &any), Err(exception), "{wrong}");
        }
    }

    #[test]
    fn access_keys_and_session_tokens_expire() {
        let expired = |token: &str| SimulatorToken {
            token: token.to_owned(),
            expires_after: Duration::ZERO,
        };
        let accepted = AcceptedCredentials::new(&["AKID".to_owned()], &[expired("old")]);
        let session = |token| signed(SIGNATURE, &[("x-amz-security-token", token)], &accepted);
        assert_eq!(session("new"), Ok("AKID".to_owned()));
        assert_eq!(session("old"), Err("ExpiredTokenException"));
        let other = SIGNATURE.replace("AKID", "AKIDOTHER");
        let unknown = signed(&other, &[], &accepted);
        assert_eq!(unknown, Err("UnrecognizedClientException"));
        let accepted = AcceptedCredentials::new(&[], &[expired("AKID")]);
        let expired = signed(SIGNATURE, &[], &accepted);
        assert_eq!(expired, Err("ExpiredTokenException"));
    }
}
