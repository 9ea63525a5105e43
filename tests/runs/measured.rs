//! How long a run takes, which depends on the machine.

use crate::world::{LABELS, World};
use std::time::{Duration, Instant};

const DOCUMENTS: u32 = 640;
const JOBS: u32 = 32;

/// What the API takes for a call.
const LATENCY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures time, in .ci/nightly"]
async fn a_run_takes_little_more_than_its_calls() {
    let world = World::new(DOCUMENTS as usize, LATENCY).await;
    let jobs = JOBS.to_string();
    let rest = ["documents", "--output", "out.jsonl", "--jobs", &jobs];
    let began = Instant::now();
    let output = world
        .run(&[&["classify"][..], &LABELS, &rest].concat())
        .await;
    let elapsed = began.elapsed();
    assert!(output.status.success(), "{output:?}");
    let ideal = LATENCY * DOCUMENTS / JOBS;
    let ratio = elapsed.as_secs_f64() / ideal.as_secs_f64();
    println!("{elapsed:?}, {ratio:.3} times the ideal");
    assert!(ratio <= 1.05, "{ratio:.3} times the ideal");
}
