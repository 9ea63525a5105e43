//! The table of what was measured, in a file that the step of CI prints.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One attack.
pub struct Row {
    pub name: String,
    /// Bytes that the attacker sent.
    pub sent: u64,
    /// The maximum of the resident memory, in bytes; `None` if it was killed.
    pub peak: Option<u64>,
    pub has_cgroup: bool,
    /// What the attacker got, with how often it did.
    pub got: BTreeMap<String, u64>,
    pub good_calls: usize,
    pub failed_calls: usize,
    pub p99_quiet: Duration,
    pub p99_attacked: Duration,
    /// Which bounds it missed.
    pub failures: Vec<String>,
}

/// Appends a row. The first one of a run begins a new table.
pub fn write(row: &Row) {
    static BEGUN: Mutex<bool> = Mutex::new(false);
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("attacks.txt");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(*begun)
        .truncate(!*begun)
        .open(path)
        .unwrap();
    if !*begun {
        if !row.has_cgroup {
            let reason = "none can be made here; only resident memory is compared";
            writeln!(file, "--- memory cgroup of the attacks skipped: {reason}").unwrap();
        }
        writeln!(
            file,
            "{:<48} {:>9} {:>8} {:>12} {:>14}  the attacker got",
            "attack", "sent", "memory", "good calls", "p99, without"
        )
        .unwrap();
        *begun = true;
    }
    let peak = row.peak.map_or_else(
        || "killed".to_owned(),
        |peak| format!("{} MiB", peak.div_ceil(1 << 20)),
    );
    let milliseconds = |time: Duration| (time.as_secs_f64() * 1000.0).round();
    let calls = format!("{}/{}", row.good_calls - row.failed_calls, row.good_calls);
    let p99 = format!(
        "{}, {} ms",
        milliseconds(row.p99_attacked),
        milliseconds(row.p99_quiet)
    );
    let mut got: Vec<_> = row.got.iter().collect();
    got.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let got: Vec<String> = got
        .into_iter()
        .map(|(what, count)| format!("{what} ×{count}"))
        .collect();
    let verdict = if row.failures.is_empty() {
        String::new()
    } else {
        format!("  MISSED: {:.120}", row.failures[0])
    };
    writeln!(
        file,
        "{:<48} {:>6} KB {peak:>8} {calls:>12} {p99:>14}  {}{verdict}",
        row.name,
        row.sent / 1000,
        got.join(", "),
    )
    .unwrap();
}
