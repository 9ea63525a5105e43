//! ARCHITECTURE.md's maps, held to the code: the table of imports has every
//! arrow of `src/` and no other, it has no circle, and the circles of files
//! within a module are those that it names.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

mod circles;
mod document;
mod imports;
mod names;

use circles::circles;
use std::collections::{BTreeMap, BTreeSet};

/// Modules, or files, and what each of them imports.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// Circles of files that are one idea each; more are a sign of two.
const MAX_CIRCLES: usize = 3;

#[test]
fn the_table_has_every_import_and_no_other() {
    let table = document::table();
    let imports = imports::of_modules();
    let modules: BTreeSet<&String> = imports.keys().collect();
    let rows: BTreeSet<&String> = table.keys().collect();
    assert_eq!(rows, modules, "a row for each module of src/");
    for (module, imported) in &imports {
        assert_eq!(
            &table[module], imported,
            "what `{module}` may import (left) and does import (right)"
        );
    }
}

#[test]
fn modules_import_each_other_in_no_circle() {
    assert_eq!(circles(&document::table()), Vec::<BTreeSet<String>>::new());
    assert_eq!(
        circles(&imports::of_modules()),
        Vec::<BTreeSet<String>>::new()
    );
}

#[test]
fn the_circles_of_files_are_those_that_are_named() {
    let found = circles(&imports::of_files());
    assert_eq!(found, document::circles());
    assert!(found.len() <= MAX_CIRCLES, "{} circles", found.len());
}

#[test]
fn upstream_and_access_know_no_grpc_and_only_status_makes_statuses() {
    for (file, uses) in imports::external("tonic") {
        let module = file.split(['/', '.']).next().unwrap();
        let is_client = file == "access/signature/sign.rs" || file == "access/signature/message.rs";
        match module {
            "upstream" | "store" | "secrets" | "claude" | "call" => {
                panic!("{file} uses {uses:?}");
            }
            "access" => assert!(is_client, "{file} uses {uses:?}"),
            _ => {}
        }
    }
    for (file, uses) in imports::external("tonic_types") {
        let makes = file.starts_with("status/");
        let reads = file.starts_with("cli/client/") || file.starts_with("telemetry/");
        let serves = file == "server/reflection.rs";
        assert!(makes || reads || serves, "{file} uses {uses:?}");
    }
}

#[test]
fn each_type_name_stands_for_one_type() {
    let twice = names::homonyms();
    assert!(twice.is_empty(), "{twice:#?}");
}
