//! Holds the history to its promise: a commit that raises a stored count by
//! more than 3 % names it in its message.
//!
//! Each count is compared with its reference: the lowest value since it was
//! last raised by name. So it cannot creep up by 2 % a commit.

use crate::costs::{Costs, PATH, figure, is_above};
use std::{collections::BTreeMap, process::Command};

type References = BTreeMap<String, f64>;

/// Checks every commit that touched the file. What is not committed yet is
/// only told: its message is still to be written.
pub fn check() -> Result<(), String> {
    let Ok(is_shallow) = git(&["rev-parse", "--is-shallow-repository"]) else {
        println!("note: this is not a git checkout; the history of {PATH} is not checked");
        return Ok(());
    };
    if is_shallow.trim() == "true" {
        return Err("the clone is shallow: fetch the whole history (git fetch --unshallow)".into());
    }
    let log = git(&[
        "log",
        "--reverse",
        "--topo-order",
        "--format=%H",
        "--",
        PATH,
    ])?;
    let mut references = References::new();
    let mut wrong = Vec::new();
    for commit in log.lines() {
        let Ok(text) = git(&["show", &format!("{commit}:{PATH}")]) else {
            // It was removed, or stood elsewhere.
            continue;
        };
        let message = git(&["log", "-1", "--format=%B", commit])?;
        for raised in raise(&mut references, &Costs::parse(&text)?, &message) {
            wrong.push(format!("commit {}: {raised}", &commit[..10]));
        }
    }
    if !wrong.is_empty() {
        return Err(format!(
            "a commit raised a count and does not name it in its message:\n{}",
            wrong.join("\n")
        ));
    }
    println!("each commit that raised a count of {PATH} names it");
    if let Ok(now) = Costs::read() {
        let raised = raise(&mut references, &now, "");
        if !raised.is_empty() {
            println!("not committed yet; the message must have these lines:");
        }
        for raised in raised {
            println!("Cost: {raised}, buys <what>");
        }
    }
    Ok(())
}

/// Moves the references on by one version of the file. Returns what it raised
/// without naming it.
fn raise(references: &mut References, costs: &Costs, message: &str) -> Vec<String> {
    let mut unnamed = Vec::new();
    for (name, count) in &costs.counts {
        let reference = references.entry(name.clone()).or_insert(*count);
        if is_above(name, *count, *reference) {
            if !is_named(name, message) {
                unnamed.push(format!(
                    "{name} {} -> {}",
                    figure(*reference),
                    figure(*count)
                ));
            }
            *reference = *count;
        }
        *reference = reference.min(*count);
    }
    unnamed
}

/// Whether a line of the message says what the count bought.
fn is_named(name: &str, message: &str) -> bool {
    let mut trailers = message.lines().filter_map(|it| it.strip_prefix("Cost: "));
    trailers.any(|it| it.split(' ').next() == Some(name) && it.contains("buys "))
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(arguments).output();
    let output = output.map_err(|error| format!("failed to run git: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
