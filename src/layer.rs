//! A tower layer as one function.
//!
//! A layer of this crate is its [`Rule`]: what happens to a request on its way
//! to the inner service, and to the response on its way back. [`rule()`] turns
//! a rule into a tower layer, with one `Service` implementation that all of
//! them share.
//!
//! A service with a rule is always ready: whatever waits (for a permit, a rate
//! limit, readiness of the inner service) waits within the call, where its
//! caller's deadline is known and where hanging up drops it.

use futures::future::BoxFuture;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

/// What a layer does with a request.
pub trait Rule<Request>: Send + Sync + 'static {
    /// The request type of the inner service.
    type Inner: Send;
    /// The response type, of the inner service and of this layer.
    type Response: Send;
    /// The error type, of the inner service and of this layer.
    type Error: Send;

    /// Handles one request. `next` is the inner service; a rule that does not
    /// call it responds by itself.
    fn call(
        &self,
        request: Request,
        next: impl Next<Self::Inner, Self::Response, Self::Error>,
    ) -> impl Future<Output = Result<Self::Response, Self::Error>> + Send;
}

/// The inner service, as the rule sees it.
pub trait Next<Request, Response, Error>: Clone + Send + Sync + 'static {
    /// Passes a request on to the inner service.
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

/// Turns a rule into a tower layer.
pub fn rule<R>(rule: R) -> RuleLayer<R> {
    RuleLayer(Arc::new(rule))
}

/// A rule as a tower layer; the services that it creates share the rule.
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

/// A service with a rule. Cloning costs one reference count, however deep the
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
