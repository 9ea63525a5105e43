//! `claude-grpc simulate`: runs the simulator of the Claude API on its own.

use super::{
    exit::{Failure, address_unknown},
    output,
    serve::bind_simulator,
    settings::CommonFlags,
    signals::Signals,
};
use crate::{
    config::Environment,
    simulator::{SimulatedHost, SimulatorToken},
    telemetry,
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Flags of `simulate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: CommonFlags,
    /// Address and port to listen on; port 0 picks a free port.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Host whose dialect to speak: claude, claude_platform_aws, bedrock_mantle,
    /// bedrock_runtime, vertex, google_cloud or foundry.
    #[arg(long, value_name = "HOST")]
    host: Option<SimulatedHost>,
    /// Key or token to accept, with the time from the start until it expires, such as
    /// `--token abc=10s`; repeat for more.
    #[arg(long = "token", value_name = "TOKEN=TIME", value_parser = token)]
    tokens: Vec<SimulatorToken>,
    /// Delay before the first byte of a response, such as `300ms`.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    time_to_first_token: Option<Duration>,
    /// Output tokens per second of each response; 0 means unlimited.
    #[arg(long, value_name = "NUMBER")]
    tokens_per_second: Option<f64>,
    /// Time that a Message Batch takes from its creation to its end, such as `1m`.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    batch_duration: Option<Duration>,
    /// Check only the fields, types and values of requests, for tests that are written
    /// for a mock server.
    #[arg(long)]
    shapes_only: bool,
    /// Models, batches and files that exist from the start, with ids of your choice
    /// (TOML).
    #[arg(long, value_name = "FILE")]
    fixtures_file: Option<PathBuf>,
    /// Serve TLS with this certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_key_file: Option<PathBuf>,
    /// Serve TLS with a certificate for localhost that is made now, and write its
    /// CA to this file.
    #[arg(long, value_name = "FILE", conflicts_with = "tls_cert_file")]
    tls_generated_ca_file: Option<PathBuf>,
    /// Maximum number of concurrent HTTP/2 streams per connection; 0 means
    /// unlimited.
    #[arg(long, value_name = "NUMBER")]
    max_concurrent_streams: Option<u32>,
    /// Fault to inject, with the fraction of requests that it affects; repeat for
    /// more, such as `--fault overloaded=0.1 --fault cut=0.05`.
    #[arg(long = "fault", value_name = "NAME=RATE", value_parser = fault)]
    faults: Vec<(String, f64)>,
    /// Seed of the random choice: the same seed produces the same faults.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

/// Runs the simulator until SIGTERM or SIGINT.
///
/// # Errors
/// When it fails to start.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut values = args.common.values();
    values.set("simulator.listen", "--listen", args.listen);
    values.set("simulator.host", "--host", args.host);
    let tokens = (!args.tokens.is_empty()).then_some(args.tokens);
    values.set("simulator.tokens", "--token", tokens);
    values.set(
        "simulator.time_to_first_token",
        "--time-to-first-token",
        args.time_to_first_token
            .map(|time| humantime::format_duration(time).to_string()),
    );
    let tokens_per_second = args.tokens_per_second;
    values.set(
        "simulator.tokens_per_second",
        "--tokens-per-second",
        tokens_per_second,
    );
    values.set(
        "simulator.batches.duration",
        "--batch-duration",
        args.batch_duration
            .map(|time| humantime::format_duration(time).to_string()),
    );
    values.set(
        "simulator.shapes_only",
        "--shapes-only",
        args.shapes_only.then_some(true),
    );
    values.set(
        "simulator.fixtures_file",
        "--fixtures-file",
        args.fixtures_file,
    );
    for (key, flag, file) in [
        ("cert_file", "--tls-cert-file", args.tls_cert_file),
        ("key_file", "--tls-key-file", args.tls_key_file),
        (
            "generated_ca_file",
            "--tls-generated-ca-file",
            args.tls_generated_ca_file,
        ),
    ] {
        values.set(format!("simulator.tls.{key}"), flag, file);
    }
    values.set(
        "simulator.connections.max_concurrent_streams",
        "--max-concurrent-streams",
        args.max_concurrent_streams,
    );
    for (name, share) in args.faults {
        values.set(format!("simulator.faults.{name}"), "--fault", Some(share));
    }
    values.set("simulator.faults.seed", "--seed", args.seed);

    let config = args.common.load(values, &Environment::of_process())?;
    let _logs = telemetry::init(&config.log).map_err(|error| Failure::usage(error.to_string()))?;
    let mut signals = Signals::take()?;

    let simulator = bind_simulator(config.simulator).await?;
    let url = simulator.base_url().map_err(address_unknown)?;
    let _ = output::line(&format!("simulator listening on {url}"));
    tokio::select! {
        () = signals.stop() => {}
        () = simulator.run() => {}
    }
    Ok(())
}

fn token(text: &str) -> Result<SimulatorToken, String> {
    let expected = "must be TOKEN=TIME, such as abc=10s";
    let (token, time) = text.rsplit_once('=').ok_or(expected)?;
    if token.is_empty() {
        return Err(expected.to_owned());
    }
    Ok(SimulatorToken {
        token: token.to_owned(),
        expires_after: humantime::parse_duration(time).map_err(|_| expected)?,
    })
}

fn fault(text: &str) -> Result<(String, f64), String> {
    let expected = "must be NAME=RATE, such as overloaded=0.1";
    let (name, share) = text.split_once('=').ok_or(expected)?;
    let share = share.parse().map_err(|_| expected)?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
        return Err(expected.to_owned());
    }
    Ok((name.to_owned(), share))
}
