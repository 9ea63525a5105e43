//! The body of a request as a host takes it.
//!
//! The bodies that callers' requests become are those of the Claude API, and begin with
//! `model`. Hosts differ in their first fields only: so the rest is kept as it is, byte
//! for byte, and is not parsed again.

use super::{HostFeature, HostKind};
use crate::upstream::ApiHeaders;
use bytes::Bytes;
use serde_json::json;

/// What each body begins with.
const MODEL: &str = "{\"model\":";

/// What follows the model if the answer is to be streamed.
const STREAM: &str = ",\"stream\":true";

/// What follows if an effort level is asked for.
const EFFORT: &[u8] = b",\"output_config\":{\"effort\":\"";

/// What is left of it if there is more in `output_config`.
const OUTPUT_CONFIG: &[u8] = b",\"output_config\":{";

/// The body for a host, of a request to this part of its API for the model with this
/// id; `None` for what is not a body of ours. A model that does not accept the effort
/// level is not asked for it.
pub fn for_host(
    kind: HostKind,
    feature: HostFeature,
    body: &[u8],
    model: &str,
    headers: &ApiHeaders,
    version: &str,
    keeps_effort: bool,
) -> Option<Bytes> {
    let parts = BodyParts::of(body)?;
    let (config, rest) = match keeps_effort {
        true => (&b""[..], parts.rest),
        false => without_effort(parts.rest),
    };
    let mut fields = Vec::new();
    let mut field =
        |name: &str, value: serde_json::Value| fields.push(format!("\"{name}\":{value}"));
    if kind.names_model_in_body(feature) {
        field("model", json!(model));
    }
    if parts.streams && kind != HostKind::BedrockRuntime {
        field("stream", json!(true));
    }
    if matches!(kind, HostKind::BedrockRuntime | HostKind::Vertex) {
        field("anthropic_version", json!(version));
    }
    if kind == HostKind::BedrockRuntime && !headers.betas.is_empty() {
        field("anthropic_beta", json!(headers.betas));
    }
    if kind.takes_profile_in_body()
        && let Some(profile) = &headers.user_profile
    {
        field("user_profile_id", json!(profile));
    }
    let head = fields.join(",");
    let mut whole = Vec::with_capacity(head.len() + config.len() + rest.len() + 2);
    whole.push(b'{');
    whole.extend_from_slice(head.as_bytes());
    for part in [config, rest] {
        // Each begins with a comma, unless it is empty or goes on in an object.
        let is_first = matches!(whole[..], [b'{']);
        let part = part.strip_prefix(b",").filter(|_| is_first).unwrap_or(part);
        whole.extend_from_slice(part);
    }
    Some(Bytes::from(whole))
}

/// The rest of a body without an effort level: what comes before it, and after it.
fn without_effort(rest: &[u8]) -> (&[u8], &[u8]) {
    let effort = || {
        let after = rest.strip_prefix(EFFORT)?;
        let end = after.iter().position(|byte| *byte == b'"')?;
        match after[end + 1..].split_first()? {
            (b'}', after) => Some((&b""[..], after)),
            (b',', after) => Some((OUTPUT_CONFIG, after)),
            _ => None,
        }
    };
    effort().unwrap_or((b"", rest))
}

/// A body, taken apart.
struct BodyParts<'a> {
    streams: bool,
    /// What follows the first fields, with the comma before it.
    rest: &'a [u8],
}

