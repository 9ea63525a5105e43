//! Messages, system prompt and tools.

use super::{
    super::{
        behaviour::UNKNOWN_BLOCK,
        error::{ApiError, require},
    },
    reading::{blocks, system_blocks},
};
use crate::claude::{
    request::{Content, DocumentSource, InputBlock, MessagesRequest, Role, SystemPrompt},
    tools::Tool,
};
use serde_json::Value;
use std::collections::HashSet;

const MAX_TOOL_NAME: usize = 128;

/// Only text, and not empty.
pub(super) fn system(request: &MessagesRequest) -> Result<(), ApiError> {
    let Some(system) = &request.system else {
        return Ok(());
    };
    if let SystemPrompt::Text(text) = system {
        return not_blank(text, "system");
    }
    for (index, block) in system_blocks(system).iter().enumerate() {
        let path = format!("system.{index}");
        match block {
            InputBlock::Text { text, .. } => not_blank(text, &path)?,
            _ => {
                return Err(ApiError::invalid(format!(
                    "{path}: Input should be a text block"
                )));
            }
        }
    }
    Ok(())
}

/// Each block, and that tool uses and results belong together.
pub(super) fn messages(request: &MessagesRequest) -> Result<(), ApiError> {
    let mut asked: HashSet<&str> = HashSet::new();
    for (index, message) in request.messages.iter().enumerate() {
        let path = format!("messages.{index}");
        if let Content::Text(text) = &message.content {
            not_blank(text, &path)?;
        }
        for (position, block) in blocks(&message.content).iter().enumerate() {
            check_block(block, message.role, &format!("{path}.content.{position}"))?;
        }
        let answered: HashSet<&str> = results(&message.content).collect();
        if let Some(unasked) = answered.iter().find(|id| !asked.contains(*id)) {
            return Err(ApiError::invalid(format!(
                "{path}: unexpected `tool_use_id` found in `tool_result` blocks: {unasked}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous \
                 message."
            )));
        }
        if let Some(open) = asked.iter().find(|id| !answered.contains(*id)) {
            return Err(ApiError::invalid(format!(
                "{path}: `tool_use` ids were found without `tool_result` blocks immediately \
                 after: {open}"
            )));
        }
        asked = uses(&message.content).collect();
    }
    Ok(())
}

fn check_block(block: &InputBlock, role: Role, path: &str) -> Result<(), ApiError> {
    let only = |wanted: Role, what: &str| {
        require(role == wanted, || {
            format!("{path}: {what} blocks are not allowed in this role")
        })
    };
    match block {
        InputBlock::Text {
            text, citations, ..
        } => {
            not_blank(text, path)?;
            let cites = citations
                .as_ref()
                .is_some_and(|citations| !citations.is_empty());
            require(role == Role::Assistant || !cites, || {
                format!("{path}.text.citations: citations are only allowed in assistant messages")
            })
        }
        InputBlock::Image { .. } => only(Role::User, "`image`"),
        InputBlock::Document { source, .. } => {
            only(Role::User, "`document`")?;
            let DocumentSource::Content { content } = source else {
                return Ok(());
            };
            let is_part = |it| matches!(it, &InputBlock::Text { .. } | &InputBlock::Image { .. });
            require(blocks(content).iter().all(is_part), || {
                format!("{path}.document.source.content: only text and image blocks are allowed")
            })
        }
        InputBlock::SearchResult { content, .. } => {
            only(Role::User, "`search_result`")?;
            require(
                content
                    .iter()
                    .all(|it| matches!(it, InputBlock::Text { .. })),
                || format!("{path}.search_result.content: only text blocks are allowed"),
            )
        }
        InputBlock::ToolUse { .. } => only(Role::Assistant, "`tool_use`"),
        InputBlock::ToolResult { content, .. } => {
            only(Role::User, "`tool_result`")?;
            for (index, inner) in content.iter().flat_map(blocks).enumerate() {
                let path = format!("{path}.tool_result.content.{index}");
                if let InputBlock::Text { text, .. } = inner {
                    not_blank(text, &path)?;
                }
            }
            Ok(())
        }
        InputBlock::Thinking { .. } | InputBlock::RedactedThinking { .. } => {
            only(Role::Assistant, "thinking")
        }
        InputBlock::Other(block) => {
            let kind = block.kind().unwrap_or_default();
            let of_assistant = kind == "server_tool_use"
                || kind == "mcp_tool_use"
                || kind == UNKNOWN_BLOCK
                || kind.ends_with("_tool_result");
            require(role == Role::Assistant || !of_assistant, || {
                format!("{path}: `{kind}` blocks are not allowed in this role")
            })
        }
    }
}

fn not_blank(text: &str, path: &str) -> Result<(), ApiError> {
    require(!text.trim().is_empty(), || {
        let path = path.to_owned();
        if text.is_empty() {
            path + ": text content blocks must be non-empty"
        } else {
            path + ": text content blocks must contain non-whitespace text"
        }
    })
}

fn uses(content: &Content) -> impl Iterator<Item = &str> {
    blocks(content).iter().filter_map(|block| match block {
        InputBlock::ToolUse { id, .. } => Some(id.as_str()),
        _ => None,
    })
}

fn results(content: &Content) -> impl Iterator<Item = &str> {
    blocks(content).iter().filter_map(|block| match block {
        InputBlock::ToolResult { tool_use_id, .. } => Some(tool_use_id.as_str()),
        _ => None,
    })
}

/// Names that can be used, once each, and an object for the input.
pub(super) fn tools(request: &MessagesRequest) -> Result<(), ApiError> {
    let mut names = HashSet::new();
    for (index, tool) in request.tools.iter().enumerate() {
        let tool = match tool {
            Tool::Custom(tool) => tool,
            Tool::Defined(tool) => {
                require(
                    tool.name.is_empty() || names.insert(&tool.name),
                    || "tools: Tool names must be unique.",
                )?;
                continue;
            }
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let length = 1..=MAX_TOOL_NAME;
        require(
            length.contains(&tool.name.len()) && tool.name.chars().all(is_plain),
            || {
                format!(
                    "tools.{index}.name: String should match pattern \
                 '^[a-zA-Z0-9_-]{{1,{MAX_TOOL_NAME}}}$'"
                )
            },
        )?;
        require(
            names.insert(&tool.name),
            || "tools: Tool names must be unique.",
        )?;
        let schema = tool.input_schema.fields().unwrap_or_default();
        let input_type = schema.get("type").and_then(Value::as_str);
        require(input_type == Some("object"), || {
            format!("tools.{index}.input_schema.type: Input should be 'object'")
        })?;
        if tool.strict == Some(true) {
            let path = format!("tools.{index}.input_schema");
            super::output::schema(&Value::Object(schema), &path)?;
        }
    }
    Ok(())
}
