//! The use of a tool of an MCP server, as blocks of an answer. No server is called.

use super::{
    super::generate::{self, MARK, McpTool, Prompt},
    message::MessageBlock,
};
use serde_json::json;

/// The use of a tool, its result and a text about it.
pub(super) fn run(tool: &McpTool, prompt: &Prompt, hash: u64) -> Vec<MessageBlock> {
    let id = format!("mcptoolu_sim_{hash:016x}");
    let McpTool { server, name, .. } = tool;
    let said = format!("{MARK}The tool {name} of the server {server} was not called.");
    let used = json!({
        "type": "mcp_tool_use",
        "id": id,
        "name": name,
        "server_name": server,
        "input": generate::tool_input(&tool.schema, prompt),
    });
    let result = json!({
        "type": "mcp_tool_result",
        "tool_use_id": id,
        "is_error": false,
        "content": [{"type": "text", "text": said, "citations": null}],
    });
    vec![
        MessageBlock::whole("mcp_tool_use", &used),
        MessageBlock::whole("mcp_tool_result", &result),
        MessageBlock::text(format!(
            "{MARK}The server {server} says that it was not called."
        )),
    ]
}
