//! Keeps gRPC clients from repeating a signed call as it is.
//!
//! A signature is valid once, and the retry policy of a gRPC client sends the
//! same metadata again. The retry would be rejected as a replay, and the caller
//! would see UNAUTHENTICATED in place of what went wrong. Therefore every error
//! of a call whose signature was used says `grpc-retry-pushback-ms: -1`: the
//! status arrives, and the caller may sign the call again.
//!
//! A call that was rejected before its signature was used, for example during a
//! drain, may be repeated as it is.
//!
//! The alternative, to accept a signature again after an error, would let in
//! anyone who captured it.

use crate::{
    access::has_signature,
    layer::{Next, Rule},
    status,
};
use http::{Request, Response};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tonic::body::Body;

/// Whether the signature of a call was used: in the extensions of each signed
/// request.
#[derive(Debug, Clone, Default)]
pub struct SignatureUse(Arc<AtomicBool>);

impl SignatureUse {
    /// Records that the signature may be a replay from now on.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Forbids the retry of a failed call whose signature was used.
#[derive(Debug)]
pub struct ForbidSignedRetries;

impl<B: Send + 'static> Rule<Request<B>> for ForbidSignedRetries {
    type Inner = Request<B>;
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(
        &self,
        mut request: Request<B>,
        mut next: impl Next<Request<B>, Response<Body>, Infallible>,
    ) -> Result<Response<Body>, Infallible> {
        if !has_signature(request.headers()) {
            return next.run(request).await;
        }
        let signature_use = SignatureUse::default();
        request.extensions_mut().insert(signature_use.clone());
        let mut response = next.run(request).await?;
        if signature_use.has_begun() {
            status::forbid_retry(response.headers_mut());
        }
        Ok(response)
    }
}
