//! What tracing costs, and what a collector that hangs does to calls.
//!
//! Services that differ only in their `OTEL_*` variables take turns at the same
//! load, so that whatever else the machine does meets all of them. CPU time is
//! the system's own count for each process; the figures printed are ratios.
//!
//! `cargo bench --bench telemetry` takes some two minutes when it is built, and
//! `-- cost` or `-- hang` only one of the two;
//! `ROUNDS` and `CALLS` change its size, and `CLAUDE_GRPC_BINARY` names another
//! binary to measure.

use axum::Router;
use claude_grpc::proto::v1::{self, claude_service_client::ClaudeServiceClient};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::transport::Channel;

/// Most that tracing may cost over none, at a sampling rate.
const LIMITS: [(&str, f64); 2] = [("0.01", 1.10), ("1.0", 1.25)];

/// Most that a collector that hangs may change the 99th percentile.
const HANG_LIMIT: f64 = 1.05;

/// Calls at once, where CPU time is measured.
const AT_ONCE: usize = 16;

/// Time between calls, where latency is measured.
const PACE: Duration = Duration::from_millis(1);

/// Calls that a 99th percentile is taken of.
const BLOCK: usize = 500;

/// A process that ends with this one.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts the program, and waits for the line that it announces itself by.
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> (Process, String) {
        let given = std::env::var("CLAUDE_GRPC_BINARY").ok();
        let binary = given
            .as_deref()
            .unwrap_or(env!("CARGO_BIN_EXE_claude-grpc"));
        let mut child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .env("ANTHROPIC_API_KEY", "sk-bench")
            .env("CLAUDE_GRPC_ADMIN__ENABLED", "false")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs");
        let output = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        assert!(read.is_ok() && !line.is_empty(), "it did not start");
        let address = line.trim().rsplit(' ').next().unwrap_or_default();
        (Process(child), address.to_owned())
    }

    /// CPU time that all its threads have had.
    fn cpu(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.0.id());
        let tasks = fs::read_dir(tasks).expect("Linux tells");
        let nanos = tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok());
        Duration::from_nanos(nanos.sum())
    }
}

/// One service under load.
struct Service {
    process: Process,
    grpc: ClaudeServiceClient<Channel>,
}

impl Service {
    fn start(api: &str, variables: &[(&str, &str)]) -> Service {
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--upstream-url",
            api,
            "--log-level",
            "warn",
        ];
        let (process, address) = Process::start(&arguments, variables);
        let channel = Channel::from_shared(format!("http://{address}")).expect("an address");
        Service {
            process,
            grpc: ClaudeServiceClient::new(channel.connect_lazy()),
        }
    }

    fn exporting(api: &str, collector: SocketAddr, ratio: &str, more: &[(&str, &str)]) -> Service {
        let endpoint = format!("http://{collector}");
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", ratio),
        ];
        Service::start(api, &[&variables[..], more].concat())
    }

    /// CPU time of each of so many calls.
    async fn load(&self, calls: usize) -> Duration {
        let before = self.process.cpu();
        let callers = (0..AT_ONCE).map(|_| {
            let mut grpc = self.grpc.clone();
            tokio::spawn(async move {
                for _ in 0..calls / AT_ONCE {
                    grpc.generate(ask()).await.expect("the simulator answers");
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("it does not panic");
        }
        (self.process.cpu() - before) / calls as u32
    }

    /// How long one call takes.
    fn time(&self) -> JoinHandle<Duration> {
        let mut grpc = self.grpc.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            grpc.generate(ask()).await.expect("the simulator answers");
            began.elapsed()
        })
    }
}

fn ask() -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: "hello".to_owned(),
            content: Vec::new(),
            ..v1::Message::default()
        }],
        max_tokens: Some(64),
        ..v1::GenerateRequest::default()
    }
}

fn size(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    set.and_then(|it| it.parse().ok()).unwrap_or(default)
}

/// Takes everything.
async fn collector() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let routes = Router::new().fallback(|_body: axum::body::Bytes| async {});
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

/// Takes connections and never answers.
async fn hanging() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

