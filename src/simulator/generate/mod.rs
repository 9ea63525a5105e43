//! Answers that follow from the words of the request.

mod choice;
mod defined;
mod found;
mod instance;
mod keywords;
mod mcp;
mod pattern;
mod prompt;
mod sentences;
mod summary;
mod text;
mod tool;
mod words;

pub(super) use defined::Purpose;
pub(super) use instance::{answer as instance, tool_input};
pub(super) use mcp::{McpTool, pick as pick_mcp_tool};
pub(super) use prompt::{MARK, Prompt};
pub(super) use text::{text, thinking};
pub(super) use tool::{PickedTool, found as found_tools, pick as pick_tool};
