//! The fields of a known block that are unknown here.
//!
//! The API may add fields to its blocks at any time, and a block of a response
//! must go back as it came.

use super::{lenient::Object, raw::RawObject, tool_origin::ToolOrigin};

/// Such fields, as one JSON object; empty if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra(String);

impl Extra {
    /// The fields of a block of some type.
    pub(super) fn of(kind: &str, block: &Object<'_>) -> Self {
        let Some(known) = known_fields(kind) else {
            return Extra::default();
        };
        let mut json = String::new();
        for (name, value) in block.fields() {
            if known.contains(&name) || (kind == TOOL_USE && ToolOrigin::has(name, value)) {
                continue;
            }
            json.push(if json.is_empty() { '{' } else { ',' });
            json.push_str(&serde_json::to_string(name).expect("a string always serializes"));
            json.push(':');
            json.push_str(value.get());
        }
        if !json.is_empty() {
            json.push('}');
        }
        Extra(json)
    }

    /// The JSON object as a string, which is empty without such fields.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The type of the block of which some fields are known if they have a known form.
const TOOL_USE: &str = "tool_use";

/// The fields of a block in responses; `None` for a type that is carried as a
/// whole.
fn known_fields(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "text" => &["type", "text", "citations", "cache_control"],
        "thinking" => &["type", "thinking", "signature", "cache_control"],
        "redacted_thinking" => &["type", "data", "cache_control"],
        TOOL_USE => &["type", "id", "name", "input", "cache_control"],
        "container_upload" => &["type", "file_id", "cache_control"],
        _ => return None,
    })
}

/// The fields of a block that only requests have.
fn request_fields(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "image" => &["type", "source", "cache_control", "transformations"],
        "document" => &[
            "type",
            "source",
            "title",
            "context",
            "citations",
            "cache_control",
        ],
        "search_result" => &[
            "type",
            "source",
            "title",
            "content",
            "citations",
            "cache_control",
        ],
        "tool_result" => &[
            "type",
            "tool_use_id",
            "content",
            "is_error",
            "cache_control",
            "toolset_name",
        ],
        "tool_reference" => &["type", "tool_name", "cache_control"],
        "browser_state" => &["type", "tabs", "state_changes", "cache_control"],
        _ => return None,
    })
}

/// The fields that a block of this type has here; `None` for a type that is carried as a
/// whole.
pub fn fields_of(kind: &str) -> Option<&'static [&'static str]> {
    known_fields(kind).or_else(|| request_fields(kind))
}

/// A block of a request together with such fields; `None` if one of them is known.
pub fn with_extra(block: &RawObject, extra: &RawObject) -> Option<RawObject> {
    let kind = block.kind()?;
    let known = fields_of(&kind)?;
    let fields = Object::read(extra.get()).ok()?;
    let own = (kind == TOOL_USE).then(|| Object::read(block.get()).unwrap_or_default());
    let is_known = |name: &str, value| {
        let is_set = |own: &Object<'_>| own.get(name).is_some() || ToolOrigin::has(name, value);
        known.contains(&name) || own.as_ref().is_some_and(is_set)
    };
    if fields.fields().any(|(name, value)| is_known(name, value)) {
        return None;
    }
    let block = block.get().strip_suffix('}')?;
    let extra = extra.get().strip_prefix('{')?.trim_start();
    let comma = if extra.starts_with('}') { "" } else { "," };
    RawObject::new(format!("{block}{comma}{extra}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(block: &str) -> String {
        let block = Object::read(block).unwrap();
        Extra::of(&block.kind(), &block).into_string()
    }

    #[test]
    fn what_is_unknown_is_carried_as_it_is_written() {
        let block = r#"{"a":1.0, "type":"tool_use","id":"t","input":{},"b" : {"c":1e400, "c":2}}"#;
        assert_eq!(extra(block), r#"{"a":1.0,"b":{"c":1e400, "c":2}}"#);
        assert_eq!(extra(r#"{"type":"text","text":"a","citations":null}"#), "");
        assert_eq!(extra(r#"{"type":"new_thing","a":1}"#), "");
    }

    #[test]
    fn it_goes_back_with_its_block_unless_the_block_has_it() {
        let object = |json: &str| RawObject::new(json.to_owned()).unwrap();
        let block = object(r#"{"type":"tool_use","input":{"a":{}}}"#);
        let whole = |extra: &str| with_extra(&block, &object(extra));
        let with_field = whole("{ \"caller\":{\"n\":1.0} }").unwrap();
        assert_eq!(
            with_field.get(),
            r#"{"type":"tool_use","input":{"a":{}},"caller":{"n":1.0} }"#
        );
        assert_eq!(whole("{}").unwrap().get(), block.get());
        for known in ["type", "input", "id", "cache_control", "\\u0074ype"] {
            assert!(whole(&format!(r#"{{"a":1,"{known}":2}}"#)).is_none());
        }
        // Of these, only what has no field of its own.
        assert!(whole(r#"{"caller":{"type":"direct"}}"#).is_none());
        let origin = object(r#"{"type":"tool_use","toolset_name":"a"}"#);
        assert!(with_extra(&origin, &object(r#"{"toolset_name":1}"#)).is_none());
    }
}
