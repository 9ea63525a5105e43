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
/// The fields of objects of the usage.
const USAGE_OBJECTS: [(&str, &[&str]); 3] = [
    (
        "cache_creation",
        &["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"],
    ),
    ("output_tokens_details", &["thinking_tokens"]),
    (
        "server_tool_use",
        &["web_search_requests", "web_fetch_requests"],
    ),
];
const CONTAINER: [&str; 3] = ["id", "expires_at", "skills"];
const SKILL: [&str; 3] = ["type", "skill_id", "version"];
const REFUSAL: [&str; 3] = ["type", "category", "explanation"];

impl Rest {
    /// The unknown fields of a message, or of its end; `None` if there are none.
    pub(super) fn read(message: &Object<'_>, usage: Option<&Object<'_>>) -> Option<Box<Rest>> {
        let mut rest = Rest::default();
        add(&mut rest.message, message, &MESSAGE);
        if let Some(usage) = usage {
            add(&mut rest.usage, usage, &USAGE);
            for (name, known) in USAGE_OBJECTS {
                if let Some(object) = usage.object(name) {
                    add_unknown(&mut rest.usage, name, &object, known);
                }
            }
        }
        if let Some(details) = message.object("stop_details") {
            let is_refusal = details.kind() == "refusal";
            let known: &[&str] = if is_refusal { &REFUSAL } else { &[] };
            add(&mut rest.stop_details, &details, known);
        }
        (!rest.is_empty()).then(|| Box::new(rest))
    }

    /// The unknown fields next to the message with which a stream begins.
    pub(super) fn beside_message(event: &Object<'_>) -> Option<Box<Rest>> {
        let mut rest = Rest::default();
        add(&mut rest.message, event, &["type", "message"]);
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

    /// The container, moved; one that is not an object stays, and so do unknown fields.
    pub fn take_container(&mut self) -> Option<Container> {
        let place = position(&self.message, "container")?;
        let container = Container::read(&self.message[place].1)?;
        let (name, json) = self.message.remove(place);
        if let Ok(object) = Object::read(json.get()) {
            let mut unknown = Fields::new();
            add(&mut unknown, &object, &CONTAINER);
            let skills = object.list("skills").unwrap_or_default().into_iter();
            let mut skills = skills.filter_map(|skill| Object::read(skill.get()).ok());
            let is_known = |skill: Object<'_>| skill.fields().all(|(it, _)| SKILL.contains(&it));
            if !skills.all(is_known) {
                // Which skill has them is seen in the list only.
                add(&mut unknown, &object, &["id", "expires_at"]);
            }
            if !unknown.is_empty() {
                self.message.insert(place, (name, object_of(&unknown)));
            }
        }
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

/// The fields of an object that are unknown here, after those that say what they belong
/// to, as one JSON object; `None` if there are none.
pub(super) fn unknown_fields(
    object: &Object<'_>,
    known: &[&str],
    naming: &[&str],
) -> Option<Box<RawValue>> {
    let mut unknown = Fields::new();
    add(&mut unknown, object, known);
    if unknown.is_empty() {
        return None;
    }
    let named = naming.iter().filter_map(|name| {
        let value = object.get(name)?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let fields: Fields = named.chain(unknown).collect();
    Some(object_of(&fields))
}

fn add(fields: &mut Fields, object: &Object<'_>, known: &[&str]) {
    for (name, value) in object.fields() {
        if !known.contains(&name) && value.get() != "null" {
            set(fields, name, value);
        }
    }
}

/// Adds the unknown fields of a known object, if it has some.
fn add_unknown(fields: &mut Fields, name: &str, object: &Object<'_>, known: &[&str]) {
    let mut unknown = Fields::new();
    add(&mut unknown, object, known);
    if !unknown.is_empty() {
        set(fields, name, &object_of(&unknown));
    }
}

/// The fields as one JSON object.
fn object_of(fields: &Fields) -> Box<RawValue> {
    let mut json = String::from("{");
    push(&mut json, fields);
    json.push('}');
    RawValue::from_string(json).expect("it is made of JSON")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(message: &str) -> Rest {
        let message = Object::read(message).unwrap();
        let usage = message.object("usage");
        let rest = Rest::read(&message, usage.as_ref());
        rest.map(|rest| *rest).unwrap_or_default()
    }

    #[test]
    fn unknown_fields_of_known_objects_are_kept_as_they_are_written() {
        let known = r#"{"usage":{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":1},
            "output_tokens_details":{"thinking_tokens":1},"server_tool_use":{"web_search_requests":1}}}"#;
        assert_eq!(rest(known).into_json(), "");
        let newer = r#"{"usage":{"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1d":2.0},
            "server_tool_use":{"code_execution_requests": 3},"new":null}}"#;
        assert_eq!(
            rest(newer).into_json(),
            r#"{"usage":{"cache_creation":{"ephemeral_1d":2.0},"server_tool_use":{"code_execution_requests":3}}}"#
        );
    }

    #[test]
    fn unknown_fields_of_a_container_and_its_skills_are_kept() {
        let of = |container: &str| {
            let mut rest = rest(&format!(r#"{{"container":{container}}}"#));
            let id = rest.take_container().map(|container| container.id);
            (id.unwrap_or_default(), rest.into_json())
        };
        let id = || "c".to_owned();
        let known = r#"{"id":"c","expires_at":"x","skills":[{"type":"custom","skill_id":"s"}]}"#;
        assert_eq!(of(known), (id(), String::new()));
        assert_eq!(
            of(r#"{"id":"c","size":1e3}"#),
            (id(), r#"{"container":{"size":1e3}}"#.to_owned())
        );
        assert_eq!(
            of(r#"{"id":"c","skills":[{"type":"custom","new":1}]}"#),
            (
                id(),
                r#"{"container":{"skills":[{"type":"custom","new":1}]}}"#.to_owned()
            )
        );
    }
}
