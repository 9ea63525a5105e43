//! The responses of `GET /v1/models` and of `count_tokens`.

use super::{
    lenient::{Object, body_text},
    unreadable::Unreadable,
};
use serde::Serialize;
use serde_json::Value;

/// One page of the list of models.
#[derive(Debug, Clone, Serialize)]
pub struct ModelPage {
    /// The models, newest first.
    pub data: Vec<ModelInfo>,
    /// Whether another page follows.
    pub has_more: bool,
    /// Id of the first model of the page.
    pub first_id: Option<String>,
    /// Id of the last model of the page: the next page begins after it.
    pub last_id: Option<String>,
}

/// One model of the list.
#[derive(Debug, Clone, Serialize)]
pub struct ModelInfo {
    /// Always `model`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id for use in requests.
    pub id: String,
    /// Name for humans.
    pub display_name: String,
    /// RFC 3339 time of release.
    pub created_at: String,
    /// `active`, `deprecated` or `retired`.
    pub lifecycle: String,
    /// RFC 3339 time of the planned retirement.
    pub retires_at: Option<String>,
    /// RFC 3339 time of the deprecation.
    pub deprecated_at: Option<String>,
    /// The line of models that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Maximum number of input tokens.
    pub max_input_tokens: Option<u64>,
    /// Maximum value of `max_tokens`.
    pub max_tokens: Option<u64>,
    /// What the model supports: a tree of objects with `supported` flags.
    pub capabilities: Value,
}

/// The response of `count_tokens`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TokenCount {
    /// Tokens of messages, system prompt and tools together.
    pub input_tokens: u64,
}

impl ModelPage {
    /// Reads a response body. A model without an id is left out: it could not be
    /// used.
    ///
    /// # Errors
    /// When the body is not a JSON object with a list of models.
    pub fn read(body: &[u8]) -> Result<ModelPage, Unreadable> {
        let (body, mut repaired) = (body_text(body), String::new());
        let page = Object::read_repaired(&body, &mut repaired)
            .map_err(|error| Unreadable::not_an_object("the body", &error))?;
        let Some(models) = page.list("data") else {
            return Err(Unreadable::at("data", "is not a list"));
        };
        let models = models.into_iter();
        let data: Vec<ModelInfo> = models
            .filter_map(|model| ModelInfo::read(&Object::read(model.get()).ok()?))
            .collect();
        Ok(ModelPage {
            has_more: page.is_true("has_more"),
            first_id: page.text("first_id"),
            last_id: page.text("last_id"),
            data,
        })
    }
}

impl TokenCount {
    /// Reads a response body.
    ///
    /// # Errors
    /// When the body is not a JSON object with a count.
    pub fn read(body: &[u8]) -> Result<TokenCount, Unreadable> {
        let (body, mut repaired) = (body_text(body), String::new());
        let object = Object::read_repaired(&body, &mut repaired)
            .map_err(|error| Unreadable::not_an_object("the body", &error))?;
        match object.count("input_tokens") {
            Some(input_tokens) => Ok(TokenCount { input_tokens }),
            None => Err(Unreadable::at("input_tokens", "is not a count")),
        }
    }
}

impl ModelInfo {
    fn read(model: &Object<'_>) -> Option<ModelInfo> {
        let text = |name| model.text(name).unwrap_or_default();
        let capabilities = model.get("capabilities").map(|tree| tree.get());
        Some(ModelInfo {
            kind: text("type"),
            id: model.text("id").filter(|id| !id.is_empty())?,
            display_name: text("display_name"),
            created_at: text("created_at"),
            lifecycle: text("lifecycle"),
            retires_at: model.text("retires_at"),
            deprecated_at: model.text("deprecated_at"),
            line: model.text("line"),
            max_input_tokens: model.count("max_input_tokens"),
            max_tokens: model.count("max_tokens"),
            capabilities: capabilities
                .and_then(|tree| serde_json::from_str(tree).ok())
                .unwrap_or_default(),
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_fields_cost_only_themselves() {
        let body = r#"{"data":[
            {"id":"a","display_name":null,"max_tokens":"8","max_input_tokens":1e6,
             "created_at":5,"capabilities":{"x":{"supported":true}},"lifecycle":[]},
            {"id":null},
            7,
            {"id":"b","capabilities":[1e999]}
        ],"has_more":null,"last_id":3}"#;
        let page = ModelPage::read(body.as_bytes()).unwrap();
        let ids: Vec<&str> = page.data.iter().map(|model| &*model.id).collect();
        assert_eq!(ids, ["a", "b"]);
        let first = &page.data[0];
        assert_eq!(
            (first.max_tokens, first.max_input_tokens),
            (Some(8), Some(1_000_000))
        );
        assert_eq!(first.supported(), ["x"]);
        assert_eq!((page.has_more, page.last_id.as_deref()), (false, Some("3")));
        for none in ["{}", "[]", r#"{"data":{}}"#, "<html>"] {
            assert!(ModelPage::read(none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn a_count_may_be_written_in_any_way_but_must_be_there() {
        let count = |body: &str| TokenCount::read(body.as_bytes()).map(|it| it.input_tokens);
        assert_eq!(count("\u{FEFF}{\"input_tokens\":\"12\"}"), Ok(12));
        assert_eq!(count(r#"{"input_tokens":12.0,"new":null}"#), Ok(12));
        let missing = count(r#"{"input_tokens":null}"#).unwrap_err();
        assert_eq!(missing.to_string(), "input_tokens is not a count");
    }
}
