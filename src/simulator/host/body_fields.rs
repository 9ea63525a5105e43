//! A body whose fields are moved, and not looked into.

use crate::{claude::API_VERSION, simulator::error::ApiError};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;

/// The fields of a body that is a JSON object.
#[derive(Debug)]
pub(super) struct BodyFields(BTreeMap<String, Box<RawValue>>);

impl BodyFields {
    /// # Errors
    /// 400 for a body that is not an object.
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let fields = serde_json::from_slice(body).map_err(|_| {
            ApiError::invalid("Malformed input request, please reformat your input and try again.")
        })?;
        Ok(BodyFields(fields))
    }

    /// # Errors
    /// 400 for a field that the host does not have.
    pub(super) fn refuse(&self, name: &str) -> Result<(), ApiError> {
        if self.0.contains_key(name) {
            return Err(ApiError::invalid(format!(
                "{name}: Extra inputs are not permitted"
            )));
        }
        Ok(())
    }

    /// Removes a field; `None` if there is none.
    ///
    /// # Errors
    /// 400 for a field of another type.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(value) = self.0.remove(name) else {
            return Ok(None);
        };
        let read = serde_json::from_str(value.get());
        read.map(Some)
            .map_err(|error| ApiError::invalid(format!("{name}: {error}")))
    }

    /// Moves `anthropic_version` to the header of the Claude API. This older value of it
    /// is accepted next to the API's own.
    ///
    /// # Errors
    /// 400 without a version that the host knows.
    pub(super) fn take_version(
        &mut self,
        headers: &mut HeaderMap,
        older: &str,
    ) -> Result<(), ApiError> {
        let version = self.take::<String>("anthropic_version")?;
        let version =
            version.ok_or_else(|| ApiError::invalid("anthropic_version: Field required"))?;
        if version != API_VERSION && version != older {
            return Err(ApiError::invalid(
                "anthropic_version: Input should be a known version",
            ));
        }
        headers.insert("anthropic-version", HeaderValue::from_static(API_VERSION));
        Ok(())
    }

    pub(super) fn insert(&mut self, name: &str, value: impl Into<Value>) {
        let value = serde_json::value::to_raw_value(&value.into());
        self.0.insert(
            name.to_owned(),
            value.expect("a JSON value always serializes"),
        );
    }

    pub(super) fn json(&self) -> Bytes {
        let json = serde_json::to_vec(&self.0);
        Bytes::from(json.expect("what was JSON stays JSON"))
    }
}
