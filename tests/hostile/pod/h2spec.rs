//! h2spec, which others wrote, against the port of a pod.

use super::process::{Pod, Variant};
use crate::attacker::GENERATE;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The cases that fail, with the reasons.
const EXCEPTIONS: &str = include_str!("../h2spec/exceptions");

/// How often it runs at most. A case fails if it never passes: the service answers some
/// requests before their violation arrives (RFC 9113, 8.1), and h2spec then reads
/// the answer in place of the error.
const RUNS: usize = 10;

type Cases = BTreeSet<(String, String)>;

#[test]
#[ignore = "needs Go"]
fn the_port_in_plaintext() {
    conforms("plaintext", Variant::default());
}

#[test]
#[ignore = "needs Go"]
fn the_port_with_tls() {
    let variant = Variant {
        tls: true,
        ..Variant::default()
    };
    conforms("TLS", variant);
}

fn conforms(port: &str, variant: Variant) {
    let program = build();
    let mut pod = Pod::start(variant);
    let report = tempfile::NamedTempFile::new().unwrap();
    let listed = listed(port);
    let mut failed = run(&program, &pod, report.path());
    for _ in 1..RUNS {
        if failed.is_subset(&listed) {
            break;
        }
        let again = run(&program, &pod, report.path());
        failed.retain(|case| again.contains(case));
    }
    assert_eq!(pod.end(), None);
    let unlisted: Vec<_> = failed.difference(&listed).collect();
    assert!(unlisted.is_empty(), "not listed: {unlisted:#?}");
    let passed: Vec<_> = listed.difference(&failed).collect();
    assert!(passed.is_empty(), "listed, and passed: {passed:#?}");
}

/// Section and title of each exception for this port.
fn listed(port: &str) -> Cases {
    let lines = EXCEPTIONS.lines().filter(|line| !line.starts_with('#'));
    let cells = lines.map(|line| line.split(" | ").collect::<Vec<_>>());
    cells
        .filter(|cells| cells[0] == port)
        .map(|cells| {
            assert!(cells.len() == 4 && !cells[3].is_empty(), "{cells:?}");
            (cells[1].to_owned(), cells[2].to_owned())
        })
        .collect()
}

/// Runs all cases, also those of what is only recommended; returns those that fail.
fn run(program: &Path, pod: &Pod, report: &Path) -> Cases {
    let mut command = Command::new(program);
    command
        .args(["--strict", "--path", GENERATE, "--junit-report"])
        .arg(report)
        .args(["--port", &pod.address.port().to_string()])
        .stdout(Stdio::null());
    if pod.ca.is_some() {
        command.args(["--tls", "--insecure"]);
    }
    // Its status says that a case failed.
    command.status().unwrap();
    let report = std::fs::read_to_string(report).unwrap();
    let cases: Vec<&str> = report.split("<testcase ").skip(1).collect();
    assert!(cases.len() > 140, "only {} cases ran", cases.len());
    let failed = cases
        .iter()
        .filter(|case| case.contains("<failure>") || case.contains("<error>"));
    failed
        .map(|case| (attribute(case, "package"), attribute(case, "classname")))
        .collect()
}

fn attribute(case: &str, name: &str) -> String {
    let (_, rest) = case.split_once(&format!("{name}=\"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn build() -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("h2spec");
    let done = Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&file)
        .arg("github.com/summerwind/h2spec/cmd/h2spec")
        .current_dir("tests/hostile/h2spec")
        .status();
    assert!(done.unwrap().success(), "h2spec does not build");
    file
}
