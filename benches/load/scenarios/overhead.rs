//! What a call costs: CPU seconds of the service with all its defaults on,
//! next to those of the two floors, in turn in one run.
//!
//! All are processes of their own, on the same allocator, called in the same
//! way, in front of the same upstream, which answers at once, and they return
//! the same answers. CPU time is the operating system's account of each
//! process.

use crate::{
    bound, figure,
    floor::{
        call::{Way, connect},
        subject::{Process, Subject},
        upstream::{self, Script, Upstream},
    },
    traffic::{Outcome, closed_loop, quantile, success},
};
use std::time::Duration;

/// Runs of each, in turn: A B C A B C … Many short ones: what else the machine
/// does then falls on all alike, or on a few whose ratios are not the median.
const ROUNDS: usize = 21;
const TIME: Duration = Duration::from_millis(500);
const CALLERS: usize = 16;

/// The maximum that a call may cost, as a multiple of the floor on hyper's
/// client.
fn limit(way: Way) -> f64 {
    match way {
        Way::Generate => 2.3,
        Way::GenerateDefault => 2.3,
        Way::GenerateStream => 1.7,
        Way::Classify => 1.7,
    }
}

pub async fn run() -> bool {
    let upstream = Upstream::start(Script {
        deltas: upstream::DELTAS,
        one_by_one: false,
    })
    .await;
    let processes = Subject::ALL.map(|it| Process::start(it.command(upstream.address)));
    let mut held = true;
    for way in Way::ALL {
        assert_same_answers(way, &processes).await;
        held &= compare(way, &processes).await;
    }
    held
}

/// A floor that returned less than the service would be too low.
async fn assert_same_answers(way: Way, processes: &[Process]) {
    let mut answers = Vec::new();
    for process in processes {
        let mut client = connect(process.address).await;
        answers.push(way.call(&mut client, || {}).await.expect("an answer"));
    }
    for answer in &answers[1..] {
        assert_eq!(*answer, answers[0], "not the service's answer");
    }
}

async fn compare(way: Way, processes: &[Process]) -> bool {
    let name = way.name();
    let mut costs = Subject::ALL.map(|_| Vec::new());
    let mut waits = Subject::ALL.map(|_| Vec::new());
    let mut ratios = Subject::ALL.map(|_| Vec::new());
    // The first round warms up.
    for round in 0..=ROUNDS {
        let mut measured = Vec::new();
        for process in processes {
            measured.push(measure(way, process).await);
        }
        if round == 0 {
            continue;
        }
        for (at, it) in measured.iter().enumerate() {
            costs[at].push(it.cpu_per_call);
            waits[at].push(it.p99);
            ratios[at].push(measured[0].cpu_per_call / it.cpu_per_call);
        }
    }
    for (at, subject) in Subject::ALL.iter().enumerate() {
        let subject = subject.name();
        figure(
            &format!("{name}: CPU of {subject}, µs a call, median"),
            median(&mut costs[at]),
        );
        figure(
            &format!("{name}: p99 of {subject}, ms, median"),
            median(&mut waits[at]),
        );
    }
    let [_, to_hyper, to_reqwest] = &mut ratios;
    figure(
        &format!("{name}: CPU ratio to floor_reqwest, median"),
        median(to_reqwest),
    );
    let (ratio, limit) = (median(to_hyper), limit(way));
    bound(
        &format!("{name}: CPU ratio to floor_hyper, median"),
        ratio,
        ratio <= limit,
        &format!("<= {limit}"),
    )
}

struct Measured {
    cpu_per_call: f64,
    p99: f64,
}

async fn measure(way: Way, process: &Process) -> Measured {
    let client = connect(process.address).await;
    let before = process.cpu();
    let outcomes = closed_loop(CALLERS, TIME, move |_| {
        let mut client = client.clone();
        async move { Outcome::of(way.call(&mut client, || {})).await }
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
