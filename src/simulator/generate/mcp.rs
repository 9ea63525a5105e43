//! The choice of a tool of an MCP server that an answer calls.

use super::{
    prompt::Prompt,
    words::{WordCounts, stems},
};
use crate::claude::{
    request::MessagesRequest,
    tools::{Tool, ToolChoice},
};
use serde_json::{Map, Value};

/// The type of a tool that stands for those of an MCP server.
const TOOLSET: &str = "mcp_toolset";

/// A tool of an MCP server, as far as the request names it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::simulator) struct McpTool {
    pub(in crate::simulator) server: String,
    pub(in crate::simulator) name: String,
    /// The schema of its input, if the request has the listing of the server.
    pub(in crate::simulator) schema: Map<String, Value>,
}

/// The tool whose name is in the user's text; `None` if the text has no whole name. No
/// server is asked for its tools: only those that the request names are known.
pub(in crate::simulator) fn pick(
    request: &MessagesRequest,
    servers: Option<&Value>,
    prompt: &Prompt,
) -> Option<McpTool> {
    let may = matches!(
        request.tool_choice,
        None | Some(ToolChoice::Auto { .. } | ToolChoice::Any { .. })
    );
    if !may || prompt.tool_result.is_some() {
        return None;
    }
    let text = WordCounts::of(&prompt.whole);
    let mut best: Option<(f64, McpTool)> = None;
    for tool in tools(request, servers) {
        let score = asked(&tool.name, &text);
        if score > best.as_ref().map_or(0.0, |(most, _)| *most) {
            best = Some((score, tool));
        }
    }
    best.map(|(_, tool)| tool)
}

/// How well a text names a tool: 0 unless it has all words of the name.
fn asked(name: &str, text: &WordCounts) -> f64 {
    let words = name.replace(['_', '-', '.', '/'], " ");
    let scores: Vec<f64> = stems(&words).map(|stem| text.affinity(&stem)).collect();
    if scores.contains(&0.0) {
        return 0.0;
    }
    scores.iter().sum()
}

/// The tools of all servers that are enabled.
fn tools(request: &MessagesRequest, servers: Option<&Value>) -> Vec<McpTool> {
    let mut all = Vec::new();
    for server in servers.and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = server["name"].as_str() else {
            continue;
        };
        let configuration = &server["tool_configuration"];
        if configuration["enabled"] != false {
            let names = configuration["allowed_tools"].as_array();
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            all.extend(names.map(|tool| McpTool::new(name, tool)));
        }
        for toolset in toolsets(request) {
            if toolset.get("mcp_server_name").and_then(Value::as_str) == Some(name) {
                all.extend(of_toolset(name, &toolset));
            }
        }
    }
    all
}

fn toolsets(request: &MessagesRequest) -> impl Iterator<Item = Map<String, Value>> {
    request.tools.iter().filter_map(|tool| match tool {
        Tool::Defined(tool) if tool.kind == TOOLSET => tool.json.fields().ok(),
        _ => None,
    })
}

/// The tools of a toolset: those of its listing, or else those that it configures.
fn of_toolset(server: &str, toolset: &Map<String, Value>) -> Vec<McpTool> {
    let nothing = Map::new();
    let configs = toolset.get("configs").and_then(Value::as_object);
    let configs = configs.unwrap_or(&nothing);
    let by_default = toolset.get("default_config").map(|it| &it["enabled"]);
    let is_enabled = |name: &str| {
        let own = configs.get(name).and_then(|it| it.get("enabled"));
        own.or(by_default).and_then(Value::as_bool).unwrap_or(true)
    };
    let mut tools: Vec<McpTool> = match toolset.get("tools").and_then(Value::as_array) {
        Some(listed) => listed
            .iter()
            .map(|tool| McpTool {
                schema: tool["input_schema"]
                    .as_object()
                    .cloned()
                    .unwrap_or_default(),
                ..McpTool::new(server, tool["name"].as_str().unwrap_or_default())
            })
            .collect(),
        None => configs
            .keys()
            .map(|name| McpTool::new(server, name))
            .collect(),
    };
    tools.retain(|tool| !tool.name.is_empty() && is_enabled(&tool.name));
    tools
}

impl McpTool {
    fn new(server: &str, name: &str) -> Self {
        McpTool {
            server: server.to_owned(),
            name: name.to_owned(),
            schema: Map::new(),
        }
    }
}
