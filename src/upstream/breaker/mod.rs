//! The circuit breaker: while the API fails, calls fail immediately.
//!
//! It has one circuit for each known model, since one model can be overloaded
//! while the others answer, and one for the connection, without which no model
//! can be reached. Unconfigured models share a circuit, and so does
//! the list of models: callers may invent names, which must neither fill the
//! memory nor stop anyone else. Which outcome counts against which circuit is
//! in [`signal`], and whose calls an open circuit stops is in [`sources`].
//!
//! It is above the retries and so counts calls, not attempts. Partial failures
//! of the API are handled by the retries: when one attempt in nine fails, one
//! call in several thousand fails, and five in a row never occur by chance,
//! while attempts would open the breaker every few seconds. When the API is
//! down, calls fail as well, and quickly, since the retry budget is soon
//! exhausted.

mod circuit;
mod signal;
mod sources;
mod window;

pub use circuit::CircuitState;

use super::{BreakerConfig, Call, Reply, RequestShape, UpstreamError};
use crate::{
    layer::{Next, Rule},
    models,
};
use circuit::{Circuit, CircuitPermit};
use parking_lot::RwLock;
use sources::CallSource;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Maximum number of models with a circuit of their own.
const MAX_MODELS: usize = 256;

/// The breaker, shared by the layer and anyone who reads its state. Cloning is
/// cheap.
#[derive(Debug, Clone)]
pub struct CircuitBreaker(Arc<Circuits>);

#[derive(Debug)]
struct Circuits {
    config: Arc<BreakerConfig>,
    connection: Arc<Circuit>,
    models: RwLock<HashMap<Target, Arc<Circuit>>>,
    others: Arc<Circuit>,
}

/// What a circuit stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Target {
    model: Arc<str>,
}

/// What one of the circuits protects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CircuitScope {
    /// The connection, and so every call.
    Connection,
    /// The calls to one model.
    Model(Arc<str>),
    /// The calls to all unconfigured models.
    OtherModels,
}

// === impl CircuitBreaker ===

impl CircuitBreaker {
    /// A breaker that is closed at first, and knows the models of the
    /// catalogue.
    pub fn new(config: &BreakerConfig) -> Self {
        let config = Arc::new(config.clone());
        let circuit = |name: &str| Arc::new(Circuit::new(Arc::from(name), &config));
        let breaker = CircuitBreaker(Arc::new(Circuits {
            connection: circuit("connection"),
            models: RwLock::default(),
            others: circuit("other models"),
            config: Arc::clone(&config),
        }));
        for model in models::catalogue().models() {
            breaker.add_model(&model.name);
        }
        breaker
    }

    /// Gives a configured model a circuit of its own, up to 256 models.
    pub fn add_model(&self, model: &str) {
        let mut models = self.0.models.write();
        if models.len() >= MAX_MODELS {
            return;
        }
        let model: Arc<str> = Arc::from(model);
        let target = Target {
            model: Arc::clone(&model),
        };
        let circuit = || Arc::new(Circuit::new(model, &self.0.config));
        models.entry(target).or_insert_with(circuit);
    }

    /// The worst state of all circuits.
    pub fn state(&self) -> CircuitState {
        let states = self.states().into_iter().map(|(_, state)| state);
        let worst = states.max_by_key(|state| state.severity());
        worst.unwrap_or(CircuitState::Closed)
    }

    /// Whether the circuit of the connection is closed.
    pub fn is_connected(&self) -> bool {
        self.0.connection.state() == CircuitState::Closed
    }

    /// The state of each circuit, in order of their names.
    pub fn states(&self) -> Vec<(CircuitScope, CircuitState)> {
        let models = self.0.models.read();
        let mut states: Vec<_> = models
            .iter()
            .map(|(target, circuit)| {
                let scope = CircuitScope::Model(Arc::clone(&target.model));
                (scope, circuit.state())
            })
            .collect();
        states.push((CircuitScope::Connection, self.0.connection.state()));
        states.push((CircuitScope::OtherModels, self.0.others.state()));
        states.sort_by(|(one, _), (other, _)| one.cmp(other));
        states
    }

    /// The circuit of an id, or of the model that it stands for.
    fn known(&self, model: &Arc<str>) -> Option<Arc<Circuit>> {
        let circuits = self.0.models.read();
        let of = |model: Arc<str>| circuits.get(&Target { model }).map(Arc::clone);
        of(Arc::clone(model)).or_else(|| of(Arc::from(models::name_of(model))))
    }

