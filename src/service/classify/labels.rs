//! The labels of a request.

use crate::{
    proto::v1,
    service::text,
    status::{Path, Violations},
};
use std::collections::HashSet;

const MAX_LABELS: usize = 200;
const MAX_NAME: usize = 100;
const MAX_DESCRIPTION: usize = 2000;
const MAX_EXAMPLES: usize = 20;
const MAX_EXAMPLE: usize = 4000;

/// Checks the labels: their number, and that their names are distinct.
pub fn check(labels: &[v1::Label], one_is_enough: bool, wrong: &mut Violations) {
    let path = Path::root("labels");
    let fewest = if one_is_enough { 1 } else { 2 };
    if labels.len() < fewest || labels.len() > MAX_LABELS {
        wrong.add(
            path,
            format!("must contain {fewest} to {MAX_LABELS} labels"),
        );
    }
    let mut names = HashSet::with_capacity(labels.len().min(MAX_LABELS));
    for (index, label) in labels.iter().enumerate() {
        check_label(label, path.item(index), wrong);
        // Names that differ only in case or surrounding whitespace could not be
        // distinguished by a reader, nor by a model.
        let name = label.name.trim().to_lowercase();
        if !name.is_empty() && !names.insert(name) {
            let item = path.item(index);
            wrong.add(item.field("name"), "must be unique");
        }
    }
}

fn check_label(label: &v1::Label, path: Path<'_>, wrong: &mut Violations) {
    let name = path.field("name");
    text::required(&label.name, name, wrong);
    text::at_most(&label.name, MAX_NAME, name, wrong);
    if label.name.chars().any(char::is_control) {
        wrong.add(name, "must not contain control characters");
    }
    text::at_most(
        &label.description,
        MAX_DESCRIPTION,
        path.field("description"),
        wrong,
    );
    if label.examples.len() > MAX_EXAMPLES {
        wrong.add(
            path.field("examples"),
            format!("must contain at most {MAX_EXAMPLES} examples"),
        );
    }
    for (index, example) in label.examples.iter().enumerate() {
        let example_path = path.field("examples").item(index);
        text::required(example, example_path, wrong);
        text::at_most(example, MAX_EXAMPLE, example_path, wrong);
    }
}
