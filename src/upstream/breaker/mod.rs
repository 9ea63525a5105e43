//! The circuit breaker: while the API fails, calls fail immediately.
//!
//! It is above the retries and so counts calls, not attempts. Partial failures
//! of the API are handled by the retries: when one attempt in nine fails, one
//! call in several thousand fails, and five in a row never occur by chance,
//! while attempts would open the breaker every few seconds. When the API is
//! down, calls fail as well, and quickly, since the retry budget is soon
//! exhausted.
//!
//! Only errors that indicate the API's health count as failures: no connection,
//! a broken or stalled one, 408, 5xx and 529 after all retries. What the caller
//! or our own limits caused (4xx, 429, a deadline, no permit) counts neither as
//! a success nor as a failure.

mod window;

use super::{BreakerConfig, Call, Reply, UpstreamError};
use crate::layer::{Next, Rule};
use parking_lot::{Mutex, MutexGuard};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use window::Window;

/// The breaker, shared by the layer and anyone who reads its state. Cloning is
/// cheap.
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    config: Arc<BreakerConfig>,
    inner: Arc<Mutex<Inner>>,
}

/// Whether calls are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls are let through.
    Closed,
    /// Calls fail immediately.
    Open,
    /// One call is let through as a probe.
    HalfOpen,
}

#[derive(Debug)]
struct Inner {
    state: State,
    consecutive: u32,
    window: Window,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// What an outcome says about the API's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Healthy,
    Failing,
    Nothing,
}

// === impl CircuitBreaker ===

impl CircuitBreaker {
    /// A breaker that is closed at first.
    pub fn new(config: &BreakerConfig) -> Self {
        CircuitBreaker {
            config: Arc::new(config.clone()),
            inner: Arc::new(Mutex::new(Inner {
                state: State::Closed,
                consecutive: 0,
                window: Window::new(config.window),
            })),
        }
    }

    /// The current state.
    pub fn state(&self) -> CircuitState {
        match self.lock().state {
            State::Closed => CircuitState::Closed,
            State::Open { until } if Instant::now() < until => CircuitState::Open,
            State::Open { .. } | State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Lets a call through, or returns when to retry.
    fn admit(&self) -> Result<BreakerPermit, Duration> {
        let mut inner = self.lock();
        let is_probe = match inner.state {
            State::Closed => false,
            State::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
                true
            }
            // The probe is still running, so its outcome is not known.
            State::HalfOpen { probing: true } => return Err(Duration::from_secs(1)),
            State::HalfOpen { probing: false } => true,
        };
        if is_probe {
            inner.state = State::HalfOpen { probing: true };
        }
        Ok(BreakerPermit {
            breaker: self.clone(),
            is_probe,
            is_recorded: false,
        })
    }

    fn record(&self, signal: Signal, is_probe: bool) {
        let mut inner = self.lock();
        let now = Instant::now();
        match (inner.state, signal) {
            (State::HalfOpen { .. }, Signal::Healthy) if is_probe => inner.close(),
            (State::HalfOpen { .. }, Signal::Failing) if is_probe => self.open(&mut inner, now),
            (State::HalfOpen { .. }, Signal::Nothing) if is_probe => {
                inner.state = State::HalfOpen { probing: false };
            }
            (State::Closed, Signal::Healthy) => {
                inner.consecutive = 0;
                inner.window.count(now, false);
            }
            (State::Closed, Signal::Failing) => {
                inner.consecutive += 1;
                inner.window.count(now, true);
                let (calls, failures) = inner.window.totals();
                let too_many = calls >= self.config.min_calls
                    && f64::from(failures) >= f64::from(calls) * self.config.failure_rate;
                if inner.consecutive >= self.config.consecutive_failures || too_many {
                    self.open(&mut inner, now);
                }
            }
            // A call from before the breaker opened says nothing new.
            _ => {}
        }
    }

    fn open(&self, inner: &mut Inner, now: Instant) {
        tracing::error!(open_duration = ?self.config.open_duration, "the Claude API is failing, opening the circuit breaker");
        inner.state = State::Open {
            until: now + self.config.open_duration,
        };
    }
}

impl Inner {
    fn close(&mut self) {
        tracing::info!("the Claude API has recovered, closing the circuit breaker");
        self.state = State::Closed;
        self.consecutive = 0;
        self.window.clear();
    }
}

/// Permission for one call. Dropped without an outcome, it counts neither way.
#[derive(Debug)]
struct BreakerPermit {
    breaker: CircuitBreaker,
    is_probe: bool,
    is_recorded: bool,
}

impl BreakerPermit {
    fn outcome(mut self, outcome: &Result<Reply, UpstreamError>) {
        self.is_recorded = true;
        let signal = match outcome {
            Ok(_) => Signal::Healthy,
            Err(error) => signal(error, self.is_probe),
        };
        self.breaker.record(signal, self.is_probe);
    }
}

impl Drop for BreakerPermit {
    fn drop(&mut self) {
        if !self.is_recorded && self.is_probe {
            self.breaker.record(Signal::Nothing, true);
        }
    }
}

fn signal(error: &UpstreamError, is_probe: bool) -> Signal {
    match error {
        UpstreamError::Connect
        | UpstreamError::Broken
        | UpstreamError::Stalled(_)
        | UpstreamError::Malformed(_) => Signal::Failing,
        UpstreamError::Api(failure) => match failure.status {
            408 | 500.. => Signal::Failing,
            // A rejection shows that the API is up, which is all that a probe
            // tests.
            _ if is_probe => Signal::Healthy,
            _ => Signal::Nothing,
        },
        _ => Signal::Nothing,
    }
}

/// Lets calls through while the breaker is closed.
impl Rule<Call> for CircuitBreaker {
    type Inner = Call;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        call: Call,
        mut next: impl Next<Call, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let permit = self
            .admit()
            .map_err(|retry_after| UpstreamError::CircuitOpen { retry_after })?;
        let outcome = next.run(call).await;
        permit.outcome(&outcome);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::ApiFailure;

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(&BreakerConfig::default())
    }

