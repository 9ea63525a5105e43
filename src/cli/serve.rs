//! `claude-grpc serve`: runs the service.

use super::{
    exit::{Exit, Failure, address_unknown, with_causes},
    host_credentials::credentials_of,
    observability::{Observability, serve_admin},
    output,
    proxies::proxy_variables,
    security::{Security, unusable},
    settings::ServeFlags,
    signals::Signals,
    systemd,
};
use crate::{
    access::Clock,
    batches::Batches,
    config::{Config, Environment},
    files::{Files, Ownership},
    models::{Day, PriceTable},
    response_cache::ResponseCache,
    secrets::{ApiKeys, KeySource, Reload, Reloadable, Watcher},
    server::Server,
    service::Rpcs,
    simulator::{SimulatedHost, Simulator, SimulatorConfig, SimulatorTlsConfig},
    store::Store,
    upstream::{
        HostConfig, HostKeys, Key, KeyScheme, Keys, ProxyVariables, Upstream, UpstreamConfig,
    },
};
use reqwest::Url;
use secrecy::SecretString;
use std::{collections::BTreeMap, convert::Infallible, io, net::TcpListener, sync::Arc};
use tokio::time::timeout;
use tracing::{Instrument, Span};

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: ServeFlags,
    /// Serve the built-in simulator instead of the Claude API.
    #[arg(long, conflicts_with = "upstream_url")]
    simulate: bool,
}

/// Runs the service until a signal stops it and it has drained.
///
/// # Errors
/// When it fails to start. Once it serves, it always ends with success.
pub async fn run(args: Args) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let mut config = args.flags.load(&environment)?;
    let observability = Observability::start(&config, &environment)?;
    // Before the address is announced: a signal right after that must drain the
    // service, not kill the process.
    let signals = Signals::take()?;

    let socket = systemd::socket()?;
    if let Some(socket) = &socket {
        // The exposure check must see the address that is listened on.
        config.server.listen = socket.local_addr().map_err(address_unknown)?;
    }
    let start = tracing::info_span!("start");
    let security = Security::load(&config, args.simulate);
    let mut security = security.instrument(start.clone()).await?;
    let process = Process {
        signals,
        socket,
        observability,
        start,
    };

    if args.simulate && !config.upstream.hosts.is_empty() {
        return Err(Failure::usage(
            "--simulate serves one simulator of the Claude API: upstream.hosts must be empty; \
             run `claude-grpc simulate --host` for each host and set its base_url instead",
        ));
    }
    if !args.simulate {
        let proxies = proxy_variables(&environment);
        let keys = host_keys(&config, &environment, &proxies, &mut security.reloads);
        let keys = keys.instrument(process.start.clone()).await?;
        let upstream = connect(
            &config,
            &config.upstream,
            keys,
            &proxies,
            security.store.clone(),
            &security,
        )?;
        let hosts = addresses(&config.upstream);
        return serve(config, process, security, upstream, &hosts).await;
    }

    let simulator = bind_simulator(SimulatorConfig {
        // Both ends are in this process, and this one calls the Claude API.
        host: SimulatedHost::default(),
        tls: SimulatorTlsConfig::default(),
        ..config.simulator.clone()
    })
    .await?;
    let upstream = connect_to_simulator(&config, &simulator, &security)?;
    tokio::select! {
        served = serve(config, process, security, upstream, "simulator") => served,
        () = simulator.run() => unreachable!("the simulator runs until it is dropped"),
    }
}

/// What is set up once per process, whichever API is served.
struct Process {
    signals: Signals,
    /// The socket passed by systemd, if any.
    socket: Option<TcpListener>,
    observability: Observability,
    /// The span of the start, which ends when the service is ready.
    start: Span,
}

