//! The layer that lets a call in or refuses it.

use super::{
    Access, Cause, Identity, credentials,
    guard::Shown,
    signature::{SignatureHeader, Unread, framed, read_message, remove_encoding},
    status,
};
use crate::{proto, telemetry::CallRecord};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};
use tower::{Layer, Service, ServiceExt};

/// Health checks come from where no keys are.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// The layer that makes [`Guarded`].
#[derive(Debug, Clone)]
pub struct AccessLayer {
    access: Option<Access>,
    max_message_bytes: usize,
}

impl AccessLayer {
    /// Guards with `access`; without it, lets everything through. A signed
    /// message is read here, up to `max_message_bytes`.
    pub fn new(access: Option<Access>, max_message_bytes: usize) -> Self {
        AccessLayer {
            access,
            max_message_bytes,
        }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            layer: self.clone(),
        }
    }
}

/// Lets in whoever is known and allowed. Handlers find an `Arc<Identity>` in
/// the request's extensions.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
    layer: AccessLayer,
}

// === impl Guarded ===

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(access) = &self.layer.access else {
            return Box::pin(self.inner.call(request.map(Body::new)));
        };
        if request.uri().path().starts_with(HEALTH) {
            return Box::pin(self.inner.call(request.map(Body::new)));
        }
        match access.shown(request.headers(), request.extensions()) {
            Ok(Shown::Identity(identity)) => match let_in(request.map(Body::new), identity) {
                Ok(request) => Box::pin(self.inner.call(request)),
                Err(cause) => refuse(access.refused(cause)),
            },
            Ok(Shown::Signature(header)) => {
                // The one that is ready goes, a clone stays.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let max_bytes = self.layer.max_message_bytes;
                let verified = verified(access.clone(), header, request, max_bytes);
                Box::pin(async move {
                    match verified.await {
                        Ok(request) => inner.oneshot(request).await,
                        Err(status) => Ok(status.into_http()),
                    }
                })
            }
            Err(cause) => refuse(access.refused(cause)),
        }
    }
}

/// Reads the message and lets the call in if it is the one that was signed.
async fn verified<B>(
    access: Access,
    header: SignatureHeader,
    request: Request<B>,
    max_bytes: usize,
) -> Result<Request<Body>, Status>
where
    B: http_body::Body<Data = Bytes>,
{
    if proto::method(request.uri().path()).is_none() {
        return Err(access.refused(Cause::NotSignable));
    }
    let (mut parts, body) = request.into_parts();
    let message = read_message(&parts.headers, body, max_bytes).await;
    let message = message.map_err(|unread| match unread {
        Unread::TooLarge => status::too_large(max_bytes),
        Unread::Malformed => status::malformed_message(),
    })?;
    let identity = access
        .verified(&header, parts.uri.path(), &message)
        .await
        .map_err(|cause| access.refused(cause))?;
    remove_encoding(&mut parts.headers);
    let request = Request::from_parts(parts, framed(message));
    let_in(request, identity).map_err(|cause| access.refused(cause))
}

/// The request as the handler gets it: with the identity, without what proved
/// it.
fn let_in(mut request: Request<Body>, identity: Arc<Identity>) -> Result<Request<Body>, Cause> {
    if let Some(record) = request.extensions().get::<CallRecord>() {
        record.client(&identity.name);
    }
    identity.may_call(request.uri().path())?;
    credentials::remove(request.headers_mut());
    request.extensions_mut().insert(identity);
    Ok(request)
}

impl Access {
    /// Counts a refusal and gives its status.
    fn refused(&self, cause: Cause) -> Status {
        self.refusals().count(cause);
        status::refused(cause)
    }
}

fn refuse<E: Send + 'static>(status: Status) -> BoxFuture<'static, Result<Response<Body>, E>> {
    Box::pin(std::future::ready(Ok(status.into_http())))
}