    fn fails(breaker: &CircuitBreaker, error: &UpstreamError) {
        let permit = breaker.admit().expect("it is closed or half open");
        permit.outcome(&Err(error.clone()));
    }

    fn api(status: u16) -> UpstreamError {
        UpstreamError::Api(Box::new(ApiFailure {
            status,
            ..ApiFailure::default()
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_for_a_minute() {
        let breaker = breaker();
        for _ in 0..5 {
            assert_eq!(breaker.state(), CircuitState::Closed);
            fails(&breaker, &api(529));
        }
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.admit().err(), Some(Duration::from_secs(60)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
    }

    #[tokio::test(start_paused = true)]
    async fn half_open_lets_one_probe_through() {
        let breaker = breaker();
        (0..5).for_each(|_| fails(&breaker, &UpstreamError::Connect));
        tokio::time::advance(Duration::from_secs(60)).await;
        let probe = breaker.admit().expect("a probe");
        assert!(breaker.admit().is_err(), "a second probe");
        // The caller hung up: the next call may probe.
        drop(probe);
        fails(&breaker, &UpstreamError::Connect);
        assert_eq!(breaker.state(), CircuitState::Open);
        tokio::time::advance(Duration::from_secs(60)).await;
        // A rejection shows that the API is up.
        fails(&breaker, &api(400));
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn the_callers_and_our_own_failures_do_not_count() {
        let breaker = breaker();
        for _ in 0..100 {
            fails(&breaker, &api(400));
            fails(&breaker, &api(429));
            fails(&breaker, &UpstreamError::DeadlineExceeded("in a test"));
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_high_rate_opens_it_and_old_failures_are_forgotten() {
        let breaker = breaker();
        let succeeds = || breaker.record(Signal::Healthy, false);
        for _ in 0..9 {
            fails(&breaker, &api(500));
            succeeds();
        }
        tokio::time::advance(Duration::from_secs(31)).await;
        fails(&breaker, &api(500));
        assert_eq!(
            breaker.state(),
            CircuitState::Closed,
            "too few calls lately"
        );
        for _ in 0..10 {
            succeeds();
            fails(&breaker, &api(500));
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}
