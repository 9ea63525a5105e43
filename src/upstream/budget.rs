//! The limits on tokens and dollars of each client.
//!
//! Outermost: each caller is charged for its own calls, also for an answer that
//! several share.

use super::{Attempts, Body, Call, EventStream, Payload, Reply, UpstreamError};
use crate::{
    access::{
        Access, ClientLimits, Identity, Refusals,
        limits::{Ledger, Receipt, Refused},
    },
    claude::{
        answer::Usage,
        event::{Delta, StreamEvent},
    },
    layer::{Next, Rule, RuleLayer, rule},
};
use futures::StreamExt;
use std::sync::Arc;

/// Until the API has counted, so many bytes of an answer are a token.
const BYTES_PER_TOKEN: u64 = 4;

/// Charges each call to its caller: by the estimate before it goes, by its
/// usage when it ends, however it ends.
#[derive(Debug)]
pub struct ChargeBudget {
    ledger: Ledger,
    refusals: Refusals,
}

impl ChargeBudget {
    /// Charges where `access` keeps what clients use; counts what is refused for
    /// its model.
    pub fn of(access: &Access) -> RuleLayer<Self> {
        rule(ChargeBudget {
            ledger: access.ledger().clone(),
            refusals: access.refusals().clone(),
        })
    }
}

impl Rule<Call> for ChargeBudget {
    type Inner = Call;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        call: Call,
        mut next: impl Next<Call, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let Some(caller) = call.caller.clone() else {
            return next.run(call).await;
        };
        let names_model = !matches!(call.payload, Payload::Models(_));
        if names_model && let Err(cause) = caller.may_ask(&call.model) {
            self.refusals.count(cause);
            return Err(UpstreamError::Refused(Refused::NotAllowed(cause)));
        }
        let is_charged = matches!(call.payload, Payload::Messages { .. });
        if !is_charged || !limits_tokens(&caller.limits) {
            return next.run(call).await;
        }
        let mut running = Running::begin(&self.ledger, &caller, &call).await?;
        match next.run(call).await {
            Ok(reply) => Ok(running.watch(reply)),
            Err(error) => {
                running.failed(&error);
                Err(error)
            }
        }
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
        ledger: &Ledger,
        caller: &Arc<Identity>,
        call: &Call,
    ) -> Result<Self, UpstreamError> {
        let estimated = Usage {
            input_tokens: Some(u64::from(call.input_tokens)),
            output_tokens: Some(u64::from(call.max_tokens)),
            ..Usage::default()
        };
        let charged = ledger.take_usage(caller, &call.model, &estimated).await;
        let receipt = charged.map_err(UpstreamError::Refused)?;
        Ok(Running {
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

    /// What the call has used; `None` for nothing.
    fn used(&self) -> Option<Usage> {
        let never_sent = self.usage.is_none() && self.attempts.count() == 0;
        if self.is_free || never_sent {
            return None;
        }
        let mut usage = self.usage.clone().unwrap_or_else(|| Usage {
            input_tokens: Some(self.estimated_input),
            ..Usage::default()
        });
        let uncounted = self.uncounted_bytes.div_ceil(BYTES_PER_TOKEN);
        let output = usage.output_tokens.unwrap_or(0);
        usage.output_tokens = Some(output.saturating_add(uncounted));
        Some(usage)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.receipt.settle(&self.model, self.used().as_ref());
    }
}
