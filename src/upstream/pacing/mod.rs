//! Paces calls until the API's own limits have room for them.
//!
//! The headers of every response report what is left. Instead of being sent and
//! rejected, a call waits here until it fits; a call that cannot fit before its
//! deadline is rejected at once.
//!
//! A host that reports nothing is paced by the limits of the configuration, if there are
//! any: they are what is known until a response says more.
//!
//! Each process has its own rate limiter, and learns from the headers what
//! others use. With a shared store, all replicas share one (`shared`), and keep
//! the API's limits together.
//!
//! Below key selection, since each key has limits of its own, and above the
//! concurrency limit: a call that waits for the API's limits holds no permit.

mod answer_times;
mod assumed;
mod bucket;
mod buckets;
mod cold_start;
mod config;
mod demand;
mod queue;
mod queue_position;
mod quota;
mod rank;
mod rate_limiter;
mod rejections;
mod reservation;
mod shared;
mod state;

pub use assumed::AssumedLimits;
pub use bucket::Cost;
pub use config::{HostRateLimits, ModelRateLimits};
pub use quota::{Quota, QuotaRemaining};
pub use rank::Rank;
pub use rate_limiter::RateLimiter;

use super::{
    Call, Payload, Reply, RequestShape, UpstreamError, attempt::Attempt, usage_meter::UsageMeter,
};
use crate::{
    layer::{Next, Rule},
    models::Tokens,
};
use reservation::QuotaReservation;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Maximum time for which a `retry-after` holds back calls of the same shape: the
/// API's buckets are full after a minute.
const LONGEST_REJECTION: Duration = Duration::from_secs(60);

/// Lets an attempt start when the API's limits have room for it.
#[derive(Debug)]
pub struct Pace {
    rate_limiter: RateLimiter,
    enabled: bool,
}

impl Pace {
    /// Paces attempts with this rate limiter, if enabled.
    pub fn new(rate_limiter: RateLimiter, enabled: bool) -> Self {
        Pace {
            rate_limiter,
            enabled,
        }
    }
}

/// The initial cost of a call in the API's buckets.
pub fn cost(call: &Call) -> Cost {
    Cost {
        requests: 1.0,
        input_tokens: f64::from(call.input_tokens),
        output_tokens: f64::from(call.max_tokens),
    }
}

/// What decides when a call has its turn.
pub fn rank(call: &Call) -> Rank<'_> {
    Rank {
        priority: call.priority,
        holder: &call.holder,
        weight: call.weight(),
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
        // Token counting and the list of models have limits of their own, which
        // no header reports.
        let is_message = matches!(attempt.call.payload, Payload::Messages { .. });
        if !(self.enabled && is_message) {
            return next.run(attempt).await;
        }
        let call = &attempt.call;
        let shape = call.shape;
        let quota = self.rate_limiter.quota(&attempt.key, &call.model, shape);
        let reservation = admitted(&quota, call).await?;
        attempt.rate_limit_observer = reservation.rate_limit_observer();
        let reservation = MeteredReservation {
            reservation,
            meter: attempt.meter.clone(),
        };
        settled(next.run(attempt).await, reservation, shape)
    }
}

/// Waits until the API accepts calls of this shape, and then for its turn. A call
/// that the API would reject waits outside the queue, where it holds up nobody.
async fn admitted(quota: &Arc<Quota>, call: &Call) -> Result<QuotaReservation, UpstreamError> {
    let (cost, rank, deadline) = (cost(call), rank(call), call.waits_until());
    let exhausted = |retry_after| UpstreamError::QuotaExhausted { retry_after };
    loop {
        let blocked = quota.blocked_for(call.shape);
        if !blocked.is_zero() {
            if !quota.leaves_time(cost, blocked, deadline) {
                return Err(exhausted(blocked));
            }
            sleep(blocked).await;
        }
        let admitted = match quota.shared() {
            None => {
                let admitted = quota.admit(cost, rank, deadline).await;
                Some(admitted.map_err(exhausted)?)
            }
            Some(shared) => {
                let admitted = shared::admit(quota, shared, cost, rank, deadline, call.shape);
                // Boxed, so that the future of a call without a shared store is
                // no larger.
                Box::pin(admitted).await?
            }
        };
        match admitted {
            // The API has rejected such a call in the meantime.
            Some(mut reservation) if !quota.blocked_for(call.shape).is_zero() => {
                reservation.refund();
            }
            Some(reservation) => return Ok(reservation),
            None => {}
        }
    }
}

fn settled(
    outcome: Result<Reply, UpstreamError>,
    mut metered: MeteredReservation,
    shape: RequestShape,
) -> Result<Reply, UpstreamError> {
    let reservation = &mut metered.reservation;
    match outcome {
        Ok(mut reply) => {
            reservation.answered();
            reply.body.hold(metered);
            Ok(reply)
        }
        Err(error) => {
            match &error {
                UpstreamError::Api(failure) if failure.status == 429 => {
                    let wait = failure.retry_after.unwrap_or(Duration::ZERO);
                    reservation.refused(shape, Instant::now() + wait.min(LONGEST_REJECTION));
                }
                _ => reservation.refund(),
            }
            Err(error)
        }
    }
}

/// The reservation of an attempt, settled by what the API says it has used when
/// the attempt ends or is dropped.
struct MeteredReservation {
    reservation: QuotaReservation,
    meter: UsageMeter,
}

impl Drop for MeteredReservation {
    fn drop(&mut self) {
        if let Some(tokens) = self.meter.usage() {
            self.reservation.uses(used(&tokens));
        }
    }
}

/// What the API counts for a call: cache reads are free.
fn used(tokens: &Tokens) -> Cost {
    Cost {
        requests: 1.0,
        input_tokens: tokens.input.saturating_add(tokens.cache_write()) as f64,
        output_tokens: tokens.output as f64,
    }
}
