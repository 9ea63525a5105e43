//! Load runs: the service under traffic, faults and limits, over real sockets.
//!
//! `cargo bench --bench load -- SCENARIO` runs one, without a scenario the
//! short ones. Each prints its figures beside its bounds and fails when one is
//! missed. Bounds are ratios and counts; absolute times depend on the machine.

#[path = "../floor/mod.rs"]
#[allow(dead_code)] // Some of it is for the benchmark `cost`.
mod floor;
#[path = "../../tests/replicas/process.rs"]
mod process;
#[path = "../../tests/replicas/redis_server.rs"]
#[allow(dead_code)] // It is not stopped in the middle of a run here.
mod redis_server;
mod relay;
mod rig;
mod scenarios;
mod traffic;

use rig::Protocol;
use scenarios::{checklist, failover, faults, outage, overhead, pool, quota, replicas, soak};
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// The service's allocator: this program is also the floors.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const USAGE: &str =
    "scenarios: checklist, failover, faults, outage, overhead, pool, quota, replicas, soak";

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    if let Some(code) = floor::run(&named) {
        return code;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let all = [
        "checklist",
        "failover",
        "faults",
        "outage",
        "overhead",
        "pool",
        "quota",
        "replicas",
    ];
    let chosen: Vec<&str> = match &named[..] {
        [] => all.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    let mut held = true;
    for name in chosen {
        println!("\n=== {name}");
        held &= match name {
            "checklist" => runtime.block_on(over_each(checklist::run)),
            "failover" => runtime.block_on(failover::run()),
            "faults" => runtime.block_on(over_each(faults::run)),
            "outage" => runtime.block_on(over_each(outage::run)),
            "overhead" => runtime.block_on(overhead::run()),
            "pool" => runtime.block_on(pool::run()),
            "quota" => runtime.block_on(quota::run()),
            "replicas" => runtime.block_on(replicas::run()),
            "soak" => runtime.block_on(over_each(soak::run)),
            other => {
                eprintln!("there is no scenario {other}; {USAGE}");
                return ExitCode::from(2);
            }
        };
    }
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a scenario over each protocol, one after the other.
async fn over_each(scenario: impl AsyncFn(Protocol) -> bool) -> bool {
    let mut held = true;
    for protocol in Protocol::ALL {
        println!("over {}", protocol.name());
        held &= scenario(protocol).await;
    }
    held
}

/// Prints one figure beside its bound; tells whether it holds.
fn bound(what: &str, figure: f64, holds: bool, bound: &str) -> bool {
    let verdict = if holds { "ok" } else { "MISSED" };
    println!("{what:<52} {figure:>12.4}   {bound:<12} {verdict}");
    holds
}

/// Prints one figure that has no bound.
fn figure(what: &str, figure: f64) {
    println!("{what:<52} {figure:>12.4}");
}
