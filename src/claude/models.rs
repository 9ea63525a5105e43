//! The responses of `GET /v1/models` and of `count_tokens`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One page of the list of models.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelPage {
    /// The models, newest first.
    pub data: Vec<ModelInfo>,
    /// Whether another page follows.
    #[serde(default)]
    pub has_more: bool,
    /// Id of the first model of the page.
    #[serde(default)]
    pub first_id: Option<String>,
    /// Id of the last model of the page: the next page begins after it.
    #[serde(default)]
    pub last_id: Option<String>,
}

/// One model of the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Always `model`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Id for use in requests.
    pub id: String,
    /// Name for humans.
    #[serde(default)]
    pub display_name: String,
    /// RFC 3339 time of release.
    #[serde(default)]
    pub created_at: String,
    /// `active`, `deprecated` or `retired`.
    #[serde(default)]
    pub lifecycle: String,
    /// RFC 3339 time of the planned retirement.
    #[serde(default)]
    pub retires_at: Option<String>,
    /// RFC 3339 time of the deprecation.
    #[serde(default)]
    pub deprecated_at: Option<String>,
    /// Maximum number of input tokens.
    #[serde(default)]
    pub max_input_tokens: Option<u64>,
    /// Maximum value of `max_tokens`.
    #[serde(default)]
    pub max_tokens: Option<u64>,
    /// What the model supports: a tree of objects with `supported` flags.
    #[serde(default)]
    pub capabilities: Value,
}

/// The response of `count_tokens`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct TokenCount {
    /// Tokens of messages, system prompt and tools together.
    pub input_tokens: u64,
}

impl ModelInfo {
    /// The supported capabilities as dotted names, sorted.
    pub fn supported(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect_supported(&self.capabilities, "", &mut names);
        names.sort_unstable();
        names
    }
}

fn collect_supported(tree: &Value, path: &str, names: &mut Vec<String>) {
    let Value::Object(fields) = tree else { return };
    if !path.is_empty() && fields.get("supported") == Some(&Value::Bool(true)) {
        names.push(path.to_owned());
    }
    for (name, child) in fields {
        let child_path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        collect_supported(child, &child_path, names);
    }
}
