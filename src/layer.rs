//! A tower layer as one function.
//!
//! A layer of ours is its [`Rule`]: what happens to a request on its way to the
//! service below, and to the response on its way back. [`rule()`] makes a tower
//! layer of a rule, with the one `Service` implementation that all of them
//! share.
//!
//! A service under a rule is always ready: whatever waits (for a permit, a
//! rate limit, readiness below) waits within the call, where its caller's
//! deadline is known and where hanging up drops it.

use futures::future::BoxFuture;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// What a layer does.
pub trait Rule<Request>: Send + Sync + 'static {
    /// What the service below accepts.
    type Inner: Send;
    /// What comes back, from below and from here.
    type Response: Send;
    /// Why nothing comes back.
    type Error: Send;

    /// Handles one request. `next` is the service below; a rule that does not
    /// call it answers by itself.
    fn call(
        &self,
        request: Request,
        next: impl Next<Self::Inner, Self::Response, Self::Error>,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;
}

/// The service below a rule, as the rule sees it.
pub trait Next<Request, Response, Error>: Clone + Send + Sync + 'static {
    /// Passes a request on.
    fn run(&mut self, request: Request) -> impl Future<Output = Result<Response, Error>> + Send;
}

impl<S, Request> Next<Request, S::Response, S::Error> for S
where
    S: Service<Request, Future: Send> + Clone + Send + Sync + 'static,
    Request: Send,
{
    async fn run(&mut self, request: Request) -> Result<S::Response, S::Error> {
        poll_fn(|cx| self.poll_ready(cx)).await?;
        self.call(request).await
    }
}

/// The tower layer of a rule.
pub fn rule<R>(rule: R) -> RuleLayer<R> {
    RuleLayer(Arc::new(rule))
}

/// A rule as a tower layer; the services that it makes share the rule.
#[derive(Debug)]
pub struct RuleLayer<R>(Arc<R>);

impl<R> Clone for RuleLayer<R> {
    fn clone(&self) -> Self {
        RuleLayer(Arc::clone(&self.0))
    }
}

impl<R, S> Layer<S> for RuleLayer<R> {
    type Service = Ruled<R, S>;

    fn layer(&self, next: S) -> Ruled<R, S> {
        Ruled(Arc::new((Arc::clone(&self.0), next)))
    }
}

/// A service under a rule. Cloning costs one reference count, however deep the
/// stack below is.
#[derive(Debug)]
pub struct Ruled<R, S>(Arc<(Arc<R>, S)>);

impl<R, S> Clone for Ruled<R, S> {
    fn clone(&self) -> Self {
        Ruled(Arc::clone(&self.0))
    }
}

impl<R, S, Request> Service<Request> for Ruled<R, S>
where
    R: Rule<Request>,
    S: Next<R::Inner, R::Response, R::Error>,
    Request: Send + 'static,
{
    type Response = R::Response;
    type Error = R::Error;
    type Future = BoxFuture<'static, Result<R::Response, R::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), R::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let (rule, next) = &*shared;
            rule.call(request, next.clone()).await
        })
    }
}
