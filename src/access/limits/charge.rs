//! The limits on tokens and dollars: on the way up, where model and usage are
//! known.

use super::{
    ledger::{Ledger, Receipt},
    meter::Use,
    reached::Refused,
};
use crate::{
    access::{ClientLimits, Identity, Refusals},
    claude::{
        answer::Usage,
        event::{Delta, StreamEvent},
    },
    upstream::{Attempts, Body, Call, EventStream, Payload, Reply, UpstreamError},
};
use futures::{StreamExt, future::BoxFuture};
use std::{
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service, ServiceExt};

/// Until the API has counted, so many bytes of an answer are a token.
const BYTES_PER_TOKEN: u64 = 4;

/// The layer that makes [`Charge`].
#[derive(Debug, Clone)]
pub struct ChargeLayer {
    ledger: Ledger,
    refusals: Refusals,
}

impl ChargeLayer {
    /// Charges in `ledger`; counts what is refused for its model.
    pub fn new(ledger: Ledger, refusals: Refusals) -> Self {
        ChargeLayer { ledger, refusals }
    }
}

impl<S> Layer<S> for ChargeLayer {
    type Service = Charge<S>;

    fn layer(&self, inner: S) -> Charge<S> {
        Charge {
            inner,
            layer: self.clone(),
        }
    }
}

/// Charges each call to its caller: by the estimate before it goes, by its
/// usage when it ends, however it ends.
#[derive(Debug, Clone)]
pub struct Charge<S> {
    inner: S,
    layer: ChargeLayer,
}

// === impl Charge ===

impl<S> Service<Call> for Charge<S>
where
    S: Service<Call, Response = Reply, Error = UpstreamError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<Reply, UpstreamError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Some(caller) = call.caller.clone() else {
            return Box::pin(self.inner.call(call));
        };
        let names_model = !matches!(call.payload, Payload::Models(_));
        if names_model && let Err(cause) = caller.may_ask(&call.model) {
            self.layer.refusals.count(cause);
            let refused = UpstreamError::Refused(Refused::NotAllowed(cause));
            return Box::pin(std::future::ready(Err(refused)));
        }
        let is_charged = matches!(call.payload, Payload::Messages { .. });
        if !is_charged || !limits_tokens(&caller.limits) {
            return Box::pin(self.inner.call(call));
        }
        // The one that is ready goes, a clone stays.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let ledger = self.layer.ledger.clone();
        Box::pin(async move {
            let mut running = Running::begin(ledger, &caller, &call).await?;
            match inner.oneshot(call).await {
                Ok(reply) => Ok(running.watch(reply)),
                Err(error) => {
                    running.failed(&error);
                    Err(error)
                }
            }
        })
    }
}

fn limits_tokens(limits: &ClientLimits) -> bool {
    let calls_alone = ClientLimits {
        requests_per_minute: limits.requests_per_minute,
        calls_in_flight: limits.calls_in_flight,
        ..ClientLimits::default()
    };
    *limits != calls_alone
}

/// A call that was charged. Dropped, it corrects the charge.
struct Running {
    ledger: Ledger,
    receipt: Receipt,
    model: Arc<str>,
    attempts: Attempts,
    estimated_input: u64,
    /// What the API has counted so far.
    usage: Option<Usage>,
    /// Bytes of the answer that came since.
    uncounted_bytes: u64,
    /// The API has refused it: that costs nothing.
    is_free: bool,
}

impl Running {
    async fn begin(
        ledger: Ledger,
        caller: &Arc<Identity>,
        call: &Call,
    ) -> Result<Self, UpstreamError> {
        let estimated = Usage {
            input_tokens: Some(u64::from(call.input_tokens)),
            output_tokens: Some(u64::from(call.max_tokens)),
            ..Usage::default()
        };
        let ask = used(&ledger, &call.model, &estimated);
        let charged = ledger.take(caller, ask).await;
        let receipt = charged.map_err(UpstreamError::Refused)?;
        Ok(Running {
            ledger,
            receipt,
            model: Arc::clone(&call.model),
            attempts: call.attempts.clone(),
            estimated_input: u64::from(call.input_tokens),
            usage: None,
            uncounted_bytes: 0,
            is_free: false,
        })
    }

    /// Takes the usage from the reply, or goes along with its events.
    fn watch(mut self, reply: Reply) -> Reply {
        let body = match reply.body {
            Body::Message(message) => {
                self.usage = Some(message.usage.clone());
                Body::Message(message)
            }
            Body::Events(events) => {
                Body::Events(EventStream::new(events.inspect(move |event| match event {
                    Ok(event) => self.see(event),
                    Err(error) => self.failed(error),
                })))
            }
            other => other,
        };
        Reply { body, ..reply }
    }

    fn see(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::MessageStart(message) => self.usage = Some(message.usage.clone()),
            StreamEvent::BlockDelta { delta, .. } => {
                let bytes = match delta {
                    Delta::Text(text) | Delta::InputJson(text) | Delta::Thinking(text) => {
                        text.len() as u64
                    }
                    _ => 0,
                };
                self.uncounted_bytes += bytes;
            }
            StreamEvent::MessageDelta(delta) => {
                let usage = self.usage.get_or_insert_default();
                usage.update(delta.usage.clone());
                self.uncounted_bytes = 0;
            }
            _ => {}
        }
    }

    fn failed(&mut self, error: &UpstreamError) {
        // Whatever else went wrong, the API may have worked on it.
        let refused = matches!(error, UpstreamError::Api(_) | UpstreamError::Connect);
        self.is_free = refused && self.usage.is_none();
    }

    fn used(&self) -> Use {
        let never_sent = self.usage.is_none() && self.attempts.count() == 0;
        if self.is_free || never_sent {
            return Use::default();
        }
        let mut usage = self.usage.clone().unwrap_or_else(|| Usage {
            input_tokens: Some(self.estimated_input),
            ..Usage::default()
        });
        let uncounted = self.uncounted_bytes.div_ceil(BYTES_PER_TOKEN);
        let output = usage.output_tokens.unwrap_or(0);
        usage.output_tokens = Some(output.saturating_add(uncounted));
        used(&self.ledger, &self.model, &usage)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.receipt.correct(&self.used());
    }
}

fn used(ledger: &Ledger, model: &str, usage: &Usage) -> Use {
    Use {
        input: usage.total_input_tokens(),
        output: usage.output_tokens.unwrap_or(0),
        nanodollars: ledger.cost(model, usage),
        ..Use::default()
    }
}
