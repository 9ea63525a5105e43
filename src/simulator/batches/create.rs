//! The body that creates a batch.

use super::super::error::{ApiError, require};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Maximum number of requests of a batch.
const MAX_REQUESTS: usize = 100_000;

/// Maximum length of a custom id.
const MAX_CUSTOM_ID: usize = 64;

/// One request of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchRequest {
    pub(super) custom_id: String,
    /// JSON of the parameters, which are checked when the request is processed.
    pub(super) params: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody<'a> {
    #[serde(borrow)]
    requests: Vec<CreateRequest<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateRequest<'a> {
    custom_id: String,
    #[serde(borrow)]
    params: &'a RawValue,
}

/// Reads a body. The requests share its memory.
///
/// # Errors
/// 400 that names what is wrong.
pub(super) fn read(body: &Bytes) -> Result<Vec<BatchRequest>, ApiError> {
    let read: CreateBody<'_> = serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("The request body is not valid: {error}")))?;
    require(
        !read.requests.is_empty(),
        || "requests: List should have at least 1 item",
    )?;
    require(read.requests.len() <= MAX_REQUESTS, || {
        format!("requests: List should have at most {MAX_REQUESTS} items")
    })?;
    let mut seen = HashSet::with_capacity(read.requests.len());
    for (index, request) in read.requests.iter().enumerate() {
        let custom_id = request.custom_id.as_str();
        require(is_custom_id(custom_id), || {
            format!(
                "requests.{index}.custom_id: String should match pattern \
                 '^[a-zA-Z0-9_-]{{1,{MAX_CUSTOM_ID}}}$'"
            )
        })?;
        require(seen.insert(custom_id), || {
            format!("requests.{index}.custom_id: must be unique within the batch")
        })?;
    }
    let requests = read.requests.iter().map(|request| BatchRequest {
        custom_id: request.custom_id.clone(),
        params: body.slice_ref(request.params.get().as_bytes()),
    });
    Ok(requests.collect())
}

fn is_custom_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_CUSTOM_ID).contains(&id.len()) && id.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read_json(body: &Value) -> Result<Vec<BatchRequest>, ApiError> {
        read(&Bytes::from(body.to_string()))
    }

    #[test]
    fn params_are_read_as_they_stand() {
        let body =
            Bytes::from_static(br#"{"requests": [{"custom_id": "a-_9", "params": {"x" : 1.0}}]}"#);
        let requests = read(&body).unwrap();
        assert_eq!(requests[0].custom_id, "a-_9");
        assert_eq!(requests[0].params, r#"{"x" : 1.0}"#);
    }

    #[test]
    fn a_custom_id_is_of_its_pattern_and_unique() {
        let request = |id: &str| json!({"custom_id": id, "params": {}});
        for wrong in ["", " ", "a b", "ä", "a.b", &"x".repeat(65)] {
            let body = json!({"requests": [request("fine"), request(wrong)]});
            let error = read_json(&body).unwrap_err().json("req");
            assert!(error.contains("requests.1.custom_id"), "{wrong}: {error}");
        }
        assert!(read_json(&json!({"requests": [request(&"x".repeat(64))]})).is_ok());
        let twice = json!({"requests": [request("a"), request("b"), request("a")]});
        let error = read_json(&twice).unwrap_err().json("req");
        assert!(error.contains("requests.2.custom_id"), "{error}");
    }

    #[test]
    fn a_body_of_another_shape_is_refused() {
        for wrong in [
            json!({}),
            json!([]),
            json!({"requests": []}),
            json!({"requests": [{"custom_id": "a"}]}),
            json!({"requests": [{"custom_id": "a", "params": {}, "more": 1}]}),
            json!({"requests": [{"custom_id": "a", "params": {}}], "more": 1}),
        ] {
            assert!(read_json(&wrong).is_err(), "{wrong}");
        }
        assert!(read(&Bytes::from_static(b"{")).is_err());
    }
}
