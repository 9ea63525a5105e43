//! The table of threats in docs/security.md: each test and file that it names
//! exists.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const SECURITY: &str = include_str!("../docs/security.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows below the heading, without those that make the head.
fn rows() -> Vec<Vec<&'static str>> {
    let (_, section) = SECURITY.split_once("\n## Threats\n").expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    lines.skip(1).map(cells).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// The tests of a file, by their names, as `cargo test` finds them: modules
/// within a file are left out but for `kms`, which is named.
fn tests_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let relative = path.strip_prefix(root()).unwrap().with_extension("");
    let parts = relative.iter().skip(1).map(|part| part.to_str().unwrap());
    // The tests of a large file have one of their own.
    let parts = parts.map(|part| part.trim_end_matches("_tests"));
    let module: Vec<&str> = parts
        .filter(|part| !["main", "mod", "tests"].contains(part))
        .collect();
    let (mut tests, mut is_test, mut within) = (Vec::new(), false, "");
    for line in text.lines().map(str::trim) {
        if line == "mod kms {" {
            within = "kms::";
        }
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let name = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("fn ");
        if let Some(name) = name.filter(|_| std::mem::take(&mut is_test)) {
            let name = name.split('(').next().unwrap();
            tests.push(format!("{}::{within}{name}", module.join("::")));
        }
    }
    tests
}

#[test]
fn every_threat_names_a_proof_that_is_there() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests"), &mut files);
    let tests: BTreeSet<String> = files.iter().flat_map(|path| tests_of(path)).collect();
    assert!(tests.len() > 300, "only {} tests were found", tests.len());

    let rows = rows();
    assert!(rows.len() > 20, "only {} threats were found", rows.len());
    for row in rows {
        let [threat, _, proof] = row[..] else {
            panic!("{row:?} has not three cells");
        };
        let mut proofs = 0;
        for name in quoted(proof) {
            let is_there = if name.contains("::") {
                tests.contains(name)
            } else {
                root().join(name).exists()
            };
            assert!(is_there, "{threat}: there is no {name}");
            proofs += 1;
        }
        assert!(proofs > 0, "{threat} has no proof");
    }
}

/// What the table says of unsafe code.
#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let lints = manifest["lints"]["rust"].as_table().unwrap();
    assert_eq!(lints["unsafe_code"].as_str(), Some("forbid"));
}
