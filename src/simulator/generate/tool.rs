//! The choice of the tool that an answer calls.

use super::{
    defined::Purpose,
    prompt::Prompt,
    words::{WordCounts, stems},
};
use crate::claude::{
    request::MessagesRequest,
    tools::{CustomTool, DefinedTool, Tool, ToolChoice},
};

/// The tool that an answer calls.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) enum PickedTool<'a> {
    /// One of the caller's own.
    Custom(&'a CustomTool),
    /// One that the API defines.
    Defined(&'a DefinedTool, Purpose),
}

impl<'a> PickedTool<'a> {
    fn of(tool: &'a Tool) -> Option<Self> {
        match tool {
            Tool::Custom(tool) => Some(PickedTool::Custom(tool)),
            Tool::Defined(tool) => Some(PickedTool::Defined(tool, Purpose::of(tool)?)),
        }
    }
}

/// The tool that the answer calls: the one that is forced, or the first whose
/// name or description shares the most words with the user's text. One that the API
/// defines must be asked for by its name. None after the result of a tool, unless one is
/// forced.
pub(in crate::simulator) fn pick<'a>(
    request: &'a MessagesRequest,
    prompt: &Prompt,
) -> Option<PickedTool<'a>> {
    match &request.tool_choice {
        Some(ToolChoice::None {}) => return None,
        Some(ToolChoice::Tool { name, .. }) => {
            let tool = request.tools.iter().find(|tool| tool.name() == name)?;
            return PickedTool::of(tool);
        }
        _ => {}
    }
    let forced = matches!(request.tool_choice, Some(ToolChoice::Any { .. }));
    if request.tools.is_empty() || (prompt.tool_result.is_some() && !forced) {
        return None;
    }
    let text = WordCounts::of(&prompt.whole);
    let mut best = None;
    for tool in request.tools.iter().filter_map(PickedTool::of) {
        let score = match tool {
            PickedTool::Custom(tool) => shared(tool, &text),
            PickedTool::Defined(_, purpose) => purpose.asked(&text, prompt),
        };
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, tool));
        }
    }
    best.filter(|(score, _)| forced || *score > 0.0)
        .map(|(_, tool)| tool)
}

/// The names of the caller's tools that share words with the user's text.
pub(in crate::simulator) fn found<'a>(
    request: &'a MessagesRequest,
    prompt: &Prompt,
) -> Vec<&'a str> {
    let text = WordCounts::of(&prompt.whole);
    let tools = request.tools.iter().filter_map(Tool::custom);
    let found = tools.filter(|tool| shared(tool, &text) > 0.0);
    found.map(|tool| tool.name.as_str()).collect()
}

fn shared(tool: &CustomTool, text: &WordCounts) -> f64 {
    let description = tool.description.as_deref().unwrap_or_default();
    let name = tool.name.replace(['_', '-'], " ");
    stems(&format!("{name} {description}"))
        .map(|stem| text.affinity(&stem))
        .sum()
}
