//! Why the HTTP client of a host cannot be built.

use super::proxy::ProxyVariableError;
use crate::certificates::TrustError;
use thiserror::Error;

/// The HTTP client cannot be built.
#[derive(Debug, Error)]
pub enum HttpConfigError {
    /// `base_url` is not an `http` or `https` URL.
    #[error("the base URL of a host must be an http or https URL")]
    BaseUrl,
    /// `api_version` is not valid in a header.
    #[error("upstream.api_version must contain only characters that are valid in an HTTP header")]
    ApiVersion,
    /// The CAs of the system or of `ca_file` cannot be loaded.
    #[error("failed to load the CAs of the Claude API")]
    Trust(#[from] TrustError),
    /// A variable of the environment is not the address of a proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyVariableError),
    /// The HTTP client could not be initialized.
    #[error("failed to build the HTTP client")]
    Client(#[source] reqwest::Error),
}
