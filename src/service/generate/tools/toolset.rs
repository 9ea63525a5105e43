//! Maps the toolsets of the API, and what is different for their members.

use super::version;
use crate::{
    claude::defined_tool::{DefinedToolFields, MemberConfig},
    proto::v1,
    status::{Path, Violations},
};
use std::collections::HashSet;

/// The members of the computer toolset.
const COMPUTER: [&str; 17] = [
    "cursor_position",
    "double_click",
    "hold_key",
    "key",
    "left_click",
    "left_click_drag",
    "left_mouse_down",
    "left_mouse_up",
    "middle_click",
    "mouse_move",
    "right_click",
    "screenshot",
    "scroll",
    "triple_click",
    "type",
    "wait",
    "zoom",
];

/// The members of the browser toolset.
const BROWSER: [&str; 31] = [
    "close_tab",
    "double_click",
    "file_upload",
    "find",
    "form_input",
    "get_page_text",
    "hold_key",
    "hover",
    "javascript_exec",
    "key",
    "left_click",
    "left_click_drag",
    "left_mouse_down",
    "left_mouse_up",
    "list_tabs",
    "middle_click",
    "mouse_move",
    "navigate",
    "new_tab",
    "read_console",
    "read_network",
    "read_page",
    "right_click",
    "screenshot",
    "scroll",
    "scroll_to",
    "switch_tab",
    "triple_click",
    "type",
    "wait",
    "zoom",
];

/// The computer toolset.
pub fn computer(
    tool: v1::ComputerToolset,
    path: Path<'_>,
    wrong: &mut Violations,
) -> DefinedToolFields {
    let versions = &version::COMPUTER_TOOLSET;
    DefinedToolFields {
        kind: versions.kind(versions.choose(&tool.version, path, wrong)),
        configs: configs(tool.configs, &COMPUTER, path, wrong),
        ..DefinedToolFields::default()
    }
}

/// The browser toolset.
pub fn browser(
    tool: v1::BrowserToolset,
    path: Path<'_>,
    wrong: &mut Violations,
) -> DefinedToolFields {
    let versions = &version::BROWSER_TOOLSET;
    DefinedToolFields {
        kind: versions.kind(versions.choose(&tool.version, path, wrong)),
        configs: configs(tool.configs, &BROWSER, path, wrong),
        ..DefinedToolFields::default()
    }
}

fn configs(
    configs: Vec<v1::ToolsetMemberConfig>,
    members: &[&str],
    path: Path<'_>,
    wrong: &mut Violations,
) -> Vec<(String, MemberConfig)> {
    let mut names = HashSet::with_capacity(configs.len());
    let mut mapped = Vec::with_capacity(configs.len());
    for (index, config) in configs.into_iter().enumerate() {
        let path = path.field("configs").item(index);
        if !members.contains(&&*config.name) {
            wrong.add(path.field("name"), "is not a member of the toolset");
        }
        if !names.insert(config.name.clone()) {
            wrong.add(path.field("name"), "must be unique");
        }
        let member = MemberConfig {
            enabled: config.enabled,
            defer_loading: config.defer_loading,
        };
        mapped.push((config.name, member));
    }
    mapped
}
