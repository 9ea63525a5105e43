//! Why there are no credentials.

use std::sync::Arc;
use thiserror::Error;

/// Why a request cannot be authenticated. Quotes no credential.
#[derive(Debug, Clone, Error)]
pub enum CredentialsError {
    /// The source has none, or does not answer.
    #[error("failed to get credentials of AWS: {0}")]
    Aws(Arc<str>),
    /// The request cannot be signed.
    #[error("failed to sign the request")]
    Unsignable,
    /// The build cannot get them.
    #[error("requires a build with the AWS SDK: cargo build --features aws")]
    NotBuilt,
}
