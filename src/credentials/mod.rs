//! Credentials that are no key: they expire, and come from where the process runs.
//!
//! A host of Claude in a cloud is called with what the cloud gives the process. That is
//! fetched ahead of its expiry, next to the calls, and each request is then signed with
//! what is there.

mod aws;
mod error;
#[cfg(any(test, feature = "aws"))]
mod renewed;

pub use aws::AwsSigner;
pub use error::CredentialsError;

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
