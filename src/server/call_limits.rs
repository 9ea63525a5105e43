//! The limits on calls: how many per minute, and how many at once, of a client and
//! of its tenant.

use super::{drain::Drain, held::until_sent, tenant_calls::TenantCalls};
use crate::{
    access::{
        Identity,
        limits::{CallInFlight, ItemLimits, UsageStore},
    },
    layer::{Next, Rule},
    proto, status,
};
use http::{Request, Response};
use std::{convert::Infallible, sync::Arc};
use tonic::body::Body;

/// Rejects calls that exceed the limits of their client. A call counts as in
/// flight until its response has been sent or dropped.
#[derive(Debug)]
pub struct LimitCalls {
    usage_store: Option<UsageStore>,
    tenant_calls: TenantCalls,
    drain: Drain,
    max_calls: usize,
}

impl LimitCalls {
    /// Counts in this store; without one, nothing is limited. `drain` knows how many
    /// of `max_calls` calls are running.
    pub fn new(usage_store: Option<UsageStore>, drain: Drain, max_calls: usize) -> Self {
        LimitCalls {
            usage_store,
            tenant_calls: TenantCalls::default(),
            drain,
            max_calls,
        }
    }
}

impl Rule<Request<Body>> for LimitCalls {
    type Inner = Request<Body>;
    type Response = Response<Body>;
    type Error = Infallible;

    async fn call(
        &self,
        mut request: Request<Body>,
        mut next: impl Next<Request<Body>, Response<Body>, Infallible>,
    ) -> Result<Response<Body>, Infallible> {
        let identity = request.extensions().get::<Arc<Identity>>().cloned();
        let (Some(usage_store), Some(identity)) = (&self.usage_store, identity) else {
            return next.run(request).await;
        };
        let free = self.max_calls.saturating_sub(self.drain.running());
        let Some(of_tenant) = self.tenant_calls.begin(&identity, free) else {
            return Ok(status::overloaded_by_tenant().into_http());
        };
        let limits = &identity.limits;
        let is_limited = limits.requests_per_minute.is_some() || limits.calls_in_flight.is_some();
        let is_by_item = proto::method(request.uri().path()) == Some(proto::PROCESS_ITEMS);
        let of_client = match is_limited {
            false => None,
            true if is_by_item => {
                let limits = ItemLimits::new(usage_store.clone(), identity);
                request.extensions_mut().insert(limits);
                None
            }
            true => match Box::pin(usage_store.reserve_call(&identity)).await {
                Ok(reservation) => Some(CallInFlight::from(reservation)),
                Err(refused) => return Ok(status::denied(&refused).into_http()),
            },
        };
        let response = next.run(request).await?;
        Ok(until_sent(response, (of_tenant, of_client)))
    }
}
