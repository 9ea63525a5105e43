//! One circuit: closed, open or half open.

use super::{
    signal::Signal,
    sources::{CallSource, FailingSources},
    window::Window,
};
use crate::upstream::BreakerConfig;
use parking_lot::{Mutex, MutexGuard};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

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

impl CircuitState {
    /// The higher, the worse.
    pub fn severity(self) -> u8 {
        match self {
            CircuitState::Closed => 0,
            CircuitState::HalfOpen => 1,
            CircuitState::Open => 2,
        }
    }
}

/// A circuit, shared by all calls to what it protects.
#[derive(Debug)]
pub struct Circuit {
    /// What it protects, for the log.
    name: Arc<str>,
    config: Arc<BreakerConfig>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    consecutive: u32,
    window: Window,
    failing: FailingSources,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

// === impl Circuit ===

impl Circuit {
    /// A circuit that is closed at first.
    pub fn new(name: Arc<str>, config: &Arc<BreakerConfig>) -> Self {
        Circuit {
            name,
            config: Arc::clone(config),
            inner: Mutex::new(Inner {
                state: State::Closed,
                consecutive: 0,
                window: Window::new(config.window),
                failing: FailingSources::default(),
            }),
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
    pub fn admit(self: &Arc<Self>, source: CallSource) -> Result<CircuitPermit, Duration> {
        let is_probe = self.lock().admit(source)?;
        Ok(CircuitPermit {
            circuit: Arc::clone(self),
            source,
            is_probe,
            is_recorded: false,
        })
    }

    fn record(&self, signal: Signal, source: CallSource, is_probe: bool) {
        let mut inner = self.lock();
        let now = Instant::now();
        match signal {
            Signal::Failing => inner.failing.add(source, now),
            // What began before the circuit opened says nothing of the time since.
            Signal::Healthy if is_probe || matches!(inner.state, State::Closed) => {
                inner.failing.remove(source);
            }
            Signal::Healthy | Signal::Nothing => {}
        }
        match (inner.state, signal) {
            (State::HalfOpen { .. }, Signal::Healthy) if is_probe => self.close(&mut inner),
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
                    inner.failing.forget_before(now, self.config.window);
                    self.open(&mut inner, now);
                }
            }
            // A call that is not the probe does not change an open circuit.
            _ => {}
        }
    }

    fn open(&self, inner: &mut Inner, now: Instant) {
        tracing::error!(circuit = &*self.name, open_duration = ?self.config.open_duration, "the Claude API is failing, opening the circuit breaker");
        inner.state = State::Open {
            until: now + self.config.open_duration,
        };
    }

    fn close(&self, inner: &mut Inner) {
        tracing::info!(
            circuit = &*self.name,
            "the Claude API has recovered, closing the circuit breaker"
        );
        inner.state = State::Closed;
        inner.consecutive = 0;
        inner.window.clear();
        inner.failing = FailingSources::default();
    }
}

impl Inner {
    /// Whether the call is let through as the probe, or when to retry.
    fn admit(&mut self, source: CallSource) -> Result<bool, Duration> {
        let is_probe = match self.state {
            State::Closed => false,
            State::Open { .. } | State::HalfOpen { .. } if !self.failing.stops(source) => false,
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
            self.state = State::HalfOpen { probing: true };
        }
        Ok(is_probe)
    }
}

/// Permission for one call. Dropped without an outcome, it counts neither way.
#[derive(Debug)]
pub struct CircuitPermit {
    circuit: Arc<Circuit>,
    source: CallSource,
    is_probe: bool,
    is_recorded: bool,
}

impl CircuitPermit {
    /// Whether the call tests if the API is back.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Records what the outcome of the call says.
    pub fn record(mut self, signal: Signal) {
        self.is_recorded = true;
        self.circuit.record(signal, self.source, self.is_probe);
    }
}

impl Drop for CircuitPermit {
    fn drop(&mut self) {
        if !self.is_recorded && self.is_probe {
            self.circuit.record(Signal::Nothing, self.source, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::RequestShape;

    fn circuit() -> Arc<Circuit> {
        let config = Arc::new(BreakerConfig::default());
        Arc::new(Circuit::new(Arc::from("m"), &config))
    }

    fn source(client: &str) -> CallSource {
        CallSource::of(Some(client), "m", RequestShape::default())
    }

    fn record(circuit: &Arc<Circuit>, client: &str, signal: Signal) {
        let permit = circuit.admit(source(client)).expect("it is let through");
        permit.record(signal);
    }

    fn fails(circuit: &Arc<Circuit>) {
        record(circuit, "a", Signal::Failing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_began_before_it_opened_lets_nobody_through() {
        let circuit = circuit();
        let earlier = circuit.admit(source("a")).expect("it is closed");
        (0..5).for_each(|_| fails(&circuit));
        earlier.record(Signal::Healthy);
        assert!(circuit.admit(source("a")).is_err());
        assert_eq!(circuit.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_for_a_minute() {
        let circuit = circuit();
        for _ in 0..5 {
            assert_eq!(circuit.state(), CircuitState::Closed);
            fails(&circuit);
        }
        assert_eq!(circuit.state(), CircuitState::Open);
        let refused = circuit.admit(source("a")).err();
        assert_eq!(refused, Some(Duration::from_secs(60)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
    }

    #[tokio::test(start_paused = true)]
    async fn half_open_lets_one_probe_through() {
        let circuit = circuit();
        (0..5).for_each(|_| fails(&circuit));
        tokio::time::advance(Duration::from_secs(60)).await;
        let probe = circuit.admit(source("a")).expect("a probe");
        assert!(probe.is_probe());
        assert!(circuit.admit(source("a")).is_err(), "a second probe");
        // The caller hung up: the next call may probe.
        drop(probe);
        fails(&circuit);
        assert_eq!(circuit.state(), CircuitState::Open);
        tokio::time::advance(Duration::from_secs(60)).await;
        record(&circuit, "a", Signal::Healthy);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_high_rate_opens_it_and_old_failures_are_forgotten() {
        let circuit = circuit();
        for _ in 0..9 {
            fails(&circuit);
            record(&circuit, "a", Signal::Healthy);
        }
        tokio::time::advance(Duration::from_secs(31)).await;
        fails(&circuit);
        let state = circuit.state();
        assert_eq!(state, CircuitState::Closed, "too few calls lately");
        for _ in 0..10 {
            record(&circuit, "a", Signal::Healthy);
            fails(&circuit);
        }
        assert_eq!(circuit.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn what_says_nothing_changes_nothing() {
        let circuit = circuit();
        for _ in 0..100 {
            record(&circuit, "a", Signal::Nothing);
        }
        assert_eq!(circuit.state(), CircuitState::Closed);
        (0..4).for_each(|_| fails(&circuit));
        record(&circuit, "a", Signal::Nothing);
        fails(&circuit);
        assert_eq!(circuit.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_does_not_stop_another() {
        let circuit = circuit();
        (0..5).for_each(|_| fails(&circuit));
        assert!(circuit.admit(source("a")).is_err());
        for _ in 0..10 {
            record(&circuit, "b", Signal::Healthy);
        }
        assert!(circuit.admit(source("a")).is_err());
        // An outage stops each client after its first failure.
        record(&circuit, "b", Signal::Failing);
        assert!(circuit.admit(source("b")).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn when_many_fail_it_stops_everyone() {
        let circuit = circuit();
        for client in 0..8 {
            let client = client.to_string();
            if let Ok(permit) = circuit.admit(source(&client)) {
                permit.record(Signal::Failing);
            }
        }
        assert!(circuit.admit(source("new")).is_err());
    }
}
