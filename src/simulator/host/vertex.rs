//! Vertex AI's `rawPredict`: the model is in the path, except for counting tokens, and
//! the version is in the body.

use super::{
    body_fields::BodyFields,
    target::{NamedInPath, Target},
};
use crate::simulator::error::{ApiError, require};
use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

/// The versions that `anthropic_version` can have next to the Claude API's.
const OLDER_VERSION: &str = "vertex-2023-10-16";

/// In place of a model, in the path that counts tokens.
const COUNT_TOKENS: &str = "count-tokens";

/// `/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}:rawPredict`
/// and `:streamRawPredict`.
pub(super) fn target(path: &str) -> Option<Target<'_>> {
    let parts: Vec<&str> = path.split('/').collect();
    let [
        "",
        "v1",
        "projects",
        project,
        "locations",
        region,
        "publishers",
        "anthropic",
        "models",
        model,
    ] = parts[..]
    else {
        return None;
    };
    let (model, operation) = model.rsplit_once(':')?;
    if [project, region, model].contains(&"") {
        return None;
    }
    let streams = match operation {
        "rawPredict" => false,
        "streamRawPredict" if model != COUNT_TOKENS => true,
        _ => return None,
    };
    let (account, _) = path.split_once("/publishers/")?;
    let target = |path, named| Target {
        prefix: "",
        path,
        account,
        named,
    };
    if model == COUNT_TOKENS {
        return Some(target("/v1/messages/count_tokens", None));
    }
    let named = NamedInPath {
        model: percent_decode_str(model).decode_utf8().ok()?,
        streams,
    };
    Some(target("/v1/messages", Some(named)))
}

/// The request to the Claude API.
///
/// # Errors
/// 400 for a body that Vertex AI does not accept.
pub(super) fn rewrite(
    named: Option<&NamedInPath<'_>>,
    headers: &mut HeaderMap,
    body: &[u8],
) -> Result<Bytes, ApiError> {
    let mut fields = BodyFields::read(body)?;
    fields.take_version(headers, OLDER_VERSION)?;
    if let Some(named) = named {
        fields.refuse("model")?;
        let streams = fields.take::<bool>("stream")?.unwrap_or(false);
        require(
            streams == named.streams,
            || "stream: must be true for streamRawPredict, and only for it",
        )?;
        fields.insert("model", &*named.model);
        fields.insert("stream", streams);
    }
    Ok(fields.json())
}
