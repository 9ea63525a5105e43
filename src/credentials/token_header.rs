//! The header with a token that a source has issued.

use super::{CredentialsError, CredentialsSource};
use crate::secrets::authorization;
use http::HeaderValue;
use secrecy::SecretString;

/// The `authorization` header with a token, marked as sensitive.
///
/// # Errors
/// When the token is not valid in a header.
pub fn token_header(
    source: CredentialsSource,
    token: &SecretString,
) -> Result<HeaderValue, CredentialsError> {
    authorization(token)
        .map_err(|_| CredentialsError::failed(source, "the token is not valid in a header"))
}
