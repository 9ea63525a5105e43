//! Maps a tool of the caller's own.

use super::shared::{allowed_callers, input_examples};
use crate::{
    claude::tools::CustomTool,
    proto::v1,
    service::generate::{
        content::{ContentMapper, non_empty},
        json::{self, CheckedSchema},
        tool_name::{NOT_A_TOOL_NAME, is_tool_name},
    },
    status::Path,
};

/// A tool of the caller's own.
pub fn custom(tool: v1::Tool, path: Path<'_>, mapper: &mut ContentMapper<'_>) -> CustomTool {
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
    let input_examples = input_examples(tool.input_examples_json, path, mapper.wrong);
    let allowed_callers = allowed_callers(tool.allowed_callers, path, mapper.wrong);
    CustomTool {
        kind: None,
        name: tool.name,
        description: non_empty(tool.description),
        input_schema: input_schema.map(|schema| schema.object).unwrap_or_default(),
        strict: tool.strict,
        defer_loading: tool.defer_loading,
        allowed_callers,
        eager_input_streaming: tool.eager_input_streaming,
        input_examples,
        cache_control: mapper.cache_control(tool.cache_control, path.field("cache_control")),
    }
}
