//! The limits on tokens and dollars of each client.
//!
//! Outermost: each client pays for its own calls, even if several share a
//! response.

use super::{
    Attempts, Body, Call, Payload, Reply, UpstreamError, hosts::Failover, usage_meter::UsageMeter,
};
use crate::{
    access::{
        Access, ClientLimits, Identity, Refusals,
        limits::{AccessError, AttemptedModel, UsageReservation, UsageStore},
    },
    layer::{Next, Rule, RuleLayer, rule},
    models::Tokens,
};
use std::sync::Arc;

/// Reserves the estimated usage of each call before it is sent, and settles it
/// by the actual usage when it ends, however it ends.
#[derive(Debug)]
pub struct ChargeBudget {
    usage_store: UsageStore,
    refusals: Refusals,
    /// Knows which hosts and models may serve a call.
    failover: Option<Failover>,
}

impl ChargeBudget {
    /// Reserves in the usage store of `access`, what the dearest of the hosts costs that
    /// `failover` may ask; counts calls that are rejected because of their model.
    pub fn of(access: &Access, failover: Option<Failover>) -> RuleLayer<Self> {
        rule(ChargeBudget {
            failover,
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
        // Each request of a batch is checked, and charged, when it is submitted.
        let has_model = !matches!(
            call.payload,
            Payload::Models(_) | Payload::Batches(_) | Payload::Files(_)
        );
        if has_model && let Err(cause) = caller.may_ask(&call.model) {
            self.refusals.count(cause);
            return Err(UpstreamError::AccessDenied(AccessError::NotAllowed(cause)));
        }
        let is_charged = matches!(call.payload, Payload::Messages { .. });
        if !is_charged || !limits_tokens(&caller.limits) {
            return next.run(call).await;
        }
        caller
            .may_cost(call.unpriced)
            .map_err(UpstreamError::AccessDenied)?;
        let asked = match &self.failover {
            Some(failover) if caller.limits.are_in_dollars() => failover.may_ask(&call),
            _ => Vec::new(),
        };
        let charged = ChargedCall::begin(&self.usage_store, &caller, &call, &asked).await?;
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
    /// The usage of the answer, which another call's attempts may have brought.
    answer: UsageMeter,
    /// The API rejected the last attempt, so it costs nothing.
    is_free: bool,
}

impl ChargedCall {
    async fn begin(
        usage_store: &UsageStore,
        caller: &Arc<Identity>,
        call: &Call,
        asked: &[AttemptedModel],
    ) -> Result<Self, UpstreamError> {
        let estimated = Tokens {
            input: u64::from(call.input_tokens),
            output: u64::from(call.max_tokens),
            ..Tokens::default()
        };
        let charged = usage_store
            .reserve_usage(caller, &call.model, asked, &estimated)
            .await;
        let reservation = charged.map_err(UpstreamError::AccessDenied)?;
        Ok(ChargedCall {
            reservation,
            model: Arc::clone(&call.model),
            attempts: call.attempts.clone(),
            estimated_input: u64::from(call.input_tokens),
            answer: UsageMeter::new(call.input_tokens),
            is_free: false,
        })
    }

    /// The call succeeded: its usage counts, for a stream when it ends.
    fn answered(mut self, body: &mut Body) {
        match body {
            Body::Message(message) => self.answer.report(&message.usage),
            Body::Events(events) => {
                self.answer = events.meter().clone();
                events.hold(self);
            }
            _ => {}
        }
    }

    /// The call failed. Unless the API rejected it, it may have been processed.
    fn failed(mut self, error: &UpstreamError) {
        self.is_free = matches!(
            error,
            UpstreamError::Api(_) | UpstreamError::Connect(_) | UpstreamError::NoCredentials(_)
        );
    }

    /// What the attempts of the call used, each by itself, of which model; nothing if the
    /// call costs nothing.
    fn used(&self) -> Vec<(AttemptedModel, Tokens)> {
        let used = self.attempts.usages();
        if !used.is_empty() {
            return used;
        }
        let estimated = || Tokens {
            input: self.estimated_input,
            ..Tokens::default()
        };
        let may_cost = !self.is_free && self.attempts.count() > 0;
        let used = self.answer.usage().or_else(|| may_cost.then(estimated));
        let asked = || AttemptedModel {
            id: Arc::clone(&self.model),
            named: Arc::clone(&self.model),
        };
        used.map(|tokens| (asked(), tokens)).into_iter().collect()
    }
}

impl Drop for ChargedCall {
    fn drop(&mut self) {
        self.reservation.settle(&self.used());
    }
}
