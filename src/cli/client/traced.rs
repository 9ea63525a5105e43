//! Tracing of the client commands.

use crate::{
    cli::exit::Failure,
    config::Environment,
    telemetry::command::{self, CommandTracing},
};
use std::time::Duration;
use tracing::Instrument;

/// Maximum time to export the last spans, which delays the end of the command.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Runs a client command, and exports the spans of its calls if the `OTEL_*`
/// variables configure an exporter.
///
/// # Errors
/// Those of the command, or when a variable has an invalid value.
pub async fn traced(
    command: &'static str,
    verb: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let variable = |name: &str| Some(environment.get(name)?.to_str()?.to_owned());
    let caller = CommandTracing::start(&variable);
    let Some(caller) = caller.map_err(|error| Failure::usage(error.to_string()))? else {
        return verb.await;
    };
    let span = caller.span(command);
    let outcome = verb.instrument(span.clone()).await;
    if outcome.is_err() {
        command::failed(&span);
    }
    drop(span);
    caller.shut_down(LAST_EXPORT).await;
    outcome
}
