//! The choice of the tool that an answer calls.

use super::{
    prompt::Prompt,
    words::{WordCounts, stems},
};
use crate::claude::{
    request::MessagesRequest,
    tools::{CustomTool, Tool, ToolChoice},
};

/// The tool that the answer calls: the one that is forced, or the first whose
/// name or description shares the most words with the user's text. None after
/// the result of a tool, unless one is forced.
pub(in crate::simulator) fn pick<'a>(
    request: &'a MessagesRequest,
    prompt: &Prompt,
) -> Option<&'a CustomTool> {
    let mut tools = request.tools.iter().filter_map(Tool::custom);
    match &request.tool_choice {
        Some(ToolChoice::None {}) => return None,
        Some(ToolChoice::Tool { name, .. }) => {
            return tools.find(|tool| tool.name == *name);
        }
        _ => {}
    }
    let forced = matches!(request.tool_choice, Some(ToolChoice::Any { .. }));
    if prompt.tool_result.is_some() && !forced {
        return None;
    }
    let text = WordCounts::of(&prompt.whole);
    let mut best = None;
    for tool in tools {
        let shared = shared(tool, &text);
        if best.is_none_or(|(most, _)| shared > most) {
            best = Some((shared, tool));
        }
    }
    best.filter(|(shared, _)| forced || *shared > 0.0)
        .map(|(_, tool)| tool)
}

fn shared(tool: &CustomTool, text: &WordCounts) -> f64 {
    let description = tool.description.as_deref().unwrap_or_default();
    let name = tool.name.replace(['_', '-'], " ");
    stems(&format!("{name} {description}"))
        .map(|stem| text.affinity(&stem))
        .sum()
}
