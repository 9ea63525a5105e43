//! The limits on calls: how many per minute, and how many at once.

use crate::{
    access::{
        Identity,
        limits::{UsageReservation, UsageStore},
    },
    layer::{Next, Rule},
    status,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use std::{convert::Infallible, sync::Arc};
use tonic::body::Body;

/// Rejects calls that exceed the limits of their client. A call counts as in
/// flight until its response has been sent or dropped.
#[derive(Debug)]
pub struct LimitCalls {
    usage_store: Option<UsageStore>,
}

impl LimitCalls {
    /// Counts in this store; without one, nothing is limited.
    pub fn new(usage_store: Option<UsageStore>) -> Self {
        LimitCalls { usage_store }
    }
}

struct InFlightCall(UsageReservation);

impl Drop for InFlightCall {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Rule<Request<Body>> for LimitCalls {
    type Inner = Request<Body>;
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(
        &self,
        request: Request<Body>,
        mut next: impl Next<Request<Body>, Response<Body>, Infallible>,
    ) -> Result<Response<Body>, Infallible> {
        let identity = request.extensions().get::<Arc<Identity>>().cloned();
        let (Some(usage_store), Some(identity)) = (&self.usage_store, identity) else {
            return next.run(request).await;
        };
        let limits = &identity.limits;
        if limits.requests_per_minute.is_none() && limits.calls_in_flight.is_none() {
            return next.run(request).await;
        }
        let in_flight = match Box::pin(usage_store.reserve_call(&identity)).await {
            Ok(reservation) => InFlightCall(reservation),
            Err(refused) => return Ok(status::denied(&refused).into_http()),
        };
        let response = next.run(request).await?;
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held = &in_flight;
                frame
            }))
        }))
    }
}
