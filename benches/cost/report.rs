//! What is printed, and whether it holds.

use crate::costs::{Costs, PATH, figure, is_above, is_below};

/// Prints a line for each subject and way.
pub fn print(costs: &Costs) {
    println!("{} on {}", costs.compiler, costs.architecture);
    println!(
        "{:<32} {:>14} {:>14} {:>14}",
        "of one call (or event)", "instructions", "allocations", "clock reads"
    );
    for name in costs.counts.keys() {
        let Some(row) = name.strip_suffix(".instructions") else {
            continue;
        };
        let count = |count: &str| figure(costs.counts[&format!("{row}.{count}")]);
        println!(
            "{row:<32} {:>14} {:>14} {:>14}",
            count("instructions"),
            count("allocations"),
            count("clock_reads")
        );
    }
}

/// Compares with what is stored.
pub fn compare(stored: &Costs, measured: &Costs) -> Result<(), String> {
    if stored.compiler != measured.compiler {
        println!(
            "note: the stored counts are of another compiler ({}); if only that moved them, \
             write them anew in a commit of its own",
            stored.compiler
        );
    }
    let is_other_machine = stored.architecture != measured.architecture;
    if is_other_machine {
        println!(
            "note: the stored counts are of {}: instructions are not compared",
            stored.architecture
        );
    }
    let mut wrong = Vec::new();
    for (name, count) in &measured.counts {
        if is_other_machine && name.ends_with(".instructions") {
            continue;
        }
        let Some(old) = stored.counts.get(name) else {
            wrong.push(format!("{name} is not in {PATH}"));
            continue;
        };
        let (old_text, new_text) = (figure(*old), figure(*count));
        if is_above(name, *count, *old) {
            wrong.push(format!("{name} rose: {old_text} -> {new_text}"));
        } else if is_below(name, *count, *old) {
            wrong.push(format!("{name} fell: {old_text} -> {new_text}"));
        }
    }
    for name in stored.counts.keys() {
        if !measured.counts.contains_key(name) {
            wrong.push(format!("{name} is in {PATH} and is not measured"));
        }
    }
    if wrong.is_empty() {
        println!("all counts are within 3 % of {PATH}");
        return Ok(());
    }
    Err(format!(
        "{}\nif this is meant, run `cargo bench --bench cost -- write` and commit the file; the \
         message must name each count that rose",
        wrong.join("\n")
    ))
}
