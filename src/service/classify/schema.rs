//! The schema of the model's answer.
//!
//! The API's structured output enforces it: a label outside the set cannot even
//! be generated. Only features that the API's schemas support are used, and the
//! same labels produce the same bytes, since the API compiles each new schema
//! once.

use crate::{claude::raw::RawObject, proto::v1};
use serde_json::{Map, Value, json};

type JsonObject = Map<String, Value>;

/// What to decide about a text.
#[derive(Debug, Clone, Copy)]
pub struct LabelChoice<'a> {
    /// The labels to choose from.
    pub labels: &'a [v1::Label],
    /// Whether several labels may apply.
    pub multi_label: bool,
    /// Whether no label may apply.
    pub allow_none: bool,
    /// Whether a reason is requested.
    pub include_reason: bool,
}

/// The key of the confidence in the label at an index. The label itself is not
/// used, since keys must be plain.
pub fn confidence_key(index: usize) -> String {
    format!("label_{}", index + 1)
}

/// The schema of an answer. The reason comes first, so that the choice follows
/// from it.
pub fn schema(choice: LabelChoice<'_>) -> RawObject {
    RawObject::from(&fields(choice))
}

fn fields(choice: LabelChoice<'_>) -> JsonObject {
    let mut properties = JsonObject::new();
    if choice.include_reason {
        properties.insert(
            "reason".to_owned(),
            json!({"type": "string", "description": "Why, in one short sentence."}),
        );
    }
    if choice.multi_label {
        properties.insert("labels".to_owned(), several(choice));
    } else {
        properties.insert("label".to_owned(), one(choice));
    }
    properties.insert("confidences".to_owned(), confidences(choice.labels));
    object(properties)
}

fn names(labels: &[v1::Label]) -> Value {
    labels.iter().map(|label| label.name.as_str()).collect()
}

fn one(choice: LabelChoice<'_>) -> Value {
    let label = json!({"type": "string", "enum": names(choice.labels)});
    if choice.allow_none {
        json!({
            "description": "The label that fits best; null if none fits.",
            "anyOf": [label, {"type": "null"}],
        })
    } else {
        label
    }
}

fn several(choice: LabelChoice<'_>) -> Value {
    let mut labels = json!({
        "type": "array",
        "description": "Every label that fits.",
        "items": {"type": "string", "enum": names(choice.labels)},
    });
    if !choice.allow_none {
        labels["minItems"] = json!(1);
    }
    labels
}

fn confidences(labels: &[v1::Label]) -> Value {
    let properties = labels
        .iter()
        .enumerate()
        .map(|(index, label)| {
            // What the label means is in the prompt, and paid for once.
            let schema = json!({"type": "number", "description": label.name});
            (confidence_key(index), schema)
        })
        .collect();
    let mut confidences = object(properties);
    confidences.insert(
        "description".to_owned(),
        json!("How sure you are that each label fits: from 0 (surely not) to 1 (surely)."),
    );
    Value::Object(confidences)
}

fn object(properties: JsonObject) -> JsonObject {
    let required: Value = properties.keys().map(String::as_str).collect();
    let mut object = JsonObject::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("properties".to_owned(), Value::Object(properties));
    object.insert("required".to_owned(), required);
    object.insert("additionalProperties".to_owned(), json!(false));
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str) -> v1::Label {
        v1::Label {
            name: name.to_owned(),
            description: format!("about {name}"),
            examples: Vec::new(),
        }
    }

    #[test]
    fn the_choice_is_an_enum_of_the_names() {
        let labels = [label("billing"), label("bug")];
        let choice = LabelChoice {
            labels: &labels,
            multi_label: false,
            allow_none: false,
            include_reason: true,
        };
        let expected = json!({
            "type": "object",
            "properties": {
                "reason": {"type": "string", "description": "Why, in one short sentence."},
                "label": {"type": "string", "enum": ["billing", "bug"]},
                "confidences": {
                    "type": "object",
                    "properties": {
                        "label_1": {"type": "number", "description": "billing"},
                        "label_2": {"type": "number", "description": "bug"},
                    },
                    "required": ["label_1", "label_2"],
                    "additionalProperties": false,
                    "description":
                        "How sure you are that each label fits: from 0 (surely not) to 1 (surely).",
                },
            },
            "required": ["reason", "label", "confidences"],
            "additionalProperties": false,
        });
        assert_eq!(
            serde_json::to_string(&schema(choice)).unwrap(),
            expected.to_string()
        );
    }

    #[test]
    fn none_is_a_null_or_an_empty_list_and_only_when_allowed() {
        let labels = [label("spam")];
        let mut choice = LabelChoice {
            labels: &labels,
            multi_label: true,
            allow_none: false,
            include_reason: false,
        };
        assert_eq!(fields(choice)["properties"]["labels"]["minItems"], 1);
        choice.allow_none = true;
        assert!(
            fields(choice)["properties"]["labels"]
                .get("minItems")
                .is_none()
        );
        choice.multi_label = false;
        assert_eq!(
            fields(choice)["properties"]["label"]["anyOf"][1],
            json!({"type": "null"})
        );
    }
}