async fn serve(
    config: Config,
    process: Process,
    security: Security,
    upstream: Upstream,
    api: &str,
) -> Result<(), Failure> {
    let Process {
        signals,
        socket,
        observability,
        start,
    } = process;
    let listen = config.server.listen;
    let usage_store = security.access.as_ref();
    let usage_store = usage_store.map(|access| access.usage_store().clone());
    let unusable = |error: &dyn std::error::Error| Failure::usage(with_causes(error));
    let ownership = Ownership::open(&config.files, security.store.as_ref(), Clock::default());
    let ownership = ownership.map_err(|error| unusable(&error))?;
    // Without tenants there is nothing to check, unless it is kept what was made where.
    let is_guarded = security.access.is_some() || config.files.is_kept();
    let upstream = match is_guarded {
        true => ownership.guarding(upstream),
        false => upstream,
    };
    let files = Files::new(&config.files, &upstream, &ownership);
    let files = files.map_err(|error| unusable(&error))?;
    let batches = Batches::open(
        &config.batches,
        &upstream,
        usage_store,
        security.store.clone(),
    );
    let batches = batches.map_err(|error| unusable(&error))?;
    let prices = PriceTable::new(&config.limits.prices, Day::today());
    let responses = ResponseCache::open(&config.response_cache, security.store.as_ref());
    let responses = responses.map_err(|error| unusable(&error))?;
    let service = Rpcs::new(upstream.client.clone(), config.service)
        .with_prices(prices)
        .with_responses(responses.clone())
        .with_batches(batches.clone())
        .with_files(files.clone());
    let drain_timeout = config.server.drain_timeout;
    let bound = match socket {
        Some(socket) => Server::from_listener(socket, config.server, service),
        None => Server::bind(config.server, service).await,
    };
    let server = bound
        .map_err(|error| {
            let reason = format!("failed to listen on {listen} (--listen): {error}");
            Failure::new(Exit::Failed, reason)
        })?
        .with_access(security.access.clone())
        .with_tls(security.tls)
        .with_telemetry(observability.telemetry.clone());
    let _watcher = Watcher::start(security.reloads.clone());
    let reloads = security.reloads.clone();
    let refusals = security.access.as_ref().map(|it| it.refusals().clone());
    let store_health = security.store.as_ref().map(|it| it.health().clone());
    let signals = signals.reloading(security.reloads);
    let address = server.local_addr().map_err(address_unknown)?;

    start.in_scope(|| {
        tracing::info!(
            %address,
            upstream = api,
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
    });
    drop(start);
    let drain = server.drain();
    let observed = observability.of(
        upstream,
        &server,
        reloads,
        refusals,
        store_health,
        responses,
    );
    let admin = observability.admin(&config.admin, observed).await?;
    // The port accepts connections since it was bound, so anyone who waits for
    // this line can call. The service runs even if nobody reads it.
    let _ = output::line(&format!("claude-grpc listening on {address}"));

    tokio::select! {
        () = server.run() => {}
        never = serve_admin(admin) => match never {},
        never = signals.drain(drain.clone()) => match never {},
        never = systemd::report(drain, drain_timeout) => match never {},
        never = look_after(batches.as_ref(), files.as_ref()) => match never {},
        never = ownership.work() => match never {},
    }
    if let Some(batches) = batches {
        // What is not submitted by then is resumed at the next start.
        let _ = timeout(drain_timeout, batches.shut_down()).await;
    }
    let _ = timeout(drain_timeout, ownership.shut_down()).await;
    if let Some(access) = security.access {
        access.usage_store().flush().await;
    }
    observability.shut_down().await;
    Ok(())
}

/// Looks after batches and files, as far as they are on.
async fn look_after(batches: Option<&Batches>, files: Option<&Files>) -> Infallible {
    let of_batches = async {
        match batches {
            Some(batches) => batches.work().await,
            None => std::future::pending().await,
        }
    };
    let of_files = async {
        match files {
            Some(files) => files.work().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        never = of_batches => never,
        never = of_files => never,
    }
}

/// Loads the API keys, which follow changes of their source.
async fn api_keys(
    config: &Config,
    environment: &Environment,
) -> Result<Reloadable<ApiKeys>, Failure> {
    let source = KeySource::resolve(
        config.upstream.api_key_file.as_deref(),
        &config.secrets,
        |name| environment.get(name).map(Into::into),
    );
    match source {
        Some(source) => ApiKeys::load(source).await.map_err(unusable),
        None => Err(Failure::usage(
            "no API key: set ANTHROPIC_API_KEY (or ANTHROPIC_API_KEY_FILE to the path of a file \
             that contains it) to serve the Claude API, or pass --simulate to serve the built-in \
             simulator",
        )),
    }
}

/// Loads the keys of all hosts, which follow changes of their sources.
async fn host_keys(
    config: &Config,
    environment: &Environment,
    proxies: &ProxyVariables,
    reloads: &mut Vec<Arc<dyn Reload>>,
) -> Result<HostKeys, Failure> {
    let mut of_hosts = BTreeMap::new();
    let hosts = config.upstream.all_hosts();
    for host in &hosts {
        if let Some(key) = credentials_of(host, &config.upstream, proxies).await? {
            of_hosts.insert(host.name.clone(), Keys::new([key]));
            continue;
        }
        let Some(path) = &host.api_key_file else {
            continue;
        };
        let source = KeySource::File {
            path: path.clone(),
            named_by: "upstream.hosts",
        };
        let loaded = ApiKeys::load(source).await.map_err(unusable)?;
        let keys = followed(&loaded, host.kind.key_scheme())?;
        reloads.push(loaded.as_reload());
        of_hosts.insert(host.name.clone(), keys);
    }
    let has_its_own = |host: &HostConfig| of_hosts.contains_key(&host.name);
    if hosts.iter().all(has_its_own) {
        return Ok(HostKeys::new(Keys::new([]), of_hosts));
    }
    let loaded = api_keys(config, environment).await?;
    let of_claude = followed(&loaded, KeyScheme::Bearer)?;
    reloads.push(loaded.as_reload());
    Ok(HostKeys::new(of_claude, of_hosts))
}

/// Keys, which are replaced whenever they are reloaded.
fn followed(reloading: &Reloadable<ApiKeys>, scheme: KeyScheme) -> Result<Keys, Failure> {
    let ring = Key::numbered(scheme, &reloading.current().keys);
    let keys = Keys::new(ring.map_err(|error| Failure::usage(error.to_string()))?);
    let mut changes = reloading.subscribe();
    let replaced = keys.clone();
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            // Always `Ok`: invalid keys are rejected when they are reloaded.
            if let Ok(ring) = Key::numbered(scheme, &changes.borrow_and_update().keys) {
                replaced.replace(ring);
            }
        }
    });
    Ok(keys)
}

