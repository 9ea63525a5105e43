//! The tools of a request.

use super::{cache_control::CacheControl, raw::RawObject};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};

/// A tool that the model may use.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Tool {
    /// A tool of the caller's own.
    Custom(CustomTool),
    /// A tool that the API defines.
    Defined(DefinedTool),
}

impl Tool {
    /// The name, as the model and the choice of a tool use it; empty if there is none.
    pub fn name(&self) -> &str {
        match self {
            Tool::Custom(tool) => &tool.name,
            Tool::Defined(tool) => &tool.name,
        }
    }

    /// The tool, if it is one of the caller's own.
    pub fn custom(&self) -> Option<&CustomTool> {
        match self {
            Tool::Custom(tool) => Some(tool),
            Tool::Defined(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Tool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        match fields.get("type").and_then(Value::as_str) {
            None | Some("custom") => {
                let tool =
                    serde_json::from_value(Value::Object(fields)).map_err(D::Error::custom)?;
                Ok(Tool::Custom(tool))
            }
            Some(kind) => Ok(Tool::Defined(DefinedTool::new(
                kind,
                fields.get("name").and_then(Value::as_str),
                RawObject::from(&fields),
            ))),
        }
    }
}

/// A tool that the API defines: as a whole, and what others look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct DefinedTool {
    /// The `type`, which has a version.
    #[serde(skip)]
    pub kind: String,
    /// The name; empty for a tool of several members.
    #[serde(skip)]
    pub name: String,
    /// The whole tool.
    pub json: RawObject,
}

impl DefinedTool {
    /// A tool of a type.
    pub fn new(kind: &str, name: Option<&str>, json: RawObject) -> Self {
        DefinedTool {
            kind: kind.to_owned(),
            name: name.unwrap_or_default().to_owned(),
            json,
        }
    }
}

/// The type of a tool of the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomKind {
    /// The only type.
    Custom,
}

/// A tool of the caller's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomTool {
    /// `custom`, or nothing, which is the same.
    #[serde(default, rename = "type", skip_serializing)]
    pub kind: Option<CustomKind>,
    /// Name, unique in the request.
    pub name: String,
    /// What the tool does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the input.
    pub input_schema: RawObject,
    /// Whether inputs are guaranteed to match the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Whether the model sees the tool only once a search has found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defer_loading: Option<bool>,
    /// Who may call the tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_callers: Vec<String>,
    /// Whether inputs are streamed before the API has checked them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eager_input_streaming: Option<bool>,
    /// Example inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_examples: Vec<RawObject>,
    /// End of a cached prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
}

/// How the model chooses among the tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToolChoice {
    /// The model decides whether to use a tool.
    Auto {
        /// Allow at most one tool call per turn.
        #[serde(default, skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    /// The model must use some tool.
    Any {
        /// Require exactly one tool call per turn.
        #[serde(default, skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    /// The model must use this tool.
    Tool {
        /// Name of the tool.
        name: String,
        /// Require exactly one tool call per turn.
        #[serde(default, skip_serializing_if = "is_false")]
        disable_parallel_tool_use: bool,
    },
    /// The model must not use a tool.
    None {},
}

fn is_false(value: &bool) -> bool {
    !value
}
