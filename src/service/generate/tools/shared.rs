//! Maps what several kinds of tools have in common.

use crate::{
    claude::raw::RawObject,
    service::generate::{
        json,
        tool_name::{NOT_A_TOOL_NAME, is_tool_name},
    },
    status::{Path, Violations},
};

/// Who may call a tool.
pub fn allowed_callers(
    callers: Vec<String>,
    path: Path<'_>,
    wrong: &mut Violations,
) -> Vec<String> {
    for (index, caller) in callers.iter().enumerate() {
        if !is_tool_name(caller) {
            let path = path.field("allowed_callers").item(index);
            wrong.add(path, NOT_A_TOOL_NAME);
        }
    }
    callers
}

/// Example inputs of a tool.
pub fn input_examples(
    examples: Vec<String>,
    path: Path<'_>,
    wrong: &mut Violations,
) -> Vec<RawObject> {
    let mut mapped = Vec::with_capacity(examples.len());
    for (index, example) in examples.into_iter().enumerate() {
        let path = path.field("input_examples_json").item(index);
        mapped.extend(json::raw_object(example, path, wrong));
    }
    mapped
}

/// A number that must be at least 1.
pub fn at_least_one(value: Option<i32>, path: Path<'_>, wrong: &mut Violations) -> Option<u32> {
    let value = u32::try_from(value?).unwrap_or(0);
    if value == 0 {
        wrong.add(path, "must be at least 1");
    }
    Some(value)
}
