//! The API keys, and which of them a call is made with.

use super::{Call, Reply, UpstreamError, attempt::Attempt};
use futures::{
    FutureExt,
    future::{Either, Ready, ready},
};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use thiserror::Error;
use tower::{Layer, Service};

/// One API key.
pub struct Key {
    /// `authorization`, marked as sensitive.
    authorization: HeaderValue,
}

/// A key cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an API key has characters that no HTTP header can carry, or is empty")]
pub struct UnusableKey;

impl Key {
    /// A key as it was configured. Blanks around it are dropped: files end in
    /// a newline.
    ///
    /// # Errors
    /// [`UnusableKey`] when it is empty or no header can carry it.
    pub fn new(secret: &SecretString) -> Result<Key, UnusableKey> {
        let secret = secret.expose_secret().trim();
        if secret.is_empty() || secret.contains(char::is_whitespace) {
            return Err(UnusableKey);
        }
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {secret}")).map_err(|_| UnusableKey)?;
        authorization.set_sensitive(true);
        Ok(Key { authorization })
    }

    /// The header that carries the key.
    pub fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}

/// All keys. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Keys(Arc<[Arc<Key>]>);

impl Keys {
    /// A ring of these keys.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Keys(keys.into_iter().map(Arc::new).collect())
    }

    /// The key for the next attempt, if there is any.
    pub fn choose(&self) -> Option<Arc<Key>> {
        self.0.first().cloned()
    }
}

/// The layer that makes [`WithKey`].
#[derive(Debug, Clone)]
pub struct KeysLayer {
    keys: Keys,
}

impl KeysLayer {
    /// Attempts are made with one of these keys.
    pub fn new(keys: Keys) -> Self {
        KeysLayer { keys }
    }
}

impl<S> Layer<S> for KeysLayer {
    type Service = WithKey<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WithKey {
            inner,
            keys: self.keys.clone(),
        }
    }
}

/// Chooses the key of each attempt.
#[derive(Debug, Clone)]
pub struct WithKey<S> {
    inner: S,
    keys: Keys,
}

// === impl WithKey ===

impl<S> Service<Call> for WithKey<S>
where
    S: Service<Attempt, Response = Reply, Error = UpstreamError>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = UpstreamError;
    type Future = Either<S::Future, Ready<Result<Reply, UpstreamError>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        match self.keys.choose() {
            Some(key) => self.inner.call(Attempt { call, key }).left_future(),
            None => ready(Err(UpstreamError::NoUsableKey)).right_future(),
        }
    }
}
