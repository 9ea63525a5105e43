//! What the API says of an answer that nothing here computes with.

use super::lenient::Object;
use serde_json::value::RawValue;

/// Fields in their order, each as the API wrote it.
type Fields = Vec<(String, Box<RawValue>)>;

/// The fields of an answer that are unknown here, except for those of its content.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    message: Fields,
    usage: Fields,
    stop_details: Fields,
}

/// The container in which the tools of the API ran.
#[derive(Debug)]
pub struct Container {
    /// Id, to use it again.
    pub id: String,
    /// RFC 3339 time at which it expires.
    pub expires_at: Option<String>,
    /// The skills in it.
    pub skills: Vec<Skill>,
}

/// A skill in a container.
#[derive(Debug)]
pub struct Skill {
    /// `anthropic` or `custom`.
    pub kind: String,
    /// Id of the skill.
    pub skill_id: String,
    /// Its version.
    pub version: String,
}

/// The fields of a message and of a `message_delta`.
const MESSAGE: [&str; 10] = [
    "id",
    "type",
    "role",
    "model",
    "content",
    "stop_reason",
    "stop_sequence",
    "stop_details",
    "usage",
    "delta",
];
const USAGE: [&str; 10] = [
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "output_tokens_details",
    "service_tier",
    "server_tool_use",
    "inference_geo",
    "speed",
];
const REFUSAL: [&str; 3] = ["type", "category", "explanation"];

impl Rest {
    /// The unknown fields of a message, or of its end; `None` if there are none.
    pub(super) fn read(message: &Object<'_>, usage: Option<&Object<'_>>) -> Option<Box<Rest>> {
        let mut rest = Rest::default();
        add(&mut rest.message, message, &MESSAGE);
        if let Some(usage) = usage {
            add(&mut rest.usage, usage, &USAGE);
        }
        if let Some(details) = message.object("stop_details") {
            let is_refusal = details.kind() == "refusal";
            let known: &[&str] = if is_refusal { &REFUSAL } else { &[] };
            add(&mut rest.stop_details, &details, known);
        }
        (!rest.is_empty()).then(|| Box::new(rest))
    }

    /// Overwrites every field that `later` has.
    pub(super) fn update(rest: &mut Option<Box<Rest>>, later: Option<Box<Rest>>) {
        let (Some(rest), Some(later)) = (rest.as_mut(), later.as_ref()) else {
            *rest = rest.take().or(later);
            return;
        };
        for (fields, later) in [
            (&mut rest.message, &later.message),
            (&mut rest.usage, &later.usage),
            (&mut rest.stop_details, &later.stop_details),
        ] {
            for (name, value) in later {
                set(fields, name, value);
            }
        }
    }

    /// The container, moved; one that is not an object stays.
    pub fn take_container(&mut self) -> Option<Container> {
        let place = position(&self.message, "container")?;
        let container = Container::read(&self.message[place].1)?;
        self.message.remove(place);
        Some(container)
    }

    /// The container.
    pub fn container(&self) -> Option<Container> {
        let place = position(&self.message, "container")?;
        Container::read(&self.message[place].1)
    }

    /// A field of the message, moved.
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let place = position(&self.message, name)?;
        Some(self.message.remove(place).1)
    }

    /// All that is left, as one JSON object; empty if there is nothing.
    pub fn into_json(self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut json = String::from("{");
        push(&mut json, &self.message);
        for (name, fields) in [("usage", &self.usage), ("stop_details", &self.stop_details)] {
            if !fields.is_empty() {
                push_name(&mut json, name);
                json.push('{');
                push(&mut json, fields);
                json.push('}');
            }
        }
        json.push('}');
        json
    }

    fn is_empty(&self) -> bool {
        self.message.is_empty() && self.usage.is_empty() && self.stop_details.is_empty()
    }
}

impl Container {
    fn read(json: &RawValue) -> Option<Container> {
        let container = Object::read(json.get()).ok()?;
        let skills = container.list("skills").unwrap_or_default().into_iter();
        let skills = skills.filter_map(|skill| Object::read(skill.get()).ok());
        Some(Container {
            id: container.text("id").unwrap_or_default(),
            expires_at: container.text("expires_at"),
            skills: skills
                .map(|skill| Skill {
                    kind: skill.kind().into_owned(),
                    skill_id: skill.text("skill_id").unwrap_or_default(),
                    version: skill.text("version").unwrap_or_default(),
                })
                .collect(),
        })
    }
}

fn add(fields: &mut Fields, object: &Object<'_>, known: &[&str]) {
    for (name, value) in object.fields() {
        if !known.contains(&name) && value.get() != "null" {
            set(fields, name, value);
        }
    }
}

fn set(fields: &mut Fields, name: &str, value: &RawValue) {
    match position(fields, name) {
        Some(place) => fields[place].1 = value.to_owned(),
        None => fields.push((name.to_owned(), value.to_owned())),
    }
}

fn position(fields: &Fields, name: &str) -> Option<usize> {
    fields.iter().position(|(key, _)| key == name)
}

fn push(json: &mut String, fields: &Fields) {
    for (name, value) in fields {
        push_name(json, name);
        json.push_str(value.get());
    }
}

fn push_name(json: &mut String, name: &str) {
    if !json.ends_with('{') {
        json.push(',');
    }
    json.push_str(&serde_json::to_string(name).expect("a string always serializes"));
    json.push(':');
}