async fn cost(api: &str, rounds: usize, calls: usize) -> bool {
    let sink = collector().await;
    let without = Service::start(api, &[("OTEL_SDK_DISABLED", "true")]);
    // Room for all: what is dropped would cost less.
    let room = [("OTEL_BSP_MAX_QUEUE_SIZE", "65536")];
    let with = LIMITS.map(|(ratio, _)| Service::exporting(api, sink, ratio, &room));
    let mut base = Vec::new();
    let mut ratios = LIMITS.map(|_| Vec::new());
    // The first round warms up.
    for round in 0..=rounds {
        let one = without.load(calls).await;
        let mut traced = Vec::new();
        for service in &with {
            traced.push(service.load(calls).await);
        }
        if round == 0 {
            continue;
        }
        base.push(one.as_secs_f64() * 1e6);
        for (ratios, cpu) in ratios.iter_mut().zip(traced) {
            ratios.push(cpu.as_secs_f64() / one.as_secs_f64());
        }
    }
    println!("CPU without tracing: {:.1} µs a call", median(&mut base));
    let mut is_ok = true;
    for ((sampled, most), ratios) in LIMITS.iter().zip(&mut ratios) {
        let ratio = median(ratios);
        let spread = (ratios[0], ratios[ratios.len() - 1]);
        is_ok &= ratio <= *most;
        println!(
            "CPU at a sampling rate of {sampled}: {ratio:.3} of that ({:.3}–{:.3}), at most {most}",
            spread.0, spread.1
        );
    }
    is_ok
}

/// Calls come evenly, each to the next service: whatever delays the machine
/// meets all of them. Two services are alike, so that their difference tells
/// how far the figure can be trusted.
async fn hang(api: &str, calls: usize) -> bool {
    let (answers, hangs) = (collector().await, hanging().await);
    let gone = SocketAddr::from(([127, 0, 0, 1], 9));
    let services = [answers, answers, hangs, gone]
        .map(|collector| Service::exporting(api, collector, "1.0", &[]));
    let mut pace = tokio::time::interval(PACE);
    let mut running = [const { Vec::new() }; 4];
    // The first calls warm up.
    let first = calls / 10;
    for call in 0..first + calls {
        for turn in 0..services.len() {
            pace.tick().await;
            // None is always the first.
            let one = (turn + call) % services.len();
            let timed = services[one].time();
            if call >= first {
                running[one].push(timed);
            }
        }
    }
    let mut p99 = Vec::new();
    for running in running {
        let mut took = Vec::with_capacity(calls);
        for call in running {
            took.push(call.await.expect("it does not panic"));
        }
        // Of each second, and the middle one of these: a machine that stands
        // still for once is no effect of the collector.
        let mut of_blocks: Vec<f64> = took.chunks_mut(BLOCK).map(p99_of).collect();
        p99.push(median(&mut of_blocks) * 1e3);
    }
    println!("p99 with a collector that answers: {:.2} ms", p99[0]);
    // The two alike are one, and the steadier for it.
    let ratios: Vec<f64> = p99[1..]
        .iter()
        .map(|it| it / ((p99[0] + p99[1]) / 2.0))
        .collect();
    // What two that are alike differ by is no effect of a collector.
    let most = HANG_LIMIT + (p99[1] / p99[0] - 1.0).abs();
    println!(
        "p99 with another one that answers: {:.3} of that",
        ratios[0]
    );
    let mut is_ok = true;
    for (what, ratio) in [("one that hangs", ratios[1]), ("none there", ratios[2])] {
        is_ok &= ratio <= most;
        println!("p99 with {what}: {ratio:.3} of that, at most {most:.3}");
    }
    is_ok
}

/// The 99th percentile, in seconds.
fn p99_of(took: &mut [Duration]) -> f64 {
    took.sort();
    took[took.len() * 99 / 100].as_secs_f64()
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[tokio::main]
async fn main() {
    let (rounds, calls) = (size("ROUNDS", 9), size("CALLS", 8_000));
    // The answer comes at once: what is measured is the service.
    let fast = [
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--time-to-first-token",
        "0s",
        "--tokens-per-second",
        "0",
        "--log-level",
        "warn",
    ];
    let (simulator, api) = Process::start(&fast, &[]);
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |part: &str| {
        let mut parts = asked.iter().filter(|it| !it.starts_with("--"));
        parts.clone().next().is_none() || parts.any(|it| it == part)
    };
    let mut is_ok = true;
    if is_asked("cost") {
        is_ok &= cost(&api, rounds, calls).await;
    }
    if is_asked("hang") {
        is_ok &= hang(&api, rounds * 4 * BLOCK).await;
    }
    // `exit` runs no destructors, and the simulator would outlive the bench.
    drop(simulator);
    if !is_ok {
        std::process::exit(1);
    }
}
