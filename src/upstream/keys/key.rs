//! One API key and its quarantine.

use crate::{
    credentials::{AwsSigner, BearerToken, CredentialsError, RequestToSign},
    secrets::{UnusableKey, authorization, key_header},
    upstream::{UpstreamError, fingerprint::Fingerprint, hosts::KeyScheme},
};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// How long a rejected key is quarantined: it may be repaired in the meantime.
const QUARANTINE: Duration = Duration::from_secs(60);

/// Callers name the models: beyond this number of models for which a key was
/// rejected, the oldest one is forgotten.
const MAX_REFUSALS: usize = 64;

/// An API key with its name, header and quarantine.
pub struct Key {
    /// Identifies the key in logs and metrics without revealing it.
    name: Arc<str>,
    fingerprint: Fingerprint,
    /// The headers that carry the key, marked as sensitive.
    headers: KeyHeaders,
    refusals: Mutex<Vec<Refusal>>,
    /// The number of rejections, to be read without the lock.
    refused: AtomicUsize,
    in_flight: AtomicUsize,
}

/// A key in the form of its host.
enum KeyHeaders {
    Bearer(HeaderValue),
    ApiKey(HeaderValue),
    Aws(AwsSigner),
    Token(BearerToken),
}

/// Counts an attempt with a key until it is dropped.
#[derive(Debug)]
pub struct KeyUse(Arc<Key>);

impl Drop for KeyUse {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why and until when a key is quarantined.
struct Refusal {
    /// Only for this model: a key may lack the permission for one.
    model: Option<Arc<str>>,
    until: Instant,
    error: UpstreamError,
}

// === impl Key ===

impl Key {
    /// A key of the Claude API as configured, with a name for logs and metrics.
    /// Whitespace around it is removed: files end in a newline.
    ///
    /// # Errors
    /// [`UnusableKey`] when it is empty or contains characters that are not
    /// allowed in a header.
    pub fn new(name: &str, secret: &SecretString) -> Result<Key, UnusableKey> {
        Key::of(KeyScheme::Bearer, name, secret)
    }

    /// As [`new`](Self::new), of a host that takes keys in this form.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(scheme: KeyScheme, name: &str, secret: &SecretString) -> Result<Key, UnusableKey> {
        let headers = KeyHeaders::of(scheme, secret)?;
        let fingerprint = Fingerprint::of(secret.expose_secret().trim());
        Ok(Key::with(name, fingerprint, headers))
    }