impl<'a> BodyParts<'a> {
    /// `None` for what does not begin as all bodies do.
    fn of(body: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(body.get(..MODEL.len())?).ok()?;
        if text != MODEL {
            return None;
        }
        let after = &body[MODEL.len()..];
        let model = after.strip_prefix(b"\"")?;
        let mut is_escaped = false;
        let end = model.iter().position(|byte| {
            let ends = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            ends
        })?;
        let rest = &model[end + 1..];
        match rest.strip_prefix(STREAM.as_bytes()) {
            Some(rest) => Some(BodyParts {
                streams: true,
                rest,
            }),
            None => Some(BodyParts {
                streams: false,
                rest,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        claude::request::{Effort, MessagesRequest, OutputConfig, OutputFormat},
        upstream::serialize,
    };
    use serde_json::Value;

    fn body(stream: bool) -> Bytes {
        let request = json!({
            "model": "claude \\ \" x", "max_tokens": 5,
            "messages": [{"role": "user", "content": "{\"model\":\"y\"}"}],
        });
        let mut request: MessagesRequest = serde_json::from_value(request).unwrap();
        request.stream = stream;
        request.extra = Some(serde_json::from_str(r#"{"future": [1, 2.50]}"#).unwrap());
        serialize::body(&request).unwrap()
    }

    fn sent(kind: HostKind, stream: bool) -> Value {
        let mut headers = ApiHeaders {
            user_profile: Some("p".to_owned()),
            ..ApiHeaders::default()
        };
        headers.add_beta("b-1");
        let body = for_host(
            kind,
            HostFeature::Messages,
            &body(stream),
            "m\"1",
            &headers,
            "v",
            true,
        );
        serde_json::from_slice(&body.unwrap()).unwrap()
    }

    #[test]
    fn each_host_gets_its_first_fields_and_the_rest_as_it_is() {
        let rest = json!({
            "max_tokens": 5, "future": [1, 2.5],
            "messages": [{"role": "user", "content": "{\"model\":\"y\"}"}],
        });
        let with = |fields: Value| {
            let mut body = rest.clone();
            let all = body.as_object_mut().unwrap();
            all.extend(fields.as_object().unwrap().clone());
            body
        };
        let version = "v";
        assert_eq!(
            sent(HostKind::Foundry, true),
            with(json!({"model": "m\"1", "stream": true}))
        );
        assert_eq!(
            sent(HostKind::BedrockMantle, false),
            with(json!({"model": "m\"1", "user_profile_id": "p"}))
        );
        for stream in [true, false] {
            assert_eq!(
                sent(HostKind::BedrockRuntime, stream),
                with(json!({
                    "anthropic_version": version, "anthropic_beta": ["b-1"],
                    "user_profile_id": "p",
                }))
            );
        }
        assert_eq!(
            sent(HostKind::Vertex, true),
            with(json!({"anthropic_version": version, "stream": true}))
        );
    }

    #[test]
    fn an_effort_that_a_model_does_not_accept_is_left_out_and_nothing_else() {
        let mut request: MessagesRequest = serde_json::from_value(json!({
            "model": "m", "max_tokens": 5,
            "messages": [{"role": "user", "content": "\"output_config\":{\"effort\":\"low\"}"}],
        }))
        .unwrap();
        let sent = |request: &MessagesRequest, kind| {
            let body = serialize::body(request).unwrap();
            let headers = ApiHeaders::default();
            let feature = HostFeature::Messages;
            let body = for_host(kind, feature, &body, "m", &headers, "v", false).unwrap();
            let mut body: Value = serde_json::from_slice(&body).unwrap();
            body.as_object_mut().unwrap().remove("anthropic_version");
            body
        };
        for kind in [HostKind::Claude, HostKind::BedrockRuntime] {
            let has_model = kind.names_model_in_body(HostFeature::Messages);
            let mut expected = json!({"max_tokens": 5, "messages": request.messages});
            if has_model {
                expected["model"] = json!("m");
            }
            request.output_config = None;
            assert_eq!(sent(&request, kind), expected);
            let mut config = OutputConfig {
                effort: Some(Effort::Low),
                format: None,
            };
            request.output_config = Some(config.clone());
            assert_eq!(sent(&request, kind), expected);
            let schema = serde_json::from_str(r#"{"type":"object"}"#).unwrap();
            config.format = Some(OutputFormat::JsonSchema { schema });
            expected["output_config"] = json!({"format": config.format});
            request.output_config = Some(config);
            assert_eq!(sent(&request, kind), expected);
        }
    }

    #[test]
    fn nothing_else_is_taken_for_a_body() {
        for odd in ["", "{", "{}", "{\"model\":1}", "{\"model\":\"", "[]"] {
            let headers = ApiHeaders::default();
            let (kind, feature) = (HostKind::Claude, HostFeature::Messages);
            assert!(for_host(kind, feature, odd.as_bytes(), "m", &headers, "v", true).is_none());
        }
    }
}
