//! Maps tools and the tool choice to the API's.

use super::{
    content::{ContentMapper, non_empty},
    json::{self, CheckedSchema},
    tool_name::{NOT_A_TOOL_NAME, is_tool_name},
};
use crate::{
    claude::{
        lenient::Object,
        tools::{CustomTool, DefinedTool, Tool, ToolChoice},
    },
    proto::v1::{self, ToolChoiceMode},
    service::passthrough::Passed,
    status::{Path, Violations},
};
use std::collections::HashSet;

/// The tools of a request.
pub fn tools(tools: Vec<v1::Tool>, mapper: &mut ContentMapper<'_>) -> Vec<Tool> {
    let mut mapped = Vec::with_capacity(tools.len());
    for (index, tool) in tools.into_iter().enumerate() {
        let path = Path::root("tools").item(index);
        mapped.extend(match tool.other_json.is_empty() {
            true => Some(Tool::Custom(custom(tool, path, mapper))),
            false => other(tool, path, mapper).map(Tool::Defined),
        });
    }
    let mut names = HashSet::with_capacity(mapped.len());
    for (index, tool) in mapped.iter().enumerate() {
        if !tool.name().is_empty() && !names.insert(tool.name()) {
            let path = Path::root("tools").item(index);
            mapper.wrong.add(path.field("name"), "must be unique");
        }
    }
    mapped
}

/// A tool that is passed through as a whole.
fn other(
    mut tool: v1::Tool,
    path: Path<'_>,
    mapper: &mut ContentMapper<'_>,
) -> Option<DefinedTool> {
    let json = std::mem::take(&mut tool.other_json);
    if tool != v1::Tool::default() {
        let problem = "must not have other fields in addition to other_json";
        mapper.wrong.add(path, problem);
    }
    let path = path.field("other_json");
    let json = json::raw_object(json, path, mapper.wrong)?;
    let Some(kind) = json.kind().filter(|kind| kind != "custom") else {
        let problem = "must have a type, which must not be custom";
        mapper.wrong.add(path, problem);
        return None;
    };
    let kind = kind.into_owned();
    let fields = Object::read(json.get()).unwrap_or_default();
    if fields.fields().any(|(name, _)| name == "model") {
        // Nobody has checked that the client may use it.
        mapper.wrong.add(path, "must not name a model");
        return None;
    }
    let allowed = (mapper.passthrough).allows(Passed::Tool, &kind, path, mapper.wrong);
    let name = fields.text("name");
    allowed.then(|| DefinedTool::new(&kind, name.as_deref(), json.clone()))
}

fn custom(tool: v1::Tool, path: Path<'_>, mapper: &mut ContentMapper<'_>) -> CustomTool {
    if !is_tool_name(&tool.name) {
        mapper.wrong.add(path.field("name"), NOT_A_TOOL_NAME);
    }
    let schema_path = path.field("input_schema_json");
    let input_schema = json::schema(tool.input_schema_json, schema_path, mapper.wrong);
    let lacks_type = |schema: &CheckedSchema| {
        schema.fields.get("type").and_then(|kind| kind.as_str()) != Some("object")
    };
    if input_schema.as_ref().is_some_and(lacks_type) {
        mapper.wrong.add(
            schema_path,
            "must have \"type\": \"object\" at the top level",
        );
    }
    let input_examples = tool
        .input_examples_json
        .into_iter()
        .enumerate()
        .filter_map(|(index, example)| {
            let path = path.field("input_examples_json").item(index);
            json::raw_object(example, path, mapper.wrong)
        })
        .collect();
    for (index, caller) in tool.allowed_callers.iter().enumerate() {
        if !is_tool_name(caller) {
            let path = path.field("allowed_callers").item(index);
            mapper.wrong.add(path, NOT_A_TOOL_NAME);
        }
    }
    CustomTool {
        kind: None,
        name: tool.name,
        description: non_empty(tool.description),
        input_schema: input_schema.map(|schema| schema.object).unwrap_or_default(),
        strict: tool.strict,
        defer_loading: tool.defer_loading,
        allowed_callers: tool.allowed_callers,
        eager_input_streaming: tool.eager_input_streaming,
        input_examples,
        cache_control: mapper.cache_control(tool.cache_control, path.field("cache_control")),
    }
}

/// The choice among the tools.
pub fn tool_choice(
    choice: v1::ToolChoice,
    tools: &[Tool],
    wrong: &mut Violations,
) -> Option<ToolChoice> {
    let path = Path::root("tool_choice");
    let mode = ToolChoiceMode::try_from(choice.mode).unwrap_or_default();
    if tools.is_empty() && mode != ToolChoiceMode::None {
        wrong.add(path, "must not be set without tools");
    }
    if mode != ToolChoiceMode::Tool && !choice.name.is_empty() {
        wrong.add(
            path.field("name"),
            "must only be set with the mode TOOL_CHOICE_MODE_TOOL",
        );
    }
    let disable_parallel_tool_use = choice.disable_parallel_tool_use;
    match mode {
        ToolChoiceMode::Unspecified => {
            wrong.add(path.field("mode"), "must be set");
            None
        }
        ToolChoiceMode::Auto => Some(ToolChoice::Auto {
            disable_parallel_tool_use,
        }),
        ToolChoiceMode::Any => Some(ToolChoice::Any {
            disable_parallel_tool_use,
        }),
        ToolChoiceMode::Tool => {
            if !tools.iter().any(|tool| tool.name() == choice.name) {
                wrong.add(path.field("name"), "is an unknown tool");
            }
            Some(ToolChoice::Tool {
                name: choice.name,
                disable_parallel_tool_use,
            })
        }
        ToolChoiceMode::None => {
            if disable_parallel_tool_use {
                wrong.add(
                    path.field("disable_parallel_tool_use"),
                    "must not be set with the mode TOOL_CHOICE_MODE_NONE",
                );
            }
            Some(ToolChoice::None {})
        }
    }
}
