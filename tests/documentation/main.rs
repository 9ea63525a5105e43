//! The parts of the documentation that are generated from the code: a test fails
//! when one of them is stale, and `UPDATE_DOCS=1 cargo test --test documentation`
//! rewrites them.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod configuration;
mod errors;
mod host_features;
mod metrics;
mod models;

use std::{env, fs, path::Path};

/// Compares a whole file with what it must be, or rewrites it.
fn hold_file(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let written = fs::read_to_string(&path).unwrap();
    if written == generated {
        return;
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, generated).unwrap();
        return;
    }
    let differing = written.lines().zip(generated.lines());
    let line = differing.take_while(|(left, right)| left == right).count() + 1;
    panic!("{name} is stale from line {line}; run: UPDATE_DOCS=1 cargo test --test documentation");
}

/// The same for the part of a file between `<!-- generated: SUBJECT -->` and
/// `<!-- end -->`.
fn hold_section(name: &str, subject: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let written = fs::read_to_string(path).unwrap();
    let (start, end) = (format!("<!-- generated: {subject} -->\n"), "<!-- end -->");
    let (before, rest) = written
        .split_once(&start)
        .expect("the start of the section");
    let (_, after) = rest.split_once(end).expect("the end of the section");
    hold_file(name, &format!("{before}{start}\n{generated}\n{end}{after}"));
}

/// A row of a table.
fn row<const CELLS: usize>(cells: [&str; CELLS]) -> String {
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}
