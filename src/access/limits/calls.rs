//! The limits on calls: how many in a minute, and how many at once.

use super::{
    ledger::{Ledger, Receipt},
    meter::Use,
};
use crate::access::Identity;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt};

/// The layer that makes [`CallLimits`].
#[derive(Debug, Clone)]
pub struct CallLimitsLayer {
    ledger: Option<Ledger>,
}

impl CallLimitsLayer {
    /// Counts in `ledger`; without one, nothing is limited.
    pub fn new(ledger: Option<Ledger>) -> Self {
        CallLimitsLayer { ledger }
    }
}

impl<S> Layer<S> for CallLimitsLayer {
    type Service = CallLimits<S>;

    fn layer(&self, inner: S) -> CallLimits<S> {
        CallLimits {
            inner,
            ledger: self.ledger.clone(),
        }
    }
}

/// Refuses calls that go over the limits of their client. A call holds its
/// place until its answer has been sent or dropped.
#[derive(Debug, Clone)]
pub struct CallLimits<S> {
    inner: S,
    ledger: Option<Ledger>,
}

/// The place of a call.
struct Place(Receipt);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.release();
    }
}

// === impl CallLimits ===

impl<S> Service<Request<Body>> for CallLimits<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let identity = request.extensions().get::<Arc<Identity>>().cloned();
        let (Some(ledger), Some(identity)) = (self.ledger.clone(), identity) else {
            return Box::pin(self.inner.call(request));
        };
        let limits = &identity.limits;
        if limits.requests_per_minute.is_none() && limits.calls_in_flight.is_none() {
            return Box::pin(self.inner.call(request));
        }
        // The one that is ready goes, a clone stays.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let ask = Use {
                requests: 1,
                in_flight: 1,
                ..Use::default()
            };
            let place = match ledger.take(&identity, ask).await {
                Ok(receipt) => Place(receipt),
                Err(refused) => return Ok(refused.status().into_http()),
            };
            let response = inner.oneshot(request).await?;
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &place;
                    frame
                }))
            }))
        })
    }
}
