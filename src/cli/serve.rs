//! `claude-grpc serve`.

use super::{
    exit::{Exit, Failure, with_causes},
    output,
    settings::ServeFlags,
    signals::Signals,
};
use crate::{
    admin::{self, Admin, AdminConfig},
    config::{Config, Environment, api_keys::ApiKeys},
    server::{Drain, Server},
    service::Service,
    simulator::{Simulator, SimulatorConfig},
    telemetry::{self, Logs, Running, Telemetry, TelemetryError},
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use reqwest::Url;
use secrecy::SecretString;
use std::{convert::Infallible, io, time::Duration};

/// How long the last spans and figures may take on their way to the collector.
const LAST_EXPORT: Duration = Duration::from_secs(5);

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
    let observers = Observers::start(&config, &environment)?;
    // Before anything is announced: a signal that comes right after must not
    // end the process by itself.
    let signals = Signals::take()?;

    if !args.simulate {
        let keys = api_keys(&config.upstream, &environment)?;
        let upstream = connect(&config.upstream, keys)?;
        let host = host(&config.upstream.base_url);
        return serve(config, upstream, &host, signals, observers).await;
    }

    let simulator = bind_simulator(config.simulator.clone()).await?;
    let upstream = connect_to_simulator(&config, &simulator)?;
    tokio::select! {
        served = serve(config, upstream, "simulator", signals, observers) => served,
        () = simulator.run() => unreachable!("the simulator runs until it is dropped"),
    }
}

async fn serve(
    config: Config,
    upstream: Upstream,
    api: &str,
    signals: Signals,
    observers: Observers,
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
    })?
    .observed_by(observers.telemetry.clone());
    let address = server.local_addr().map_err(address_unknown)?;

    tracing::info!(
        %address,
        upstream = api,
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    let drain = server.drain();
    let admin = observers.admin(&config.admin, upstream, &drain).await?;
    // The port takes connections from the bind on, so whoever waits for this
    // line can call. That nobody waits is no reason to stop.
    let _ = output::line(&format!("claude-grpc listening on {address}"));

    tokio::select! {
        () = server.run() => {}
        never = serve_admin(admin) => match never {},
        never = signals.drain(drain) => match never {},
    }
    observers.running.shut_down(LAST_EXPORT).await;
    Ok(())
}

async fn serve_admin(admin: Option<Admin>) -> Infallible {
    if let Some(admin) = admin {
        admin.run().await;
    }
    std::future::pending().await
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

/// What watches the service, and what it writes.
struct Observers {
    telemetry: Telemetry,
    running: Running,
    logs: Logs,
}

impl Observers {
    fn start(config: &Config, environment: &Environment) -> Result<Self, Failure> {
        let variable = |name: &str| Some(environment.get(name)?.to_str()?.to_owned());
        let settings = telemetry::Settings::read(&variable);
        let ignored = settings.ignored.clone();
        let failure = |error: TelemetryError| Failure::usage(error.to_string());
        let models = &config.service.allowed_models;
        let (telemetry, running) =
            Telemetry::start(&config.telemetry, settings, models).map_err(failure)?;
        let logs = running
            .init_logs(&config.log, &telemetry)
            .map_err(failure)?;
        for problem in ignored {
            tracing::warn!(problem, "a variable was ignored");
        }
        Ok(Observers {
            telemetry,
            running,
            logs,
        })
    }

    /// The admin port, if there is to be one.
    async fn admin(
        &self,
        config: &AdminConfig,
        upstream: Upstream,
        drain: &Drain,
    ) -> Result<Option<Admin>, Failure> {
        let observed = admin::Observed {
            telemetry: self.telemetry.clone(),
            upstream,
            drain: drain.clone(),
            log_level: Some(self.logs.level()),
        };
        observed.add_gauges();
        if !config.enabled {
            return Ok(None);
        }
        let listen = config.listen.unwrap_or(admin::DEFAULT_LISTEN);
        match Admin::bind(listen, observed).await {
            Ok(admin) => {
                let address = admin.local_addr().map_err(address_unknown)?;
                tracing::info!(%address, "the admin port is open");
                Ok(Some(admin))
            }
            Err(error) if config.listen.is_none() => {
                tracing::warn!(%listen, %error, "no admin port: set admin.listen to have one");
                Ok(None)
            }
            Err(error) => {
                let reason = format!("cannot listen on {listen} (admin.listen): {error}");
                Err(Failure::new(Exit::Failed, reason))
            }
        }
    }
}
