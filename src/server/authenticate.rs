//! The layer that authenticates calls.

use super::{
    messages::{first_gathered_message, gathered_message},
    peers::{PeerAddress, PeerCall},
    signed_calls::SignatureUse,
};
use crate::{
    access::{
        Access, Credential, Identity, RejectReason, SignedCall, remove_credentials,
        signature::{SignatureHeader, framed, remove_encoding},
    },
    call::Holder,
    layer::{Next, Rule},
    memory::MessageBytes,
    proto, status,
    telemetry::CallRecord,
};
use bytes::Bytes;
use http::{Extensions, Request, Response};
use std::{convert::Infallible, sync::Arc};
use tonic::{Status, body::Body};

/// Health checks come from probes without credentials.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Admits known and authorized clients. Handlers find an `Arc<Identity>` in the
/// request's extensions.
#[derive(Debug)]
pub struct Authenticate {
    access: Option<Access>,
}

impl Authenticate {
    /// Authenticates with `access`; without it, admits every call.
    pub fn new(access: Option<Access>) -> Self {
        Authenticate { access }
    }
}

impl<B> Rule<Request<B>> for Authenticate
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Inner = Request<Body>;
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(
        &self,
        request: Request<B>,
        mut next: impl Next<Request<Body>, Response<Body>, Infallible>,
    ) -> Result<Response<Body>, Infallible> {
        let Some(access) = &self.access else {
            return next.run(request.map(Body::new)).await;
        };
        if request.uri().path().starts_with(HEALTH) {
            return next.run(request.map(Body::new)).await;
        }
        let let_in = match access.credential(request.headers(), request.extensions()) {
            Ok(Credential::Identity(identity)) => let_in(access, request.map(Body::new), identity),
            // Boxed, so that the future of a call with a key is no larger.
            Ok(Credential::Signature(header)) => Box::pin(verified(access, header, request)).await,
            Err(cause) => Err(refused(access, cause, request.extensions())),
        };
        match let_in {
            Ok(request) => next.run(request).await,
            Err(status) => Ok(status.into_http()),
        }
    }
}

/// Reads the message, or the first one of a stream, and admits the call if the signature
/// matches.
async fn verified<B>(
    access: &Access,
    header: SignatureHeader,
    request: Request<B>,
) -> Result<Request<Body>, Status>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    let Some(method) = proto::method(request.uri().path()) else {
        let cause = RejectReason::NotSignable;
        return Err(refused(access, cause, request.extensions()));
    };
    let is_stream = proto::is_client_stream(method);
    let (mut parts, body) = request.into_parts();
    // Its peer's, until it is known whose it is.
    let _of_peer = parts.extensions.remove::<Arc<PeerCall>>();
    let (message, body) = if is_stream {
        first_gathered_message(body).await?
    } else {
        let message = gathered_message(body).await?;
        (message.clone(), framed(message))
    };
    if let Some(signature_use) = parts.extensions.get::<SignatureUse>() {
        signature_use.begin();
    }
    let identity = access
        .verified(&header, parts.uri.path(), &message)
        .await
        .map_err(|cause| refused(access, cause, &parts.extensions))?;
    remove_encoding(&mut parts.headers);
    parts.extensions.insert(SignedCall);
    let request = Request::from_parts(parts, body);
    let_in(access, request, identity)
}

/// The request as the handler receives it: with the identity, without the
/// credentials.
fn let_in(
    access: &Access,
    mut request: Request<Body>,
    identity: Arc<Identity>,
) -> Result<Request<Body>, Status> {
    if let Some(record) = request.extensions().get::<CallRecord>() {
        record.client(&identity.name);
    }
    if let Err(cause) = identity.may_call(request.uri().path()) {
        return Err(refused(access, cause, request.extensions()));
    }
    if let Some(bytes) = request.extensions_mut().remove::<Arc<MessageBytes>>() {
        let tenant = Holder::Tenant(Arc::clone(&identity.tenant));
        bytes.give(tenant, identity.weight);
    }
    remove_credentials(request.headers_mut());
    request.extensions_mut().insert(identity);
    Ok(request)
}

/// Counts a rejected call, logs where it came from, and creates its status.
fn refused(access: &Access, cause: RejectReason, extensions: &Extensions) -> Status {
    access.refusals().count(cause);
    if let Some(PeerAddress(peer)) = extensions.get() {
        match extensions.get::<CallRecord>() {
            Some(record) => record.refused(*peer, cause.name()),
            // Calls of other services, such as reflection, have no line of their own.
            None => tracing::info!(%peer, cause = cause.name(), "rejected a call"),
        }
    }
    status::rejected(cause)
}
