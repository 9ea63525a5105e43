//! Retries failed attempts: `tower`'s retry layer with the API's rules.
//!
//! Above key selection and the concurrency limit: each attempt selects a key
//! again, and no permit is held during a backoff. Nothing of a response is sent
//! to the caller before an attempt returns `Ok`, so the caller never sees a
//! repeated attempt.

use super::{Call, Reply, RetryConfig, UpstreamError};
use futures::future::BoxFuture;
use rand::Rng;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tower::retry::{
    Policy,
    budget::{Budget, TpsBudget},
};

/// How long a success counts for the retry budget.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// How often a call is repeated after content of an answer came: what came is
/// paid for, and nobody gets it.
const MAX_REPEATS_AFTER_CONTENT: usize = 1;

/// How soon a connection breaks that was closed before it was used.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Minimum time for an attempt: one that would begin later is not made.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(20);

/// Which attempts are retried, how often and when. Cloned for each call, which
/// counts its retries in its clone; the budget is shared.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    config: Arc<RetryConfig>,
    budget: Arc<TpsBudget>,
    retries: u32,
}

/// Whether a failed attempt may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RetryDecision {
    No,
    /// After our own backoff.
    Backoff,
    /// After the time that the API asks for.
    After(Duration),
}

impl RetryPolicy {
    /// A policy with its own budget.
    pub fn new(config: &RetryConfig) -> Self {
        RetryPolicy {
            config: Arc::new(config.clone()),
            budget: Arc::new(TpsBudget::new(
                BUDGET_WINDOW,
                config.min_retries_per_second,
                config.budget_ratio,
            )),
            retries: 0,
        }
    }

    /// The delay before the next attempt, if there is one.
    fn delay(&self, call: &Call, error: &UpstreamError) -> Option<Duration> {
        let is_paid_twice = call.attempts.with_content() > MAX_REPEATS_AFTER_CONTENT;
        if self.retries >= self.config.max_retries || is_paid_twice {
            return None;
        }
        if call.payload.creates() && !error.was_not_processed() {
            return None;
        }
        let moves_on = error.is_of_host() && call.attempts.with_content() == 0;
        if moves_on
            && call
                .alternative
                .is_some_and(|asked| !is_idle_close(asked, error))
        {
            return None;
        }
        let delay = match classify(error) {
            RetryDecision::No => return None,
            RetryDecision::Backoff => self.backoff(),
            RetryDecision::After(delay) if delay <= self.config.max_retry_after => jitter(delay),
            RetryDecision::After(_) => return None,
        };
        (delay + SHORTEST_ATTEMPT <= call.deadline.remaining()).then_some(delay)
    }

    /// Whether a retry takes nothing from the budget. A connection that breaks is
    /// one failure, however many calls it takes down: one of them pays for all,
    /// but only for the first retry of each, so that an API that breaks every
    /// connection is not asked without end.
    fn is_paid_for(&self, error: &UpstreamError) -> bool {
        self.retries == 0 && matches!(error, UpstreamError::BrokenWithOthers)
    }

    /// Full jitter: uniform between 0 and a bound that doubles.
    fn backoff(&self) -> Duration {
        let doubled = self
            .config
            .initial_backoff
            .saturating_mul(2_u32.saturating_pow(self.retries));
        doubled
            .min(self.config.max_backoff)
            .mul_f64(rand::rng().random_range(0.0..=1.0))
    }
}

/// Never before the API's time, and up to a tenth after it: callers that were
/// rejected together do not retry together.
fn jitter(delay: Duration) -> Duration {
    delay.mul_f64(rand::rng().random_range(1.0..=1.1))
}

/// Whether an attempt failed as it does on a connection that the peer has just closed
/// because nobody used it, which says nothing about the host that was asked then.
fn is_idle_close(asked: Instant, error: &UpstreamError) -> bool {
    let is_broken = matches!(
        error,
        UpstreamError::Broken | UpstreamError::BrokenWithOthers
    );
    is_broken && asked.elapsed() < AT_ONCE
}

fn classify(error: &UpstreamError) -> RetryDecision {
    let failure = match error {
        UpstreamError::Api(failure) => failure,
        UpstreamError::Connect(_) | UpstreamError::Broken | UpstreamError::BrokenWithOthers => {
            return RetryDecision::Backoff;
        }
        // The stall already used up the read timeout: an error serves the
        // caller better than another wait.
        _ => return RetryDecision::No,
    };
    let is_account = failure.is_spend_limit() || failure.is_billing() || failure.is_disabled();
    if is_account || failure.should_retry == Some(false) {
        return RetryDecision::No;
    }
    let by_status = matches!(
        failure.status,
        408 | 409 | 429 | 500 | 502 | 503 | 504 | 529
    );
    if !by_status && failure.should_retry != Some(true) {
        return RetryDecision::No;
    }
    failure
        .retry_after
        .map_or(RetryDecision::Backoff, RetryDecision::After)
}