fn connect(
    config: &Config,
    api: &UpstreamConfig,
    keys: HostKeys,
    proxies: &ProxyVariables,
    store: Option<Store>,
    security: &Security,
) -> Result<Upstream, Failure> {
    let upstream = Upstream::with(api, keys, proxies, store, security.access.as_ref())
        .map_err(|error| Failure::usage(with_causes(&error)))?;
    let priced = config.limits.prices.iter().map(|price| &*price.model);
    let routed = api.routes.iter().flat_map(|route| &route.targets);
    let routed = routed.filter_map(|target| target.model.as_deref());
    for model in config.service.models().chain(priced).chain(routed) {
        for host in upstream.hosts.iter() {
            host.add_circuit(model);
        }
    }
    Ok(upstream)
}

/// Binds the port of the simulator.
///
/// # Errors
/// [`Exit::Usage`] when its certificate cannot be loaded, [`Exit::Failed`] when
/// the port is unavailable.
pub async fn bind_simulator(config: SimulatorConfig) -> Result<Simulator, Failure> {
    let listen = config.listen;
    Simulator::bind(config).await.map_err(|error| {
        if error.kind() == io::ErrorKind::InvalidInput {
            return Failure::usage(format!("simulator: {error}"));
        }
        let reason = format!("failed to listen on {listen} (simulator.listen): {error}");
        Failure::new(Exit::Failed, reason)
    })
}

/// An upstream that reaches the simulator as it would the real API, over HTTP.
/// The real API keys are not used.
fn connect_to_simulator(
    config: &Config,
    simulator: &Simulator,
    security: &Security,
) -> Result<Upstream, Failure> {
    let upstream = UpstreamConfig {
        base_url: simulator.base_url().map_err(address_unknown)?,
        ..config.upstream.clone()
    };
    let accepted = config.simulator.api_keys.first();
    let key = SecretString::from(accepted.map_or("simulated", String::as_str));
    let key = Key::new("simulator", &key)
        .map_err(|error| Failure::usage(format!("simulator.api_keys: {error}")))?;
    // The simulator of each process has its own rate limits: nothing to share.
    let (keys, proxies) = (Keys::new([key]), ProxyVariables::default());
    connect(config, &upstream, keys.into(), &proxies, None, security)
}

/// The hosts of Claude, for the log: their full URLs could contain a secret.
fn addresses(upstream: &UpstreamConfig) -> String {
    let hosts = upstream.all_hosts().into_iter();
    let names = hosts.filter_map(|host| {
        let url = Url::parse(&host.address().ok()?).ok()?;
        url.host_str().map(str::to_owned)
    });
    names.collect::<Vec<_>>().join(", ")
}