    fn with(name: &str, fingerprint: Fingerprint, headers: KeyHeaders) -> Key {
        Key {
            name: Arc::from(name),
            fingerprint,
            headers,
            refusals: Mutex::default(),
            refused: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Keys in order, named `key-1`, `key-2` and so on.
    ///
    /// # Errors
    /// [`UnusableKey`] when one is empty or contains characters that are not
    /// allowed in a header.
    pub fn numbered(scheme: KeyScheme, secrets: &[SecretString]) -> Result<Vec<Key>, UnusableKey> {
        let keys = secrets.iter().enumerate();
        keys.map(|(index, secret)| Key::of(scheme, &format!("key-{}", index + 1), secret))
            .collect()
    }

    /// The name in logs and metrics.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Identifies the key in all replicas.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Credentials of AWS. They change, and so this name of where they are for stands for
    /// them in what replicas share.
    pub fn of_aws(shared_name: &str, signer: AwsSigner) -> Key {
        let fingerprint = Fingerprint::of(shared_name);
        Key::with("aws", fingerprint, KeyHeaders::Aws(signer))
    }

    /// A token that expires, under a name that stands for it as that of
    /// [`of_aws`](Self::of_aws) does.
    pub fn of_token(shared_name: &str, token: BearerToken) -> Key {
        let name = token.source().name();
        let fingerprint = Fingerprint::of(shared_name);
        Key::with(name, fingerprint, KeyHeaders::Token(token))
    }

    /// Adds the headers that carry the key, or a signature.
    ///
    /// # Errors
    /// When there are no valid credentials.
    pub async fn authenticate(
        &self,
        request: RequestToSign<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), CredentialsError> {
        match &self.headers {
            KeyHeaders::Bearer(value) => {
                headers.insert(AUTHORIZATION, value.clone());
            }
            KeyHeaders::ApiKey(value) => {
                headers.insert(X_API_KEY, value.clone());
                headers.insert(API_KEY, value.clone());
            }
            // Boxed, so that the future of a call with a key is no larger.
            KeyHeaders::Aws(signer) => return Box::pin(signer.sign(request, headers)).await,
            KeyHeaders::Token(token) => return Box::pin(token.authorize(headers)).await,
        }
        Ok(())
    }

    /// Attempts that are made with the key.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts an attempt with the key.
    pub fn begin_use(self: &Arc<Self>) -> KeyUse {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        KeyUse(Arc::clone(self))
    }

    /// Why the key is quarantined, if it is.
    pub fn refusal(&self) -> Option<UpstreamError> {
        self.find(|model| model.is_none())
    }

    /// Whether the API has rejected the key for this model.
    pub fn is_refused_for(&self, model: &str) -> bool {
        self.find(|only| only == Some(model)).is_some()
    }

    fn find(&self, of: impl Fn(Option<&str>) -> bool) -> Option<UpstreamError> {
        if self.refused.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut refusals = self.refusals();
        let now = Instant::now();
        refusals.retain(|refusal| refusal.until > now);
        self.refused.store(refusals.len(), Ordering::Relaxed);
        let refusal = refusals.iter().find(|it| of(it.model.as_deref()))?;
        Some(refusal.error.clone())
    }

    /// When it expires; `None` for a key.
    pub fn expiry(&self) -> Option<SystemTime> {
        match &self.headers {
            KeyHeaders::Bearer(_) | KeyHeaders::ApiKey(_) => None,
            KeyHeaders::Aws(signer) => signer.expiry(),
            KeyHeaders::Token(token) => token.expiry(),
        }
    }

    /// Credentials that expire were not accepted by an attempt that began at this time:
    /// they are replaced, unless they are fresh. Returns whether there are others for a
    /// further attempt; `None` for a key.
    pub fn reject_credentials(&self, began: Instant) -> Option<bool> {
        match &self.headers {
            KeyHeaders::Bearer(_) | KeyHeaders::ApiKey(_) => None,
            KeyHeaders::Aws(signer) => Some(signer.reject(began)),
            KeyHeaders::Token(token) => Some(token.reject(began)),
        }
    }

    /// Quarantines the key for a minute, or avoids it for a model.
    pub fn quarantine(&self, model: Option<Arc<str>>, error: &UpstreamError) {
        let mut refusals = self.refusals();
        if refusals.iter().any(|it| it.model == model) {
            return;
        }
        // Rare enough to be a span of its own among those of the calls.
        let _span = tracing::error_span!("key quarantined", key = %self.name).entered();
        tracing::error!(key = %self.name, model = model.as_deref(), %error, "the Claude API rejected an API key, quarantining it");
        if refusals.len() >= MAX_REFUSALS
            && let Some(oldest) = refusals.iter().position(|it| it.model.is_some())
        {
            refusals.remove(oldest);
        }
        refusals.push(Refusal {
            model,
            until: Instant::now() + QUARANTINE,
            error: error.clone(),
        });
        self.refused.store(refusals.len(), Ordering::Relaxed);
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<Refusal>> {
        self.refusals.lock()
    }
}

impl KeyHeaders {
    fn of(scheme: KeyScheme, secret: &SecretString) -> Result<Self, UnusableKey> {
        Ok(match scheme {
            KeyScheme::Bearer => KeyHeaders::Bearer(authorization(secret)?),
            KeyScheme::ApiKey => KeyHeaders::ApiKey(key_header(secret)?),
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, [redacted])", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use reqwest::Url;

    fn key(secret: &str) -> Result<Key, UnusableKey> {
        Key::new("key-1", &SecretString::from(secret))
    }

    /// The headers of a request with a key.
    async fn sent(key: &Key) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let url = Url::parse("https://host/").unwrap();
        let request = RequestToSign {
            method: &Method::POST,
            url: &url,
            body: None,
        };
        key.authenticate(request, &mut headers).await.unwrap();
        headers
    }

    #[tokio::test]
    async fn a_key_never_shows() {
        let key = key("sk-ant-secret\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(key-1, [redacted])");
        let headers = sent(&key).await;
        assert!(!format!("{headers:?}").contains("secret"));
        assert_eq!(headers[AUTHORIZATION], "Bearer sk-ant-secret");

        let secret = SecretString::from("sk-secret");
        let key = Key::of(KeyScheme::ApiKey, "key-1", &secret).unwrap();
        let headers = sent(&key).await;
        assert!(!format!("{headers:?}").contains("secret"));
        assert_eq!(headers[X_API_KEY], "sk-secret");
        assert_eq!(headers[API_KEY], "sk-secret");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_key_that_cannot_be_sent_is_refused() {
        for secret in ["", " \n", "two words", "line\nbreak", "nul\0"] {
            assert!(key(secret).is_err(), "{secret:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_key_comes_back_after_a_while() {
        let key = key("a").unwrap();
        key.quarantine(Some(Arc::from("opus")), &UpstreamError::NoUsableKey);
        assert!(key.is_refused_for("opus") && !key.is_refused_for("haiku"));
        assert!(key.refusal().is_none());
        key.quarantine(None, &UpstreamError::NoUsableKey);
        assert!(key.refusal().is_some());
        tokio::time::advance(QUARANTINE).await;
        assert!(key.refusal().is_none() && !key.is_refused_for("opus"));
    }
}
