//! Why there are no credentials.

use thiserror::Error;

/// Why a request cannot be authenticated. Quotes no credential.
#[derive(Debug, Clone, Error)]
pub enum CredentialsError {
    /// The source has none, or does not answer.
    #[error("failed to get credentials of AWS: {0}")]
    Aws(&'static str),
    /// The source did not answer in time.
    #[error("failed to get credentials in time")]
    TimedOut,
    /// The request cannot be signed.
    #[error("failed to sign the request")]
    Unsignable,
    /// The build cannot get them.
    #[error("requires a build with the AWS SDK: cargo build --features aws")]
    NotBuilt,
}
