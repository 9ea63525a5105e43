//! `claude-grpc serve`.

use super::{
    exit::{Exit, Failure, with_causes},
    output,
    settings::ServeFlags,
    signals::Signals,
};
use crate::{
    config::{Config, Environment, api_keys::ApiKeys},
    server::Server,
    service::Service,
    simulator::{Simulator, SimulatorConfig},
    telemetry,
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use reqwest::Url;
use secrecy::SecretString;
use std::io;

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: ServeFlags,
    /// Answers from the built-in simulator instead of the Claude API.
    #[arg(long, conflicts_with = "upstream_url")]
    simulate: bool,
}

/// Runs the service until it is told to stop, and has drained.
///
/// # Errors
/// When it cannot start. Once it serves, it ends well.
pub async fn run(args: Args) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let config = args.flags.load(&environment)?;
    telemetry::init(&config.log).map_err(|error| Failure::usage(error.to_string()))?;
    // Before anything is announced: a signal that comes right after must not
    // end the process by itself.
    let signals = Signals::take()?;

    if !args.simulate {
        let keys = api_keys(&config.upstream, &environment)?;
        let upstream = connect(&config.upstream, keys)?;
        let host = host(&config.upstream.base_url);
        return serve(config, upstream, &host, signals).await;
    }

    let simulator = bind_simulator(config.simulator.clone()).await?;
    let upstream = connect_to_simulator(&config, &simulator)?;
    tokio::select! {
        served = serve(config, upstream, "simulator", signals) => served,
        () = simulator.run() => unreachable!("the simulator runs until it is dropped"),
    }
}

async fn serve(
    config: Config,
    upstream: Upstream,
    api: &str,
    signals: Signals,
) -> Result<(), Failure> {
    let listen = config.server.listen;
    let server = Server::bind(
        config.server,
        Service::new(upstream.client.clone(), config.service),
    )
    .await
    .map_err(|error| {
        let reason = format!("cannot listen on {listen} (--listen): {error}");
        Failure::new(Exit::Failed, reason)
    })?;
    let address = server.local_addr().map_err(address_unknown)?;

    tracing::info!(
        %address,
        upstream = api,
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    // The port takes connections from the bind on, so whoever waits for this
    // line can call. That nobody waits is no reason to stop.
    let _ = output::line(&format!("claude-grpc listening on {address}"));

    let drain = server.drain();
    tokio::select! {
        () = server.run() => Ok(()),
        never = signals.drain(drain) => match never {},
    }
}

/// The keys of the real API.
fn api_keys(config: &UpstreamConfig, environment: &Environment) -> Result<Keys, Failure> {
    match ApiKeys::find(config, environment)? {
        Some(keys) => Ok(keys.ring()?),
        None => Err(Failure::usage(
            "there is no API key: set ANTHROPIC_API_KEY (or name a file that holds the key in \
             ANTHROPIC_API_KEY_FILE) to serve the Claude API, \
             or give --simulate to serve the built-in simulator",
        )),
    }
}

fn connect(config: &UpstreamConfig, keys: Keys) -> Result<Upstream, Failure> {
    Upstream::new(config, keys).map_err(|error| Failure::usage(with_causes(&error)))
}

/// Takes the simulator's port.
///
/// # Errors
/// When it cannot be had.
pub async fn bind_simulator(config: SimulatorConfig) -> Result<Simulator, Failure> {
    let listen = config.listen;
    Simulator::bind(config).await.map_err(|error| {
        let reason = format!("the simulator cannot listen on {listen} (simulator.listen): {error}");
        Failure::new(Exit::Failed, reason)
    })
}

/// An upstream that takes the way of the real API, over HTTP, to the simulator.
/// Our real keys stay out of it.
fn connect_to_simulator(config: &Config, simulator: &Simulator) -> Result<Upstream, Failure> {
    let address = simulator.local_addr().map_err(address_unknown)?;
    let upstream = UpstreamConfig {
        base_url: format!("http://{address}"),
        ..config.upstream.clone()
    };
    let accepted = config.simulator.api_keys.first();
    let key = SecretString::from(accepted.map_or("simulated", String::as_str));
    let key = Key::new("simulator", &key)
        .map_err(|error| Failure::usage(format!("simulator.api_keys: {error}")))?;
    connect(&upstream, Keys::new([key]))
}

/// The system does not say which port it chose.
pub fn address_unknown(error: io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the port is not known: {error}"))
}

/// The part of the API's address that is fit for a log.
fn host(base_url: &str) -> String {
    let url = Url::parse(base_url).ok();
    url.and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}
