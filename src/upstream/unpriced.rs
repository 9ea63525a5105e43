//! What of a request costs more than its tokens do at the price of its model.

use crate::claude::{
    request::{MessagesRequest, Speed},
    tools::Tool,
};

/// The region at the price of the catalogue.
const GLOBAL: &str = "global";

/// The tools that the API charges for besides the tokens, as their types begin.
/// Source: <https://platform.claude.com/docs/en/about-claude/pricing>
const CHARGED_TOOLS: [&str; 2] = ["web_search", "code_execution"];

/// A feature of a request whose price is not in the catalogue; `None` if all of its
/// cost is that of its tokens.
pub fn unpriced_feature(request: &MessagesRequest) -> Option<&'static str> {
    if request.speed == Some(Speed::Fast) {
        return Some("speed");
    }
    if request
        .inference_geo
        .as_deref()
        .is_some_and(|geo| geo != GLOBAL)
    {
        return Some("inference_geo");
    }
    request.tools.iter().find_map(|tool| match tool {
        Tool::Defined(tool) => CHARGED_TOOLS
            .into_iter()
            .find(|it| tool.kind.starts_with(it)),
        Tool::Custom(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn feature(fields: &Value) -> Option<&'static str> {
        let mut request = json!({"model": "m", "max_tokens": 1, "messages": []});
        let fields = fields.as_object().unwrap().clone();
        request.as_object_mut().unwrap().extend(fields);
        unpriced_feature(&serde_json::from_value(request).unwrap())
    }

    #[test]
    fn what_has_a_price_of_its_own_is_named() {
        let tool = |kind: &str| json!({"tools": [{"type": kind, "name": "t"}]});
        for (fields, named) in [
            (json!({"speed": "fast"}), Some("speed")),
            (json!({"speed": "standard"}), None),
            (json!({"inference_geo": "us"}), Some("inference_geo")),
            (json!({"inference_geo": "global"}), None),
            (tool("web_search_20260318"), Some("web_search")),
            (tool("code_execution_20260521"), Some("code_execution")),
            (tool("web_fetch_20260318"), None),
            (tool("bash_20250124"), None),
        ] {
            assert_eq!(feature(&fields), named, "{fields}");
        }
    }
}
