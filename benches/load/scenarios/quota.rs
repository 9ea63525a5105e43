//! Twice the API's quota is asked for, for a minute; once with pacing and once
//! without.

use crate::{
    bound, figure,
    rig::{Client, Protocol, Rig},
    traffic::{Outcome, ask, open_loop, quantile},
};
use claude_grpc::{
    simulator::{Handle, SimulatorConfig, SimulatorLimitsConfig},
    upstream::UpstreamConfig,
};
use std::time::{Duration, Instant};
use tonic::Code;

const REQUESTS_PER_MINUTE: u64 = 1200;
const OUTPUT_TOKENS_PER_MINUTE: u64 = 200_000;
const TIME: Duration = Duration::from_secs(60);

/// Long enough to use up the full buckets of the beginning: what is measured is
/// the refill.
const WARM_UP: Duration = Duration::from_secs(75);
const DEADLINE: Duration = Duration::from_secs(8);

/// One call in four is interactive: together half of the quota.
const INTERACTIVE: u64 = 4;

struct Call {
    outcome: Outcome,
    interactive: bool,
}

/// What a run came to.
pub struct Figures {
    goodput: f64,
    refused_upstream: f64,
    interactive_p99: f64,
    batch_p99: f64,
}

pub async fn run() -> bool {
    println!("with pacing");
    let paced = measure(true).await;
    println!("without pacing");
    let unpaced = measure(false).await;
    compare(("paced", &paced), ("unpaced", &unpaced));
    paced.hold()
}

impl Figures {
    /// Prints them beside their bounds; tells whether these hold.
    pub fn hold(&self) -> bool {
        let ratio = self.batch_p99 / self.interactive_p99;
        let mut held = bound(
            "goodput / quota",
            self.goodput,
            self.goodput >= 0.95,
            ">= 0.95",
        );
        held &= bound(
            "upstream 429s / calls",
            self.refused_upstream,
            self.refused_upstream <= 0.005,
            "<= 0.005",
        );
        held &= bound("batch p99 / interactive p99", ratio, ratio >= 5.0, ">= 5");
        held
    }
}

/// Prints the figures of two runs beside each other.
pub fn compare(one: (&str, &Figures), other: (&str, &Figures)) {
    println!("{:<28} {:>12} {:>12}", "", one.0, other.0);
    let (one, other) = (one.1, other.1);
    for (what, one, other) in [
        ("goodput / quota", one.goodput, other.goodput),
        (
            "upstream 429s / calls",
            one.refused_upstream,
            other.refused_upstream,
        ),
        (
            "interactive p99, ms",
            one.interactive_p99,
            other.interactive_p99,
        ),
        ("batch p99, ms", one.batch_p99, other.batch_p99),
    ] {
        println!("{what:<28} {one:>12.4} {other:>12.4}");
    }
}

async fn measure(pacing: bool) -> Figures {
    let upstream = UpstreamConfig {
        pacing,
        ..UpstreamConfig::default()
    };
    let rig = Rig::start(Protocol::Http1, upstream, simulator()).await;
    drive(&[rig.client().await], &rig.simulator).await
}

/// An API with the quota.
pub fn simulator() -> SimulatorConfig {
    SimulatorConfig {
        time_to_first_token: Duration::from_millis(100),
        limits: SimulatorLimitsConfig {
            requests_per_minute: REQUESTS_PER_MINUTE,
            input_tokens_per_minute: 0,
            output_tokens_per_minute: OUTPUT_TOKENS_PER_MINUTE,
        },
        ..SimulatorConfig::default()
    }
}

/// Asks for twice the quota, in turn through these clients.
pub async fn drive(clients: &[Client], simulator: &Handle) -> Figures {
    let began = Instant::now();
    let demand = 2.0 * REQUESTS_PER_MINUTE as f64 / 60.0;
    let calls = open_loop(demand, WARM_UP + TIME, |number| {
        let turn = number as usize % clients.len();
        let mut client = clients[turn].clone();
        let interactive = number % INTERACTIVE == 0;
        async move {
            let mut request = ask(format!("call {number}"), DEADLINE);
            let priority = if interactive { "interactive" } else { "batch" };
            let value = priority.parse().expect("ASCII");
            request.metadata_mut().insert("claude-priority", value);
            Call {
                outcome: Outcome::of(client.generate(request)).await,
                interactive,
            }
        }
    })
    .await;
    let (from, to) = (began + WARM_UP, began + WARM_UP + TIME);
    let ended_within = |call: &&Call| {
        let ended = call.outcome.began + call.outcome.took;
        ended >= from && ended < to
    };
    let measured: Vec<&Call> = calls.iter().filter(ended_within).collect();
    let good = |call: &&&Call| call.outcome.code == Code::Ok;
    let p99 = |interactive: bool| {
        let of_kind = measured
            .iter()
            .filter(good)
            .filter(|call| call.interactive == interactive);
        quantile(of_kind.map(|call| call.outcome.took), 0.99)
    };
    let counts = simulator.counts();
    figure("calls", calls.len() as f64);
    figure("upstream requests", counts.requests as f64);
    Figures {
        goodput: measured.iter().filter(good).count() as f64 / REQUESTS_PER_MINUTE as f64,
        refused_upstream: counts.rate_limited as f64 / calls.len() as f64,
        interactive_p99: p99(true),
        batch_p99: p99(false),
    }
}
