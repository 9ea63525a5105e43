//! The URLs of a host.

use crate::upstream::{
    BatchCall, Call, FileCall, HostConfig, HostKind, ModelsQuery, Payload, Transport,
};
use bytes::Bytes;
use http::{HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use std::borrow::Cow;

/// What is escaped in a segment of a path.
const IN_SEGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'@');

/// The request line and body of an attempt.
pub struct RequestParts<'a> {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Cow<'a, Url>,
    /// The body, if there is one.
    pub body: Option<Bytes>,
    /// The content type of the body.
    pub content_type: HeaderValue,
}

/// The URLs of a host.
#[derive(Debug)]
pub struct Addresses {
    kind: HostKind,
    /// The base URL itself.
    base: Url,
    messages: Url,
    count_tokens: Url,
    models: Url,
    batches: Url,
    files: Url,
}

// === impl Addresses ===

impl Addresses {
    /// The URLs below the base URL of a host; `None` when that is not valid.
    pub fn of(host: &HostConfig) -> Option<Self> {
        let base = host.address().ok()?;
        let url = |path: &str| {
            Url::parse(&format!("{base}{path}"))
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        };
        let (messages, count_tokens) = match host.kind {
            // What follows is the id of a model.
            HostKind::BedrockRuntime => (url("/model")?, url("/model")?),
            HostKind::Vertex => {
                let (project, region) = (host.project.as_deref()?, host.region.as_deref()?);
                let models =
                    format!("/projects/{project}/locations/{region}/publishers/anthropic/models");
                let count_tokens = format!("{models}/count-tokens:rawPredict");
                (url(&models)?, url(&count_tokens)?)
            }
            _ => (url("/v1/messages")?, url("/v1/messages/count_tokens")?),
        };
        Some(Addresses {
            kind: host.kind,
            base: url("")?,
            messages,
            count_tokens,
            models: url("/v1/models")?,
            batches: url("/v1/messages/batches")?,
            files: url("/v1/files")?,
        })
    }

    /// The base URL.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The request line and body of a call.
    pub fn request(&self, call: &Call) -> RequestParts<'_> {
        let mut content_type = HeaderValue::from_static("application/json");
        let (method, url, body) = match &call.payload {
            Payload::Messages { body, transport } => (
                Method::POST,
                self.messages(&call.model, *transport),
                Some(body.clone()),
            ),
            Payload::CountTokens { body } => (
                Method::POST,
                Cow::Borrowed(&self.count_tokens),
                Some(body.clone()),
            ),
            Payload::Models(query) => (Method::GET, Cow::Owned(page(&self.models, query)), None),
            Payload::Batches(of) => {
                let (method, url) = of.line(&self.batches);
                let body = match of {
                    BatchCall::Create { body } => Some(body.clone()),
                    _ => None,
                };
                (method, Cow::Owned(url), body)
            }
            Payload::Files(of) => {
                let (method, url) = of.line(&self.files);
                let body = match of {
                    FileCall::Upload(upload) => {
                        content_type = upload.content_type.clone();
                        Some(upload.bytes.clone())
                    }
                    _ => None,
                };
                (method, Cow::Owned(url), body)
            }
        };
        RequestParts {
            method,
            url,
            body,
            content_type,
        }
    }

    fn messages(&self, model: &str, transport: Transport) -> Cow<'_, Url> {
        let streams = transport != Transport::Whole;
        let method = match (self.kind, streams) {
            (HostKind::BedrockRuntime, false) => "/invoke",
            (HostKind::BedrockRuntime, true) => "/invoke-with-response-stream",
            (HostKind::Vertex, false) => ":rawPredict",
            (HostKind::Vertex, true) => ":streamRawPredict",
            _ => return Cow::Borrowed(&self.messages),
        };
        let model = utf8_percent_encode(model, &IN_SEGMENT);
        let url = format!("{}/{model}{method}", self.messages);
        // What is added is escaped: it is always a URL.
        Cow::Owned(Url::parse(&url).unwrap_or_else(|_| self.messages.clone()))
    }
}

fn page(models: &Url, query: &ModelsQuery) -> Url {
    let mut url = models.clone();
    if let Some(limit) = query.limit {
        url.query_pairs_mut()
            .append_pair("limit", &limit.to_string());
    }
    if let Some(after_id) = &query.after_id {
        url.query_pairs_mut().append_pair("after_id", after_id);
    }
    for lifecycle in &query.lifecycles {
        url.query_pairs_mut().append_pair("lifecycle[]", lifecycle);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::CallParts;

    fn url(kind: HostKind, model: &str, transport: Transport) -> String {
        let host = HostConfig {
            kind,
            base_url: Some("https://h/base".to_owned()),
            project: Some("p".to_owned()),
            region: Some("global".to_owned()),
            ..HostConfig::default()
        };
        let call = Call::from(CallParts {
            model: model.into(),
            payload: Payload::Messages {
                body: Bytes::new(),
                transport,
            },
            ..CallParts::for_tests()
        });
        let addresses = Addresses::of(&host).unwrap();
        addresses.request(&call).url.to_string()
    }

    /// The paths that the official SDK classes call.
    #[test]
    fn the_model_is_in_the_path_where_the_host_has_it_there() {
        use HostKind::{BedrockRuntime, Foundry, Vertex};
        use Transport::{Events, Whole};
        let arn = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-x";
        for (kind, model, transport, expected) in [
            (Foundry, "m", Events, "/v1/messages"),
            (
                BedrockRuntime,
                "anthropic.claude-sonnet-4-5-20250929-v1:0",
                Whole,
                "/model/anthropic.claude-sonnet-4-5-20250929-v1:0/invoke",
            ),
            (
                BedrockRuntime,
                arn,
                Events,
                "/model/arn:aws:bedrock:eu-west-1:1:inference-profile%2Feu.anthropic.claude-x/invoke-with-response-stream",
            ),
            (
                Vertex,
                "claude-sonnet-4-5@20250929",
                Whole,
                "/projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
            ),
            (
                Vertex,
                "a/../b;c?d",
                Events,
                "/projects/p/locations/global/publishers/anthropic/models/a%2F..%2Fb%3Bc%3Fd:streamRawPredict",
            ),
        ] {
            assert_eq!(
                url(kind, model, transport),
                format!("https://h/base{expected}")
            );
        }
    }
}
