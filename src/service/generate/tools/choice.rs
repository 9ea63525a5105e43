//! Maps the choice among the tools.

use crate::{
    claude::tools::{Tool, ToolChoice},
    proto::v1::{self, ToolChoiceMode},
    status::{Path, Violations},
};

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
            // A toolset has no name, and members with names that are not known here.
            let is_there = |tool: &Tool| tool.name().is_empty() || tool.name() == choice.name;
            if choice.name.is_empty() || !tools.iter().any(is_there) {
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
