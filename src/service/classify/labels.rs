//! The labels of a request.

use super::look::look;
use crate::{
    proto::v1,
    service::text,
    status::{Path, Violations},
};
use std::collections::HashMap;

/// Those beyond are not looked at.
pub const MAX_LABELS: usize = 200;
const MAX_NAME: usize = 100;
const MAX_DESCRIPTION: usize = 2000;
const MAX_EXAMPLES: usize = 20;
const MAX_EXAMPLE: usize = 4000;

/// Checks the labels: their number, and that no two names look the same.
pub fn check(labels: &[v1::Label], one_is_enough: bool, wrong: &mut Violations) {
    let path = Path::root("labels");
    let fewest = if one_is_enough { 1 } else { 2 };
    if labels.len() < fewest || labels.len() > MAX_LABELS {
        wrong.add(
            path,
            format!("must contain {fewest} to {MAX_LABELS} labels"),
        );
    }
    let labels = &labels[..labels.len().min(MAX_LABELS)];
    let mut looks = HashMap::with_capacity(labels.len());
    for (index, label) in labels.iter().enumerate() {
        check_label(label, path.item(index), wrong);
        let name = path.item(index);
        let name = name.field("name");
        let look = look(&label.name);
        if look.is_empty() {
            if !label.name.trim().is_empty() {
                wrong.add(name, "must have a visible character");
            }
        } else if let Some(first) = looks.get(&look) {
            let other = path.item(*first);
            let other = other.field("name");
            wrong.add(name, format!("must be unique: looks like {other}"));
        } else {
            looks.insert(look, index);
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
