//! What the system says about the process (Linux).

use super::family::Family;
use crate::telemetry::names::metric as m;
use std::fs;

/// Ticks per second in `/proc`: a constant of the Linux ABI.
const TICKS: f64 = 100.0;

/// Bytes per page.
const PAGE: f64 = 4096.0;

/// CPU time, memory and start time of the process, where `/proc` provides them.
pub fn families() -> Vec<Family> {
    let mut families = Vec::new();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program name is in parentheses and may contain spaces.
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    // Fields 14, 15, 22 and 24 of proc(5); the first here is its third.
    if let [user, system] = [11, 12].map(|at| fields.get(at).copied())
        && let (Some(user), Some(system)) = (user, system)
    {
        families.push(Family::single(&m::CPU, (user + system) / TICKS));
    }
    if let Some(pages) = fields.get(21) {
        families.push(Family::single(&m::MEMORY, pages * PAGE));
    }
    if let (Some(started), Some(boot)) = (fields.get(19), boot_time()) {
        families.push(Family::single(&m::STARTED, boot + started / TICKS));
    }
    families
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}
