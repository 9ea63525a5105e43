//! Where a tool use comes from: who called the tool, and its toolset.
//!
//! Both come in responses and go back in requests. What is written in another way than
//! it is known here goes back as it came ([`Extra`](super::extra::Extra)).

use super::{json_string, lenient::Object};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a tool use of a response comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToolOrigin {
    /// Who called the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<ToolCaller>,
    /// The toolset that it is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolset_name: Option<String>,
}

/// Who called a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCaller {
    /// `direct`, or a version of code execution.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id of the tool use of the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_id: Option<String>,
}

impl ToolOrigin {
    /// The origin of a tool use; `None` if nothing is known of it.
    pub(super) fn read(tool_use: &Object<'_>) -> Option<Box<Self>> {
        let origin = ToolOrigin {
            caller: tool_use.get("caller").and_then(ToolCaller::read),
            toolset_name: tool_use.get("toolset_name").and_then(name),
        };
        (origin != ToolOrigin::default()).then(|| Box::new(origin))
    }

    /// Whether a field of a tool use is one of the origin.
    pub(super) fn has(field: &str, value: &RawValue) -> bool {
        let is_null = value.get() == "null";
        match field {
            "caller" => is_null || ToolCaller::read(value).is_some(),
            "toolset_name" => is_null || name(value).is_some(),
            _ => false,
        }
    }
}

impl ToolCaller {
    /// A caller that has no other fields.
    fn read(json: &RawValue) -> Option<Self> {
        let caller = Object::read(json.get()).ok()?;
        let mut tool_id = None;
        let mut kind = None;
        for (field, value) in caller.fields() {
            let place = match field {
                "type" => &mut kind,
                "tool_id" => &mut tool_id,
                _ => return None,
            };
            if place.replace(name(value)?).is_some() {
                return None;
            }
        }
        Some(ToolCaller {
            kind: kind?,
            tool_id,
        })
    }
}

/// A string that is not empty.
fn name(json: &RawValue) -> Option<String> {
    let json = json.get();
    let name = json.starts_with('"').then(|| json_string::decode(json))??;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_another_way_is_not_known() {
        let has = |field, json: &str| {
            let value: Box<RawValue> = serde_json::from_str(json).unwrap();
            ToolOrigin::has(field, &value)
        };
        for caller in [
            r#"{"type":"direct"}"#,
            r#"{"tool_id":"srvtoolu_1", "type":"code_execution_20260120"}"#,
            "null",
        ] {
            assert!(has("caller", caller), "{caller}");
        }
        for caller in [
            r#"{"type":"direct","n":1}"#,
            r#"{"type":"direct","type":"direct"}"#,
            r#"{"type":"direct","tool_id":null}"#,
            r#"{"tool_id":"a"}"#,
            r#"{"type":1}"#,
            r#""direct""#,
        ] {
            assert!(!has("caller", caller), "{caller}");
        }
        assert!(has("toolset_name", r#""browser""#));
        assert!(!has("toolset_name", r#""""#));
        assert!(!has("toolset_name", "7"));
        assert!(!has("id", r#""a""#));
    }
}
