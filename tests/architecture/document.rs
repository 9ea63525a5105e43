//! What ARCHITECTURE.md says.

use super::Graph;
use std::collections::BTreeSet;

const DOCUMENT: &str = include_str!("../../ARCHITECTURE.md");

/// The section below a heading.
fn section(heading: &str) -> &'static str {
    let (_, section) = DOCUMENT
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("ARCHITECTURE.md has a section {heading}"));
    section.split("\n## ").next().unwrap()
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The table of modules: what each may import. A row may be for several.
pub fn table() -> Graph {
    let mut table = Graph::new();
    for line in section("Map").lines().filter(|it| it.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [modules, _, imports] = cells[..] else {
            panic!("three columns: {line}");
        };
        for module in quoted(modules) {
            let imports: BTreeSet<String> = quoted(imports).collect();
            assert!(table.insert(module, imports).is_none(), "twice: {line}");
        }
    }
    table
}

/// The circles of files that are one idea: the files of each, as one item of a
/// list.
pub fn circles() -> Vec<BTreeSet<String>> {
    let items = section("Circles").split("\n- ").skip(1);
    let mut circles: Vec<BTreeSet<String>> = items
        .map(|item| quoted(item).filter(|it| it.ends_with(".rs")).collect())
        .collect();
    circles.sort();
    circles
}
