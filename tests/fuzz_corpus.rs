//! What the fuzz targets have found or begin with, as tests: each file of
//! `fuzz/corpus` through the property of its target.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/src/lib.rs"]
mod properties;

use properties::{Check, TARGETS};
use std::{collections::BTreeSet, fs, panic, path::Path};

fn fuzz(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(path)
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_corpus_file_keeps_the_property_of_its_target() {
    let mut failed = Vec::new();
    for (target, check) in TARGETS {
        let mut tried = 0;
        for entry in fs::read_dir(fuzz("corpus").join(target)).unwrap() {
            let path = entry.unwrap().path();
            tried += 1;
            if !holds(check, &fs::read(&path).unwrap()) {
                failed.push(path);
            }
        }
        assert!(tried > 0, "{target} has no corpus");
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn holds(check: Check, data: &[u8]) -> bool {
    panic::catch_unwind(|| check(data)).is_ok()
}

/// A target that is in no list is run by nobody.
#[test]
fn targets_binaries_and_corpora_are_the_same() {
    let listed: BTreeSet<String> = TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names("fuzz_targets"), listed);
    assert_eq!(names("corpus"), listed);
}
