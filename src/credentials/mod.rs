//! Credentials that are no key: they expire, and come from where the process runs.
//!
//! A host of Claude in a cloud is called with what the cloud gives the process, and the
//! Claude API with what it gives for an identity of the platform. That is replaced ahead
//! of its expiry, next to the calls. Each request then has a token as it is, or a
//! signature.

mod aws;
mod bearer_token;
mod entra;
mod error;
mod federation;
mod google;
mod renewed;
mod token_header;

pub use aws::AwsSigner;
pub use bearer_token::BearerToken;
pub use entra::entra_token;
pub use error::{CredentialsError, CredentialsSource};
pub use federation::{Federation, TOKEN_BETA};

use bytes::Bytes;
use http::Method;
use reqwest::Url;

/// What a signature is made of, besides the headers.
#[derive(Debug, Clone, Copy)]
pub struct RequestToSign<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URL as it is called.
    pub url: &'a Url,
    /// The body; `None` if there is none.
    pub body: Option<&'a Bytes>,
}
