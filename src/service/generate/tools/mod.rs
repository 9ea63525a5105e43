//! Maps the tools of a request to the API's.

mod choice;
mod custom;
mod defined;
mod other;
mod shared;
mod toolset;
mod version;
mod web;

use super::content::ContentMapper;
use crate::{claude::tools::Tool, proto::v1, status::Path};
use std::collections::HashSet;

pub use choice::tool_choice;

/// The tools of a request.
pub fn tools(tools: Vec<v1::Tool>, mapper: &mut ContentMapper<'_>) -> Vec<Tool> {
    let mut mapped = Vec::with_capacity(tools.len());
    // Where each is in the request, which has those that are refused too.
    let mut positions = Vec::with_capacity(tools.len());
    for (index, mut tool) in tools.into_iter().enumerate() {
        let path = Path::root("tools").item(index);
        let tool = match (tool.other_json.is_empty(), tool.defined.take()) {
            (true, None) => Some(Tool::Custom(custom::custom(tool, path, mapper))),
            (true, Some(defined)) => {
                Some(Tool::Defined(defined::defined(tool, defined, path, mapper)))
            }
            (false, defined) => {
                tool.defined = defined;
                other::other(tool, path, mapper).map(Tool::Defined)
            }
        };
        if let Some(tool) = tool {
            mapped.push(tool);
            positions.push(index);
        }
    }
    let mut names = HashSet::with_capacity(mapped.len());
    for (index, tool) in positions.into_iter().zip(&mapped) {
        if tool.name().is_empty() || names.insert(tool.name()) {
            continue;
        }
        let path = Path::root("tools").item(index);
        match tool {
            Tool::Custom(_) => mapper.wrong.add(path.field("name"), "must be unique"),
            Tool::Defined(_) => mapper.wrong.add(path, "must have a name of its own"),
        }
    }
    mapped
}
