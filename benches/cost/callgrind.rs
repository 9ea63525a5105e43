//! Running a program under callgrind, and reading what it counted.

use std::{collections::HashMap, path::Path, process::Command};

/// What a call to the allocator is: jemalloc's functions, and the C library's
/// for what is written in C.
const ALLOCATIONS: [&str; 12] = [
    "_rjem_malloc",
    "_rjem_mallocx",
    "_rjem_calloc",
    "_rjem_realloc",
    "_rjem_rallocx",
    "malloc",
    "calloc",
    "realloc",
    "aligned_alloc",
    "memalign",
    "posix_memalign",
    "reallocarray",
];

const CLOCK_READS: [&str; 3] = ["clock_gettime", "gettimeofday", "time"];

/// Totals of one run of a program.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    pub instructions: f64,
    pub allocations: f64,
    pub clock_reads: f64,
}

/// The same command, under callgrind, with nothing of this environment and
/// with one worker thread: which of several wakes up is chance.
pub fn wrap(command: &Command, output: &Path) -> Command {
    let mut wrapped = Command::new("valgrind");
    wrapped
        .args([
            "--tool=callgrind",
            "--quiet",
            "--vgdb=no",
            "--fair-sched=try",
        ])
        .args(["--demangle=no", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TOKIO_WORKER_THREADS", "1");
    for (name, value) in command.get_envs() {
        wrapped.env(name, value.unwrap_or_default());
    }
    wrapped
}

/// Reads the totals out of callgrind's profile.
pub fn read(profile: &str) -> Totals {
    let mut totals = Totals::default();
    let mut by_callee: HashMap<&str, f64> = HashMap::new();
    let (mut caller, mut callee) = ("", "");
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            caller = bare(name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = bare(name);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let count = calls.split(' ').next().and_then(|it| it.parse().ok());
            let count: f64 = count.expect("a number of calls");
            // The allocator's functions call each other.
            if !is_allocator(caller) {
                *by_callee.entry(callee).or_default() += count;
            }
        } else if let Some(total) = line.strip_prefix("totals: ") {
            totals.instructions = total.trim().parse().expect("a number of instructions");
        }
    }
    let sum = |names: &[&str]| names.iter().filter_map(|it| by_callee.get(it)).sum();
    totals.allocations = sum(&ALLOCATIONS);
    totals.clock_reads = sum(&CLOCK_READS);
    totals
}

/// A function's name without the symbol's version and callgrind's marks.
fn bare(name: &str) -> &str {
    let end = name.find(['@', '\'']).unwrap_or(name.len());
    &name[..end]
}

fn is_allocator(name: &str) -> bool {
    name.starts_with("_rjem_") || ALLOCATIONS.contains(&name)
}
