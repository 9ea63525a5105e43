//! Holds calls back until the API's own limits have room for them.
//!
//! The headers of every answer tell what is left. Instead of sending a call to
//! be refused, it waits here until it fits; a call that cannot fit before its
//! deadline is refused at once.
//!
//! Each process has its own ledger, and learns from the headers what others use.
//! With a store that replicas share, they keep one ledger together (`shared`),
//! and so the API's limits as one would.
//!
//! Below the choice of a key, since each key has limits of its own, and above
//! the permits: a call that waits for the API's limits holds no permit.

mod account;
mod bucket;
mod buckets;
mod charge;
mod demand;
mod ledger;
mod place;
mod queue;
mod shared;
mod state;

pub use account::{Account, Remaining};
pub use bucket::Cost;
pub use ledger::Ledger;

use super::{Body, Call, Payload, Reply, UpstreamError, attempt::Attempt, usage_meter::UsageMeter};
use crate::{
    claude::answer::Usage,
    layer::{Next, Rule},
};
use charge::Charge;
use std::time::Duration;
use tokio::time::Instant;

/// Lets an attempt begin when the API's limits have room for it.
#[derive(Debug)]
pub struct Pace {
    ledger: Ledger,
    enabled: bool,
}

impl Pace {
    /// Attempts are paced by this ledger, if enabled.
    pub fn new(ledger: Ledger, enabled: bool) -> Self {
        Pace { ledger, enabled }
    }
}

/// What a call takes from the API's buckets at its beginning.
pub fn cost(call: &Call) -> Cost {
    Cost {
        requests: 1.0,
        input_tokens: f64::from(call.input_tokens),
        output_tokens: f64::from(call.max_tokens),
    }
}

impl Rule<Attempt> for Pace {
    type Inner = Attempt;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        mut attempt: Attempt,
        mut next: impl Next<Attempt, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        // Counting tokens and the catalogue have limits of their own, which no
        // header tells.
        let is_message = matches!(attempt.call.payload, Payload::Messages { .. });
        if !(self.enabled && is_message) {
            return next.run(attempt).await;
        }
        let call = &attempt.call;
        let account = self.ledger.account(&attempt.key, &call.model);
        let (cost, priority, deadline) = (cost(call), call.priority, call.deadline);
        let charge = match account.shared() {
            None => account
                .admit(cost, priority, deadline)
                .await
                .map_err(|retry_after| UpstreamError::QuotaExhausted { retry_after })?,
            Some(shared) => {
                let admitted = shared::admit(&account, shared, cost, priority, deadline);
                // Boxed, so that a call that is paced alone is no larger for it.
                Box::pin(admitted).await?
            }
        };
        attempt.limits_seen = charge.limits_seen();
        settled(next.run(attempt).await, charge)
    }
}

fn settled(
    outcome: Result<Reply, UpstreamError>,
    mut charge: Charge,
) -> Result<Reply, UpstreamError> {
    match outcome {
        Ok(mut reply) => {
            charge.answered();
            match &mut reply.body {
                Body::Message(message) => charge.uses(used(&message.usage)),
                Body::Events(events) => {
                    let meter = events.meter().clone();
                    events.hold(StreamCharge { charge, meter });
                }
                _ => {}
            }
            Ok(reply)
        }
        Err(error) => {
            match &error {
                UpstreamError::Api(failure) if failure.status == 429 => {
                    let wait = failure.retry_after.unwrap_or(Duration::ZERO);
                    charge.refused(Instant::now() + wait.min(Duration::from_secs(60)));
                }
                _ => charge.refund(),
            }
            Err(error)
        }
    }
}

/// The charge of a stream, settled by its usage when it ends or is dropped.
struct StreamCharge {
    charge: Charge,
    meter: UsageMeter,
}

impl Drop for StreamCharge {
    fn drop(&mut self) {
        if let Some(usage) = self.meter.usage() {
            self.charge.uses(used(&usage));
        }
    }
}

/// What the API charges for a call: reading from the cache is free.
fn used(usage: &Usage) -> Cost {
    let fresh = usage.input_tokens.unwrap_or(0);
    let written = usage.cache_creation_input_tokens.unwrap_or(0);
    Cost {
        requests: 1.0,
        input_tokens: (fresh + written) as f64,
        output_tokens: usage.output_tokens.unwrap_or(0) as f64,
    }
}
