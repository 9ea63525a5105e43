//! The limits on tokens and dollars of each client.
//!
//! Outermost: each client pays for its own calls, even if several share a
//! response.

use super::{Attempts, Body, Call, Payload, Reply, UpstreamError, reply::AnswerUsage};
use crate::{
    access::{
        Access, ClientLimits, Identity, Refusals,
        limits::{AccessError, UsageReservation, UsageStore},
    },
    claude::answer::Usage,
    layer::{Next, Rule, RuleLayer, rule},
};
use std::sync::Arc;

/// Reserves the estimated usage of each call before it is sent, and settles it
/// by the actual usage when it ends, however it ends.
#[derive(Debug)]
pub struct ChargeBudget {
    usage_store: UsageStore,
    refusals: Refusals,
}

impl ChargeBudget {
    /// Reserves in the usage store of `access`; counts calls that are rejected
    /// because of their model.
    pub fn of(access: &Access) -> RuleLayer<Self> {
        rule(ChargeBudget {
            usage_store: access.usage_store().clone(),
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
            return Err(UpstreamError::AccessDenied(AccessError::NotAllowed(cause)));
        }
        let is_charged = matches!(call.payload, Payload::Messages { .. });
        if !is_charged || !limits_tokens(&caller.limits) {
            return next.run(call).await;
        }
        let charged = ChargedCall::begin(&self.usage_store, &caller, &call).await?;
        let mut outcome = next.run(call).await;
        match &mut outcome {
            Ok(reply) => charged.answered(&mut reply.body),
            Err(error) => charged.failed(error),
        }
        outcome
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

/// A call with a reservation, which is settled on drop.
struct ChargedCall {
    reservation: UsageReservation,
    model: Arc<str>,
    attempts: Attempts,
    estimated_input: u64,
    answer: Option<AnswerUsage>,
    /// The API rejected the call, so it costs nothing.
    is_free: bool,
}

impl ChargedCall {
    async fn begin(
        usage_store: &UsageStore,
        caller: &Arc<Identity>,
        call: &Call,
    ) -> Result<Self, UpstreamError> {
        let estimated = Usage {
            input_tokens: Some(u64::from(call.input_tokens)),
            output_tokens: Some(u64::from(call.max_tokens)),
            ..Usage::default()
        };
        let charged = usage_store
            .reserve_usage(caller, &call.model, &estimated)
            .await;
        let reservation = charged.map_err(UpstreamError::AccessDenied)?;
        Ok(ChargedCall {
            reservation,
            model: Arc::clone(&call.model),
            attempts: call.attempts.clone(),
            estimated_input: u64::from(call.input_tokens),
            answer: None,
            is_free: false,
        })
    }

    /// The call succeeded: its usage counts, for a stream when it ends.
    fn answered(mut self, body: &mut Body) {
        self.answer = match body {
            Body::Message(message) => Some(AnswerUsage::Whole(message.usage.clone())),
            Body::Events(events) => Some(AnswerUsage::Streamed(events.meter().clone())),
            _ => None,
        };
        if let Body::Events(events) = body {
            events.hold(self);
        }
    }

    /// The call failed. Unless the API rejected it, it may have been processed.
    fn failed(mut self, error: &UpstreamError) {
        self.is_free = matches!(error, UpstreamError::Api(_) | UpstreamError::Connect);
    }

    /// The usage of the call; `None` if it costs nothing.
    fn used(&self) -> Option<Usage> {
        let answered = self.answer.as_ref().and_then(AnswerUsage::so_far);
        let never_sent = answered.is_none() && self.attempts.count() == 0;
        if self.is_free || never_sent {
            return None;
        }
        Some(answered.unwrap_or_else(|| Usage {
            input_tokens: Some(self.estimated_input),
            ..Usage::default()
        }))
    }
}

impl Drop for ChargedCall {
    fn drop(&mut self) {
        self.reservation.settle(&self.model, self.used().as_ref());
    }
}
