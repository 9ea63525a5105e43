//! Maps a tool that the API defines.

use super::{
    shared::{allowed_callers, at_least_one, input_examples},
    toolset,
    version::{self, ToolVersions, needs},
    web,
};
use crate::{
    claude::{defined_tool::DefinedToolFields, raw::RawObject, tools::DefinedTool},
    proto::v1::{self, ToolSearchAlgorithm, tool::Defined},
    service::generate::content::ContentMapper,
    status::{Path, Violations},
};

/// Which of the fields that tools have in common one may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shared {
    /// All but those of a caller's own tool.
    All,
    /// Those, and no examples.
    WithoutExamples,
    /// Only a cache mark.
    CacheControl,
}

/// A tool that the API defines; `tool` has the fields that tools have in common.
pub fn defined(
    tool: v1::Tool,
    defined: Defined,
    path: Path<'_>,
    mapper: &mut ContentMapper<'_>,
) -> DefinedTool {
    let (own, shared) = own_fields(defined, path, mapper.wrong);
    refuse(&tool, shared, path, mapper.wrong);
    let fields = DefinedToolFields {
        allowed_callers: allowed_callers(tool.allowed_callers, path, mapper.wrong),
        defer_loading: tool.defer_loading,
        input_examples: input_examples(tool.input_examples_json, path, mapper.wrong),
        strict: tool.strict,
        cache_control: mapper.cache_control(tool.cache_control, path.field("cache_control")),
        ..own
    };
    let json = serde_json::to_string(&fields).expect("a tool always serializes");
    let json = RawObject::new(json).expect("a tool is an object");
    DefinedTool::new(&fields.kind, fields.name, json)
}

/// The fields of the tool's own.
fn own_fields(
    defined: Defined,
    path: Path<'_>,
    wrong: &mut Violations,
) -> (DefinedToolFields, Shared) {
    match defined {
        Defined::Bash(it) => {
            let path = path.field("bash");
            let fields = of(&version::BASH, &it.version, "bash", path, wrong);
            (fields, Shared::All)
        }
        Defined::TextEditor(it) => (
            text_editor(&it, path.field("text_editor"), wrong),
            Shared::All,
        ),
        Defined::Memory(it) => {
            let path = path.field("memory");
            let fields = of(&version::MEMORY, &it.version, "memory", path, wrong);
            (fields, Shared::All)
        }
        Defined::ComputerToolset(it) => {
            let path = path.field("computer_toolset");
            (toolset::computer(it, path, wrong), Shared::CacheControl)
        }
        Defined::BrowserToolset(it) => {
            let path = path.field("browser_toolset");
            (toolset::browser(it, path, wrong), Shared::CacheControl)
        }
        Defined::WebSearch(it) => {
            let path = path.field("web_search");
            (web::search(it, path, wrong), Shared::WithoutExamples)
        }
        Defined::WebFetch(it) => {
            let path = path.field("web_fetch");
            (web::fetch(it, path, wrong), Shared::WithoutExamples)
        }
        Defined::CodeExecution(it) => {
            let (tool, path) = (&version::CODE_EXECUTION, path.field("code_execution"));
            let fields = of(tool, &it.version, "code_execution", path, wrong);
            (fields, Shared::WithoutExamples)
        }
        Defined::ToolSearch(it) => {
            let path = path.field("tool_search");
            (tool_search(&it, path, wrong), Shared::WithoutExamples)
        }
    }
}

/// A tool without fields of its own.
fn of(
    tool: &ToolVersions,
    version: &str,
    name: &'static str,
    path: Path<'_>,
    wrong: &mut Violations,
) -> DefinedToolFields {
    DefinedToolFields {
        kind: tool.kind(tool.choose(version, path, wrong)),
        name: Some(name),
        ..DefinedToolFields::default()
    }
}

fn text_editor(
    tool: &v1::TextEditorTool,
    path: Path<'_>,
    wrong: &mut Violations,
) -> DefinedToolFields {
    let version = version::TEXT_EDITOR.choose(&tool.version, path, wrong);
    let field = "max_characters";
    needs(
        tool.max_characters.is_some(),
        field,
        "20250728",
        version,
        path,
        wrong,
    );
    DefinedToolFields {
        kind: version::TEXT_EDITOR.kind(version),
        name: Some(match version {
            "20250124" => "str_replace_editor",
            _ => "str_replace_based_edit_tool",
        }),
        max_characters: at_least_one(tool.max_characters, path.field(field), wrong),
        ..DefinedToolFields::default()
    }
}

fn tool_search(
    tool: &v1::ToolSearchTool,
    path: Path<'_>,
    wrong: &mut Violations,
) -> DefinedToolFields {
    let (versions, name) = match ToolSearchAlgorithm::try_from(tool.algorithm) {
        Ok(ToolSearchAlgorithm::Bm25) => (&version::TOOL_SEARCH_BM25, "tool_search_tool_bm25"),
        Ok(ToolSearchAlgorithm::Regex) => (&version::TOOL_SEARCH_REGEX, "tool_search_tool_regex"),
        Ok(ToolSearchAlgorithm::Unspecified) | Err(_) => {
            let problem = "must be TOOL_SEARCH_ALGORITHM_BM25 or TOOL_SEARCH_ALGORITHM_REGEX";
            wrong.add(path.field("algorithm"), problem);
            return DefinedToolFields::default();
        }
    };
    of(versions, &tool.version, name, path, wrong)
}

/// Refuses fields that the type does not have.
fn refuse(tool: &v1::Tool, shared: Shared, path: Path<'_>, wrong: &mut Violations) {
    let has_examples = shared == Shared::All;
    let has_more = shared != Shared::CacheControl;
    for (field, is_set, is_allowed) in [
        ("name", !tool.name.is_empty(), false),
        ("description", !tool.description.is_empty(), false),
        (
            "input_schema_json",
            !tool.input_schema_json.is_empty(),
            false,
        ),
        (
            "eager_input_streaming",
            tool.eager_input_streaming.is_some(),
            false,
        ),
        (
            "input_examples_json",
            !tool.input_examples_json.is_empty(),
            has_examples,
        ),
        (
            "allowed_callers",
            !tool.allowed_callers.is_empty(),
            has_more,
        ),
        ("defer_loading", tool.defer_loading.is_some(), has_more),
        ("strict", tool.strict.is_some(), has_more),
    ] {
        if is_set && !is_allowed {
            wrong.add(
                path.field(field),
                "must not be set for this tool of the API",
            );
        }
    }
}