    fn circuit(&self, call: &Call) -> Arc<Circuit> {
        if let Some(circuit) = self.known(&call.model) {
            return circuit;
        }
        let names_it = |one: &String| **one == *call.named;
        let caller = call.caller.as_deref();
        if caller.is_some_and(|caller| caller.models.iter().any(names_it)) {
            self.add_model(&call.model);
        }
        let others = || Arc::clone(&self.0.others);
        self.known(&call.model).unwrap_or_else(others)
    }

    /// Lets a call through, or returns when to retry.
    fn admit(&self, call: &Call) -> Result<BreakerPermit, Duration> {
        let client = call.caller.as_ref().map(|caller| &*caller.name);
        let model = models::name_of(&call.model);
        let source = CallSource::of(client, model, call.shape);
        Ok(BreakerPermit {
            model: self.circuit(call).admit(source)?,
            // No caller can make a connection fail: it stops all of them.
            connection: self.0.connection.admit(CallSource::of(
                None,
                "",
                RequestShape::default(),
            ))?,
        })
    }
}

/// Permission for one call. Dropped without an outcome, it counts neither way.
#[derive(Debug)]
struct BreakerPermit {
    model: CircuitPermit,
    connection: CircuitPermit,
}

impl BreakerPermit {
    fn outcome(self, outcome: &Result<Reply, UpstreamError>) {
        self.connection.record(signal::of_connection(outcome));
        let signal = signal::of_model(outcome, self.model.is_probe());
        self.model.record(signal);
    }
}

/// Lets calls through while the circuits of their model and of the connection
/// are closed.
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
            .admit(&call)
            .map_err(|retry_after| UpstreamError::CircuitOpen { retry_after })?;
        let outcome = next.run(call).await;
        permit.outcome(&outcome);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{ApiFailure, Call, CallParts, ConnectFailure};

    const OPUS: &str = "claude-opus-5-5";
    const HAIKU: &str = "claude-haiku-5-5";

    fn breaker() -> CircuitBreaker {
        CircuitBreaker::new(&BreakerConfig::default())
    }

    fn call(model: &str) -> Call {
        let parts = CallParts {
            model: Arc::from(model),
            ..CallParts::for_tests()
        };
        parts.into()
    }

    fn fails(breaker: &CircuitBreaker, model: &str, error: &UpstreamError) {
        if let Ok(permit) = breaker.admit(&call(model)) {
            permit.outcome(&Err(error.clone()));
        }
    }

    fn overloaded() -> UpstreamError {
        UpstreamError::Api(Box::new(ApiFailure {
            status: 529,
            ..ApiFailure::default()
        }))
    }

    fn admits(breaker: &CircuitBreaker, model: &str) -> bool {
        breaker.admit(&call(model)).is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn one_overloaded_model_does_not_stop_another() {
        let breaker = breaker();
        for _ in 0..100 {
            fails(&breaker, OPUS, &overloaded());
        }
        assert!(!admits(&breaker, OPUS));
        assert!(!admits(&breaker, &format!("{OPUS}-20261001")));
        for model in [HAIKU, "new-model", ""] {
            assert!(admits(&breaker, model), "{model}");
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_connection_no_model_is_asked() {
        let breaker = breaker();
        for model in [OPUS, HAIKU, "new-model", OPUS, HAIKU] {
            fails(
                &breaker,
                model,
                &UpstreamError::Connect(ConnectFailure::Refused),
            );
        }
        assert!(!admits(&breaker, OPUS) && !admits(&breaker, "claude-sonnet-5-5"));
        let is_open = |(_, state): &(CircuitScope, CircuitState)| *state == CircuitState::Open;
        let open: Vec<_> = breaker.states().into_iter().filter(is_open).collect();
        assert_eq!(open, [(CircuitScope::Connection, CircuitState::Open)]);
    }

    #[tokio::test(start_paused = true)]
    async fn invented_models_stop_nobody_and_fill_nothing() {
        let breaker = breaker();
        breaker.add_model("ours");
        let circuits = breaker.states().len();
        for _ in 0..5 {
            fails(&breaker, "invented", &overloaded());
        }
        assert!(!admits(&breaker, "invented"));
        assert!(admits(&breaker, "rare"), "it has not failed");
        for index in 0..10_000 {
            fails(&breaker, &format!("invented-{index}"), &overloaded());
        }
        assert_eq!(breaker.states().len(), circuits);
        assert!(!admits(&breaker, "invented-again"));
        for model in ["ours", HAIKU] {
            assert!(admits(&breaker, model), "{model}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_cannot_be_read_open_nothing() {
        let breaker = breaker();
        for _ in 0..100 {
            fails(
                &breaker,
                OPUS,
                &UpstreamError::Malformed("in a test".into()),
            );
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}
