use super::{super::MARK, *};
use proptest::prelude::*;

const TEXT: &str = "Please refund my last payment of 42 euros. I wrote to help@example.org on \
                    2026-03-04 and nobody answered. It is urgent.";

fn prompt(system: &str) -> Prompt {
    Prompt {
        system: system.to_owned(),
        subject: TEXT.to_owned(),
        whole: TEXT.to_owned(),
        ..Prompt::default()
    }
}

fn instance(schema: Value) -> Value {
    let instance = answer(schema.as_object().unwrap(), &prompt(""));
    let formats = jsonschema::options().should_validate_formats(true);
    let validator = formats.build(&schema).unwrap();
    assert!(validator.is_valid(&instance), "{schema}\ngave {instance}");
    instance
}

#[test]
fn a_classification_makes_sense() {
    let schema = json!({
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "Why, in one short sentence."},
            "label": {"type": "string", "enum": ["bug", "billing", "praise"]},
            "confidences": {
                "type": "object",
                "description": "How sure you are that each label fits.",
                "properties": {
                    "label_1": {"type": "number", "description": "bug: The software fails"},
                    "label_2": {"type": "number", "description": "billing: Refunds, payments"},
                    "label_3": {"type": "number", "description": "praise"},
                },
                "required": ["label_1", "label_2", "label_3"],
                "additionalProperties": false,
            },
        },
        "required": ["reason", "label", "confidences"],
        "additionalProperties": false,
    });
    let text = r#"{"label":"bug","description":"The software fails"}
{"label":"billing","description":"Refunds, payments"}
{"label":"praise"}"#;
    let answer = answer(schema.as_object().unwrap(), &prompt(text));
    assert_eq!(answer["label"], "billing");
    assert!(answer["reason"].as_str().unwrap().starts_with(MARK));
    let confidence = |key: &str| answer["confidences"][key].as_f64().unwrap();
    assert!(confidence("label_2") > 0.8, "{answer}");
    assert!(confidence("label_1") < 0.2, "{answer}");
}

#[test]
fn several_labels_and_none() {
    let labels = |least: usize, names: Value| {
        let items = json!({"type": "string", "enum": names});
        instance(json!({"type": "array", "items": items, "minItems": least}))
    };
    assert_eq!(
        labels(0, json!(["refunds", "weather", "payment"])),
        json!(["refunds", "payment"])
    );
    assert_eq!(labels(0, json!(["weather", "sports"])), json!([]));
    assert_eq!(labels(1, json!(["weather", "sports"])), json!(["weather"]));
    let nullable = |names: Value| {
        instance(json!({"anyOf": [{"type": "string", "enum": names}, {"type": "null"}]}))
    };
    assert_eq!(nullable(json!(["weather", "refunds"])), "refunds");
    assert_eq!(nullable(json!(["weather", "sports"])), Value::Null);
}

#[test]
fn fields_are_filled_from_the_text() {
    let mut object = instance(json!({
        "type": "object",
        "properties": {
            "amount": {"type": "integer"},
            "email": {"type": "string", "format": "email"},
            "day": {"type": "string", "format": "date"},
            "urgent": {"type": "boolean"},
            "holiday": {"type": "boolean"},
            "plate": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
        },
        "required": ["amount", "email", "day", "urgent", "holiday", "plate"],
        "additionalProperties": false,
    }));
    let expected = json!({
        "amount": 42,
        "email": "help@example.org",
        "day": "2026-03-04",
        "urgent": true,
        "holiday": false,
    });
    // Its value is free; that it matches has been checked.
    let plate = object.as_object_mut().unwrap().remove("plate");
    assert!(plate.is_some_and(|it| it.is_string()));
    assert_eq!(object, expected);
}

#[test]
fn references_recursion_and_unions_end() {
    instance(json!({
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    "extra": {"$ref": "#/$defs/node"},
                },
                "required": ["name", "next"],
                "additionalProperties": false,
            },
            "named": {"type": "object", "properties": {"a": {"const": 5}}, "required": ["a"]},
        },
        "type": "object",
        "properties": {
            "list": {"$ref": "#/$defs/node", "description": "a list"},
            "both": {"allOf": [
                {"$ref": "#/$defs/named"},
                {"properties": {"b": {"type": "null"}}, "required": ["b"]},
            ]},
        },
        "required": ["list", "both"],
    }));
}

#[test]
fn the_input_of_a_tool_is_taken_from_the_text() {
    let schema = json!({
        "type": "object",
        "properties": {
            "location": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location"],
    });
    let text = "What is the weather in New York, in Fahrenheit?";
    let mut prompt = prompt("");
    prompt.whole = text.replace(", in F", ", f");
    prompt.subject = text.to_owned();
    let input = tool_input(schema.as_object().unwrap(), &prompt);
    assert_eq!(
        Value::Object(input),
        json!({"location": "New York", "unit": "fahrenheit"})
    );
}

fn any_schema() -> impl Strategy<Value = Value> {
    let formats = [
        "date-time",
        "date",
        "time",
        "email",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
        "hostname",
    ];
    let leaf = prop_oneof![
        Just(json!({"type": "null"})),
        Just(json!({"type": "boolean"})),
        Just(json!({"type": ["string", "null"]})),
        Just(json!({})),
        prop::sample::select(formats.to_vec())
            .prop_map(|format| json!({"type": "string", "format": format})),
        (0..20usize, 0..20usize).prop_map(|(least, more)| {
            json!({"type": "string", "minLength": least, "maxLength": least + more})
        }),
        (-50..50i32, 0..50i32).prop_map(|(least, more)| {
            json!({"type": "integer", "minimum": least, "maximum": least + more})
        }),
        (-50..50i32, 1..50i32).prop_map(|(least, more)| {
            json!({"type": "number", "exclusiveMinimum": least, "exclusiveMaximum": least + more})
        }),
        (1..9u32).prop_map(|step| json!({"type": "integer", "multipleOf": step, "minimum": 5})),
        prop::collection::vec("[a-z]{1,5}", 1..4).prop_map(|names| json!({"enum": names})),
        any::<i32>().prop_map(|value| json!({"const": value})),
        Just(json!({"$ref": "#/$defs/shared"})),
        Just(json!({"type": "number", "description": "confidence"})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (
                prop::collection::btree_map("[a-z]{1,4}", inner.clone(), 0..4),
                any::<bool>()
            )
                .prop_map(|(properties, all)| {
                    let required: Vec<_> = properties.keys().filter(|_| all).cloned().collect();
                    json!({
                        "type": "object",
                        "properties": properties,
                        "required": required,
                        "additionalProperties": false,
                    })
                }),
            (inner.clone(), 0..4usize, 0..3usize).prop_map(|(items, least, more)| {
                json!({
                    "type": "array",
                    "items": items,
                    "minItems": least,
                    "maxItems": least + more,
                })
            }),
            prop::collection::vec(inner, 1..4).prop_map(|branches| json!({"anyOf": branches})),
        ]
    })
}

proptest! {
    #[test]
    fn every_instance_satisfies_its_schema(schema in any_schema()) {
        let mut schema = schema;
        schema["$defs"] = json!({"shared": {"type": "object", "properties": {"x": {"type": "integer"}}}});
        instance(schema);
    }
}
