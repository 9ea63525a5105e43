//! What a call costs: CPU seconds of the service with all its defaults on,
//! beside those of a bare forwarder from tonic to hyper, in turn in one run.
//!
//! Both are processes of their own, called in the same way, in front of the
//! same upstream, which answers at once. CPU time is the operating system's
//! account of each process.

pub mod forwarder;
mod process;
mod upstream;

use crate::{
    bound, figure, rig,
    traffic::{Outcome, ask, closed_loop, quantile, success},
};
use process::Process;
use std::time::Duration;

/// Runs of each, in turn: A B A B …
const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_secs(3);
const CALLERS: usize = 16;
const DEADLINE: Duration = Duration::from_secs(10);

/// What the service may cost beside a bare forwarder.
const MOST: f64 = 1.5;

pub async fn run() -> bool {
    let upstream = upstream::start().await;
    let forwarder = Process::forwarder(upstream);
    let service = Process::service(upstream);
    let mut ratios = Vec::new();
    let mut costs = [Vec::new(), Vec::new()];
    let mut waits = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        let bare = measure(&forwarder).await;
        let full = measure(&service).await;
        // The first round warms up.
        if round == 0 {
            continue;
        }
        for (at, measured) in [(0, &bare), (1, &full)] {
            costs[at].push(measured.cpu_per_call);
            waits[at].push(measured.p99);
        }
        ratios.push(full.cpu_per_call / bare.cpu_per_call);
        println!(
            "forwarder {:6.1} µs a call   service {:6.1} µs a call   ratio {:.3}",
            bare.cpu_per_call,
            full.cpu_per_call,
            full.cpu_per_call / bare.cpu_per_call
        );
    }
    figure(
        "CPU of the forwarder, µs a call, median",
        median(&mut costs[0]),
    );
    figure(
        "CPU of the service, µs a call, median",
        median(&mut costs[1]),
    );
    figure("p99 of the forwarder, ms, median", median(&mut waits[0]));
    figure("p99 of the service, ms, median", median(&mut waits[1]));
    let ratio = median(&mut ratios);
    bound("CPU ratio, median", ratio, ratio <= MOST, "<= 1.5")
}

struct Measured {
    cpu_per_call: f64,
    p99: f64,
}

async fn measure(process: &Process) -> Measured {
    let client = rig::client(process.address).await;
    let before = process.cpu();
    let outcomes = closed_loop(CALLERS, TIME, move |_| {
        let mut client = client.clone();
        async move { Outcome::of(client.generate(ask("hello".to_owned(), DEADLINE))).await }
    })
    .await;
    assert!(
        success(&outcomes) == 1.0,
        "a call failed: the figures mean nothing"
    );
    let cpu = process.cpu() - before;
    Measured {
        cpu_per_call: cpu.as_secs_f64() * 1e6 / outcomes.len() as f64,
        p99: quantile(outcomes.iter().map(|it| it.took), 0.99),
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
