//! A bearer token that expires, whatever its source is.

use super::{
    CredentialsError, CredentialsSource,
    google::GoogleTokens,
    renewed::{Fetch, Renewed},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::{fmt, time::SystemTime};
use tokio::time::Instant;

/// A token that is replaced ahead of its expiry. Cloning is cheap.
#[derive(Clone)]
pub struct BearerToken {
    source: CredentialsSource,
    header: Header,
}

/// The header with the token, by who replaces it.
#[derive(Clone)]
enum Header {
    Ours(Renewed<HeaderValue>),
    Google(GoogleTokens),
}

impl BearerToken {
    /// A token of a source that this function fetches.
    pub(super) fn new(source: CredentialsSource, fetch: Box<Fetch<HeaderValue>>) -> Self {
        BearerToken {
            source,
            header: Header::Ours(Renewed::new(source, fetch)),
        }
    }

    /// The access token of Google.
    ///
    /// # Errors
    /// When Google's library finds no credentials, or the build does not have it.
    pub fn of_google() -> Result<Self, CredentialsError> {
        Ok(BearerToken {
            source: CredentialsSource::Google,
            header: Header::Google(GoogleTokens::found()?),
        })
    }

    /// Where it comes from.
    pub fn source(&self) -> CredentialsSource {
        self.source
    }

    /// Fetches the token, unless there is a valid one.
    ///
    /// # Errors
    /// When there is no valid token, and none can be fetched.
    pub async fn fetch(&self) -> Result<(), CredentialsError> {
        self.header().await.map(|_| ())
    }

    /// Adds the header with the token.
    ///
    /// # Errors
    /// When there is no valid token, and none can be fetched.
    pub async fn authorize(&self, headers: &mut HeaderMap) -> Result<(), CredentialsError> {
        headers.insert(AUTHORIZATION, self.header().await?);
        Ok(())
    }

    async fn header(&self) -> Result<HeaderValue, CredentialsError> {
        match &self.header {
            Header::Ours(header) => Ok(HeaderValue::clone(&*header.get().await?)),
            Header::Google(tokens) => tokens.header().await,
        }
    }

    /// The token was not accepted by a request that began at this time: the next one gets
    /// another one, unless this one was just fetched. Returns whether it does.
    pub fn reject(&self, began: Instant) -> bool {
        match &self.header {
            Header::Ours(header) => header.reject(began),
            Header::Google(tokens) => tokens.reject(began),
        }
    }

    /// When the token expires; `None` if there is none, or if its source does not tell.
    pub fn expiry(&self) -> Option<SystemTime> {
        match &self.header {
            Header::Ours(header) => header.expiry(),
            Header::Google(_) => None,
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BearerToken({}, [redacted])", self.source.name())
    }
}
