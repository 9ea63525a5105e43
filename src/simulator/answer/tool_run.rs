//! What a tool of the API did.

use serde_json::Value;

/// What one of the tools did.
pub(super) struct ToolRun {
    /// Name and input of the use, where they are not those of the tool.
    pub(super) name: Option<&'static str>,
    pub(super) input: Option<Value>,
    pub(super) result: Value,
    pub(super) text: String,
    pub(super) citation: Option<Value>,
}
