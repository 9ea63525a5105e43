//! The caller's side: signs what a gRPC client sends.
//!
//! ```no_run
//! use claude_grpc::{
//!     signing::{Signer, SigningLayer},
//!     proto::v1::claude_service_client::ClaudeServiceClient,
//! };
//! # async fn example() -> Result<(), tonic::transport::Error> {
//! let channel = tonic::transport::Channel::from_static("http://localhost:50051")
//!     .connect()
//!     .await?;
//! let signer = Signer::new("my-key-id", "cgs_my-secret".to_owned().into());
//! let signed = tower::ServiceBuilder::new()
//!     .layer(SigningLayer::new(signer))
//!     .service(channel);
//! let client = ClaudeServiceClient::new(signed);
//! # Ok(())
//! # }
//! ```

use super::{SignatureHeader, Signed, framed, read_first_message, read_message, remove_encoding};
use crate::{
    access::Clock,
    proto::{is_client_stream, method},
};
use data_encoding::HEXLOWER;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use secrecy::SecretString;
use std::{
    fmt,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Maximum size of a message that a client signs: more than the service
/// accepts.
const MAX_MESSAGE: usize = 256 * 1024 * 1024;

/// Signs calls with one key. Cloning is cheap enough for each call.
#[derive(Clone)]
pub struct Signer {
    key_id: String,
    secret: SecretString,
    clock: Clock,
}

impl Signer {
    /// A signer with this key.
    pub fn new(key_id: impl Into<String>, secret: SecretString) -> Self {
        Signer {
            key_id: key_id.into(),
            secret,
            clock: Clock::default(),
        }
    }

    /// Reads the time from another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Signer { clock, ..self }
    }

    /// The value of `x-signature` for a call, with the current time and a new
    /// nonce.
    pub fn sign(&self, path: &str, message: &[u8]) -> String {
        let nonce = HEXLOWER.encode(&rand::random::<[u8; 16]>());
        self.sign_with(path, message, self.clock.since_1970().as_secs(), &nonce)
    }

    /// As [`sign`](Self::sign), with a given time, in seconds since 1970, and a
    /// given nonce.
    pub fn sign_with(&self, path: &str, message: &[u8], time: u64, nonce: &str) -> String {
        let signed = Signed {
            path,
            key_id: &self.key_id,
            time,
            nonce,
            message,
        };
        let header = SignatureHeader {
            time,
            nonce: nonce.to_owned(),
            key_id: self.key_id.clone(),
            mac: signed.mac(&self.secret),
        };
        header.to_string()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, [redacted])", self.key_id)
    }
}

/// The tower layer that produces [`Signing`].
#[derive(Debug, Clone)]
pub struct SigningLayer {
    signer: Signer,
}

impl SigningLayer {
    /// A layer that signs calls with `signer`.
    pub fn new(signer: Signer) -> Self {
        SigningLayer { signer }
    }
}

impl<S> Layer<S> for SigningLayer {
    type Service = Signing<S>;

    fn layer(&self, inner: S) -> Signing<S> {
        Signing {
            inner,
            signer: self.signer.clone(),
        }
    }
}

/// Signs each call of the service by its message, which is sent uncompressed, or by the
/// first one of a stream.
#[derive(Debug, Clone)]
pub struct Signing<S> {
    inner: S,
    signer: Signer,
}

// === impl Signing ===

impl<S, B> Service<Request<Body>> for Signing<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<tonic::codegen::StdError>,
    S::Future: Send,
{
    type Response = Response<B>;
    type Error = tonic::codegen::StdError;
    type Future = BoxFuture<'static, Result<Response<B>, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone that is ready is used; the other one stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let signer = self.signer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let path = parts.uri.path();
            let is_stream = method(path).is_some_and(is_client_stream);
            let read = if is_stream {
                read_first_message(&parts.headers, body, MAX_MESSAGE).await
            } else {
                let message = read_message(&parts.headers, body, MAX_MESSAGE).await;
                remove_encoding(&mut parts.headers);
                message.map(|message| (message.clone(), framed(message)))
            };
            let (message, body) = read.map_err(|_| {
                Status::internal("only calls with a single request message can be signed")
            })?;
            let signature = signer.sign(parts.uri.path(), &message);
            let mut value = HeaderValue::try_from(signature)?;
            value.set_sensitive(true);
            parts.headers.insert("x-signature", value);
            let request = Request::from_parts(parts, body);
            inner.call(request).await.map_err(Into::into)
        })
    }
}