impl Policy<Call, Reply, UpstreamError> for RetryPolicy {
    type Future = BoxFuture<'static, ()>;

    fn retry(
        &mut self,
        call: &mut Call,
        outcome: &mut Result<Reply, UpstreamError>,
    ) -> Option<Self::Future> {
        let error = match outcome {
            Ok(_) => {
                self.budget.deposit();
                return None;
            }
            Err(error) => error,
        };
        let delay = self.delay(call, error)?;
        if !self.is_paid_for(error) && !self.budget.withdraw() {
            return None;
        }
        self.retries += 1;
        tracing::debug!(%error, ?delay, retry = self.retries, "retrying");
        Some(Box::pin(tokio::time::sleep(delay)))
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::ApiFailure;

    fn api(status: u16) -> ApiFailure {
        ApiFailure {
            status,
            ..ApiFailure::default()
        }
    }

    fn repeat_of(failure: ApiFailure) -> RetryDecision {
        classify(&UpstreamError::Api(Box::new(failure)))
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert_eq!(repeat_of(api(status)), RetryDecision::Backoff, "{status}");
        }
        for status in [400, 401, 402, 403, 404, 413, 418, 422] {
            assert_eq!(repeat_of(api(status)), RetryDecision::No, "{status}");
        }
    }

    #[test]
    fn the_api_has_the_last_word() {
        let asking = |should_retry| ApiFailure {
            should_retry: Some(should_retry),
            ..api(if should_retry { 400 } else { 529 })
        };
        assert_eq!(repeat_of(asking(true)), RetryDecision::Backoff);
        assert_eq!(repeat_of(asking(false)), RetryDecision::No);
        let spent = ApiFailure {
            code: Some(crate::upstream::SPEND_LIMIT_REACHED.to_owned()),
            should_retry: Some(true),
            ..api(429)
        };
        assert_eq!(repeat_of(spent), RetryDecision::No);
        let wait = ApiFailure {
            retry_after: Some(Duration::from_secs(2)),
            ..api(429)
        };
        assert_eq!(
            repeat_of(wait),
            RetryDecision::After(Duration::from_secs(2))
        );
    }

    #[test]
    fn the_backoff_doubles_up_to_its_bound() {
        let mut policy = RetryPolicy::new(&RetryConfig::default());
        for (retries, bound) in [
            (0, 500),
            (1, 1000),
            (2, 2000),
            (3, 4000),
            (9, 8000),
            (99, 8000),
        ] {
            policy.retries = retries;
            let longest = (0..200).map(|_| policy.backoff()).max().unwrap();
            assert!(longest <= Duration::from_millis(bound));
            assert!(
                longest > Duration::from_millis(bound / 2),
                "no jitter up to the bound"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_takes_one_retry_of_the_budget() {
        let policy = RetryPolicy::new(&RetryConfig {
            min_retries_per_second: 0,
            budget_ratio: 0.2,
            ..RetryConfig::default()
        });
        for _ in 0..5 {
            policy.budget.deposit();
        }
        let is_retried = |policy: &RetryPolicy, error: UpstreamError| {
            let mut policy = policy.clone();
            let retried = policy.retry(&mut Call::for_tests(), &mut Err(error));
            retried.is_some().then_some(policy)
        };
        assert!(is_retried(&policy, UpstreamError::Broken).is_some());
        for _ in 0..200 {
            let once = is_retried(&policy, UpstreamError::BrokenWithOthers);
            let once = once.expect("the first one has paid for it");
            assert!(is_retried(&once, UpstreamError::BrokenWithOthers).is_none());
        }
        assert!(is_retried(&policy, UpstreamError::Broken).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_keeps_retries_a_share_of_the_calls() {
        let policy = RetryPolicy::new(&RetryConfig {
            min_retries_per_second: 0,
            budget_ratio: 0.2,
            ..RetryConfig::default()
        });
        for _ in 0..100 {
            policy.budget.deposit();
        }
        let granted = (0..1000).filter(|_| policy.budget.withdraw()).count();
        assert_eq!(granted, 20);
    }
}
