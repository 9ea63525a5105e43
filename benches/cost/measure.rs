//! Runs each subject on each way to ask.
//!
//! What makes counts vary is which of several threads wakes up, and whether
//! one is still busy when the next thing happens. So there is one worker
//! thread, and each request, answer and delta waits until the process under
//! test sleeps.

use crate::{
    callgrind::{self, Totals},
    costs::Costs,
    floor::{
        call::{Way, connect},
        subject::{Process, Subject},
        upstream::{DELTAS, Script, Upstream},
    },
};
use std::{fs, path::Path, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet};

/// Calls before any is counted.
const WARM_UP: usize = 20;

/// N: calls of the shorter run; twice as many are in the longer one.
const CALLS: usize = 200;

/// The same, for a stream whose deltas come one by one.
const PACED_STREAMS: usize = 40;

/// A run with a script of its own.
#[derive(Debug, Clone, Copy)]
struct Case {
    subject: Subject,
    way: Way,
    deltas: usize,
    one_by_one: bool,
}

impl Case {
    fn calls(self) -> usize {
        if self.one_by_one {
            PACED_STREAMS
        } else {
            CALLS
        }
    }
}

/// Measures everything.
pub fn all() -> Costs {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut costs = Costs::here();
        for subject in Subject::ALL {
            add(subject, &mut costs).await;
        }
        costs
    })
}

async fn add(subject: Subject, costs: &mut Costs) {
    let stream = |deltas, one_by_one| Case {
        subject,
        way: Way::GenerateStream,
        deltas,
        one_by_one,
    };
    let ways = Way::ALL.map(|way| Case {
        way,
        ..stream(DELTAS, false)
    });
    let streams = [
        stream(2 * DELTAS, false),
        stream(DELTAS, true),
        stream(2 * DELTAS, true),
    ];
    let per_call = per_call(&[&ways[..], &streams].concat()).await;
    let (calls, streams) = per_call.split_at(ways.len());
    let mut whole_stream = Totals::default();
    for (case, totals) in ways.iter().zip(calls) {
        record(costs, subject, case.way.name(), *totals);
        if case.way == Way::GenerateStream {
            whole_stream = *totals;
        }
    }
    let events = [
        ("streamed_event", streams[0], whole_stream),
        ("paced_event", streams[2], streams[1]),
    ];
    for (name, longer, shorter) in events {
        record(costs, subject, name, difference(longer, shorter, DELTAS));
    }
}

fn record(costs: &mut Costs, subject: Subject, name: &str, totals: Totals) {
    let prefix = format!("{}.{name}", subject.name());
    for (count, figure) in [
        ("instructions", totals.instructions.round()),
        ("allocations", hundredths(totals.allocations)),
        ("clock_reads", hundredths(totals.clock_reads)),
    ] {
        costs.counts.insert(format!("{prefix}.{count}"), figure);
    }
}

/// The cost of one call of each case.
async fn per_call(cases: &[Case]) -> Vec<Totals> {
    let cores = std::thread::available_parallelism().map_or(1, |it| it.get());
    let turns = Arc::new(Semaphore::new(cores));
    let directory = tempfile::tempdir().expect("a directory for the profiles");
    let mut runs = JoinSet::new();
    for (index, case) in cases.iter().copied().enumerate() {
        for times in [1, 2] {
            let turns = turns.clone();
            let output = directory.path().join(format!("{index}-{times}"));
            runs.spawn(async move {
                let _turn = turns.acquire_owned().await.expect("it stays open");
                (index, times, run(case, times * case.calls(), &output).await)
            });
        }
    }
    let mut totals = vec![[Totals::default(); 2]; cases.len()];
    for (index, times, total) in runs.join_all().await {
        totals[index][times - 1] = total;
    }
    let pairs = totals.iter().zip(cases);
    pairs
        .map(|([once, twice], case)| difference(*twice, *once, case.calls()))
        .collect()
}

/// Counts a process from its start to its end.
async fn run(case: Case, calls: usize, output: &Path) -> Totals {
    let upstream = Upstream::start(Script {
        deltas: case.deltas,
        one_by_one: case.one_by_one,
    })
    .await;
    let command = callgrind::wrap(&case.subject.command(upstream.address), output);
    let process = tokio::task::block_in_place(|| Process::start(command));
    upstream.idle.watch(process.id());
    let mut client = connect(process.address).await;
    for _ in 0..WARM_UP + calls {
        upstream.idle.wait().await;
        let answer = case.way.call(&mut client, || upstream.send_next()).await;
        answer.unwrap_or_else(|status| panic!("{case:?} failed: {status}"));
    }
    drop(client);
    upstream.idle.wait().await;
    tokio::task::block_in_place(|| process.terminate());
    let profile = fs::read_to_string(output).expect("callgrind writes its profile");
    callgrind::read(&profile)
}

fn difference(more: Totals, less: Totals, by: usize) -> Totals {
    let each = |more: f64, less: f64| (more - less) / by as f64;
    Totals {
        instructions: each(more.instructions, less.instructions),
        allocations: each(more.allocations, less.allocations),
        clock_reads: each(more.clock_reads, less.clock_reads),
    }
}

fn hundredths(count: f64) -> f64 {
    (count * 100.0).round() / 100.0
}
