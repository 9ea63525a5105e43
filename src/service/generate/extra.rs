//! Fields that callers pass through to the API: `extra_json` of a request and of its
//! messages.

use super::json;
use crate::{
    claude::{lenient::Object, raw::RawObject, request::MessagesRequest},
    service::{PassthroughConfig, passthrough::Passed},
    status::{Path, Violations},
};
use serde_json::value::RawValue;
use std::{collections::HashSet, mem};

/// Fields that have one of ours, and those on which permissions, limits and prices
/// depend.
const OURS: [&str; 20] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "stop_sequences",
    "service_tier",
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "speed",
    "stream",
    "metadata.user_id",
    "output_config.effort",
    "output_config.format",
    "thinking.type",
    "thinking.budget_tokens",
    // Models of which nobody has checked that the client may use them.
    "fallbacks",
];

/// Objects of which only some fields are ours.
const OBJECTS: [&str; 3] = ["metadata", "output_config", "thinking"];

/// The fields that each message has.
const MESSAGE: &str = r#"{"role":"","content":""}"#;

/// Adds the fields to a request, if they are allowed and it does not have them itself.
pub fn with_fields(
    mut request: MessagesRequest,
    extra: String,
    config: &PassthroughConfig,
    wrong: &mut Violations,
) -> MessagesRequest {
    if extra.is_empty() {
        return request;
    }
    let Some(extra) = json::raw_object(extra, Path::root("extra_json"), wrong) else {
        return request;
    };
    // All but what is large, and is in `OURS`.
    let messages = mem::take(&mut request.messages);
    let (system, tools) = (request.system.take(), mem::take(&mut request.tools));
    let json = serde_json::to_string(&request).expect("a request always serializes");
    let own = Object::read(&json).expect("a request is an object");
    let mut fields = PassedFields { config, wrong };
    fields.check("extra_json", "", &extra, &own);
    request.messages = messages;
    (request.system, request.tools) = (system, tools);
    request.extra = Some(extra);
    request
}

/// The fields of a message, if they are allowed.
pub fn of_message(
    extra: String,
    path: Path<'_>,
    config: &PassthroughConfig,
    wrong: &mut Violations,
) -> Option<RawObject> {
    if extra.is_empty() {
        return None;
    }
    let path = path.field("extra_json");
    let extra = json::raw_object(extra, path, wrong)?;
    let known = Object::read(MESSAGE).expect("it is an object");
    let mut fields = PassedFields { config, wrong };
    fields.check(&path.to_string(), "messages", &extra, &known);
    Some(extra)
}

/// Checks the fields of a block that is not of an answer.
pub fn check_block(
    extra: &RawObject,
    path: Path<'_>,
    config: &PassthroughConfig,
    wrong: &mut Violations,
) {
    // Which fields the block has itself is checked when they are added.
    let mut fields = PassedFields { config, wrong };
    let path = path.to_string();
    fields.check(&path, "messages.content", extra, &Object::default());
}

const HAS_A_FIELD: &str = "must not be set here: another field sets it, or none may";

/// Checks fields that are passed through.
struct PassedFields<'a> {
    config: &'a PassthroughConfig,
    wrong: &'a mut Violations,
}

impl PassedFields<'_> {
    /// Checks the fields of an object, of which `own` are set already. `path` is where
    /// they come from, and `parents` the names of the objects that they are in.
    fn check(&mut self, path: &str, parents: &str, extra: &RawObject, own: &Object<'_>) {
        for (name, value) in self.fields(path, extra) {
            let path = format!("{path}.{name}");
            let whole = match parents {
                "" => name.clone(),
                parents => format!("{parents}.{name}"),
            };
            let set = own.get(&name);
            if OURS.contains(&whole.as_str()) {
                self.wrong.add(path, HAS_A_FIELD);
            } else if OBJECTS.contains(&whole.as_str()) {
                let inner = set.and_then(|set| Object::read(set.get()).ok());
                match RawObject::new(value.get().to_owned()) {
                    Ok(more) => self.check(&path, &whole, &more, &inner.unwrap_or_default()),
                    Err(_) => self.wrong.add(path, "must be a JSON object"),
                }
            } else if set.is_some() {
                self.wrong.add(path, HAS_A_FIELD);
            } else {
                (self.config).allows(Passed::Field, &whole, path, self.wrong);
            }
        }
    }

    /// The fields of an object, each once.
    fn fields(&mut self, path: &str, extra: &RawObject) -> Vec<(String, Box<RawValue>)> {
        let Ok(object) = Object::read(extra.get()) else {
            self.wrong.add(path, "is not valid JSON");
            return Vec::new();
        };
        let fields = object.fields();
        let fields: Vec<_> = fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut names = HashSet::new();
        for (name, _) in &fields {
            if !names.insert(name) {
                self.wrong
                    .add(format_args!("{path}.{name}"), "must be set once");
            }
        }
        fields
    }
}
