//! What a call costs, counted: instructions, allocations and clock reads of
//! the service and of the two floors, each on each way to ask.
//!
//! Time depends on the machine and on what else runs there; counts do not. The
//! process under test runs under valgrind's callgrind and answers calls that
//! come one after the other on one connection. Its caller and its upstream are
//! in this process, outside of the count. Each cost is the difference between
//! a run of N calls and one of 2N, divided by N.
//!
//! `cargo bench --bench cost` compares with `benches/cost/costs.toml` and
//! fails when a count is more than 3 % above it; `-- write` writes that file;
//! `-- history` only checks that each commit that raised a count names it.

mod callgrind;
mod costs;
#[path = "../floor/mod.rs"]
#[allow(dead_code)] // Some of it is for the benchmark `load`.
mod floor;
mod history;
mod measure;
mod report;

use costs::Costs;
use std::{fs, process::ExitCode};
use tikv_jemallocator::Jemalloc;

/// The service's allocator: this program is also the floors.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const USAGE: &str = "usage: cargo bench --bench cost -- [check|write|history]";

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    if let Some(code) = floor::run(&arguments) {
        return code;
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] | ["check"] => check(),
        ["write"] => write(),
        ["history"] => history::check(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), String> {
    let stored = Costs::read()?;
    // First what takes no time.
    history::check()?;
    let measured = measure::all();
    report::print(&measured);
    report::compare(&stored, &measured)
}

fn write() -> Result<(), String> {
    let measured = measure::all();
    report::print(&measured);
    fs::write(costs::PATH, measured.to_text())
        .map_err(|error| format!("failed to write {}: {error}", costs::PATH))?;
    println!("written to {}", costs::PATH);
    history::check()
}
