//! Amazon Bedrock's `InvokeModel`: the model is in the path, and the version and the
//! betas are in the body.

use super::{
    body_fields::BodyFields,
    target::{NamedInPath, Target},
};
use crate::simulator::error::ApiError;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

/// The versions that `anthropic_version` can have next to the Claude API's.
const OLDER_VERSION: &str = "bedrock-2023-05-31";

/// `/model/{id or ARN, quoted}/invoke` and `/invoke-with-response-stream`.
pub(super) fn target(path: &str) -> Option<Target<'_>> {
    let (model, operation) = path.strip_prefix("/model/")?.split_once('/')?;
    let streams = match operation {
        "invoke" => false,
        "invoke-with-response-stream" => true,
        _ => return None,
    };
    Some(Target {
        prefix: "",
        path: "/v1/messages",
        account: "",
        named: Some(NamedInPath {
            model: percent_decode_str(model).decode_utf8().ok()?,
            streams,
        }),
    })
}

/// The request to the Claude API.
///
/// # Errors
/// 400 for a body that Bedrock does not accept.
pub(super) fn rewrite(
    named: &NamedInPath<'_>,
    headers: &mut HeaderMap,
    body: &[u8],
) -> Result<Bytes, ApiError> {
    let mut fields = BodyFields::read(body)?;
    for name in ["model", "stream"] {
        fields.refuse(name)?;
    }
    fields.take_version(headers, OLDER_VERSION)?;
    // The header of the same name is not read.
    headers.remove("anthropic-beta");
    let betas: Option<Vec<String>> = fields.take("anthropic_beta")?;
    if let Some(betas) = betas {
        let betas = HeaderValue::from_str(&betas.join(","))
            .map_err(|_| ApiError::invalid("anthropic_beta: invalid beta flag"))?;
        headers.insert("anthropic-beta", betas);
    }
    fields.take::<String>("user_profile_id")?;
    fields.insert("model", &*named.model);
    fields.insert("stream", named.streams);
    Ok(fields.json())
}
