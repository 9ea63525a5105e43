//! The header that carries an API key.

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// A key is empty, or contains characters that are not allowed in a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "an API key must not be empty or contain characters that are not allowed in an HTTP header"
)]
pub struct UnusableKey;

/// The `authorization` header for a key, marked as sensitive. Whitespace around
/// the key is removed: files end in a newline.
///
/// # Errors
/// [`UnusableKey`] when the key is empty or contains characters that are not
/// allowed in a header.
pub fn authorization(key: &SecretString) -> Result<HeaderValue, UnusableKey> {
    let key = key.expose_secret().trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(UnusableKey);
    }
    let mut header = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| UnusableKey)?;
    header.set_sensitive(true);
    Ok(header)
}
