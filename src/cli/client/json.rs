//! Messages as JSON, in the proto3 JSON mapping with two exceptions. 64-bit
//! integers are numbers, not strings, since none of ours leaves the range that a
//! double represents exactly. Fields with their default value are included, so
//! that a script need not handle missing ones.

use crate::proto::DESCRIPTORS;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Map, Value};

const OPTIONS: SerializeOptions = SerializeOptions::new()
    .stringify_64_bit_integers(false)
    .skip_default_fields(false);

/// Formats messages as JSON.
#[derive(Debug, Clone)]
pub struct Json {
    pool: DescriptorPool,
}

impl Json {
    /// Makes a formatter for the messages of `proto/`.
    pub fn new() -> Self {
        Json {
            pool: DescriptorPool::decode(DESCRIPTORS)
                .expect("the descriptors were made by the build"),
        }
    }

    /// Formats a message of the type `name` in the package `claude.v1` on one
    /// line. If there is a `file`, the object starts with a field for its name.
    pub fn line(&self, name: &str, message: &impl Message, file: Option<&str>) -> String {
        let mut object = Map::new();
        if let Some(file) = file {
            object.insert("file".to_owned(), Value::from(file));
        }
        if let Value::Object(fields) = self.value(name, message) {
            object.extend(fields);
        }
        Value::Object(object).to_string()
    }

    /// A message of the type `name` in the package `claude.v1`.
    pub fn value(&self, name: &str, message: &impl Message) -> Value {
        DynamicMessage::decode(self.descriptor(name), message.encode_to_vec().as_slice())
            .expect("a message is what its descriptor says")
            .serialize_with_options(serde_json::value::Serializer, &OPTIONS)
            .expect("a message without Any can be JSON")
    }

    /// The message of the type `name` whose [value](Self::value) this is; `None` if it is
    /// none.
    pub fn read<M: Message + Default>(&self, name: &str, value: &Value) -> Option<M> {
        let message = DynamicMessage::deserialize(self.descriptor(name), value);
        message.ok()?.transcode_to().ok()
    }

    fn descriptor(&self, name: &str) -> MessageDescriptor {
        let descriptor = self.pool.get_message_by_name(&format!("claude.v1.{name}"));
        descriptor.expect("commands print messages of the package")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    #[test]
    fn names_and_enums_are_those_of_the_proto() {
        let response = v1::SummarizeResponse {
            summary: "Short.".to_owned(),
            stop_reason: v1::StopReason::EndTurn.into(),
            usage: Some(v1::Usage {
                input_tokens: 12,
                ..v1::Usage::default()
            }),
            ..v1::SummarizeResponse::default()
        };
        let line = Json::new().line("SummarizeResponse", &response, Some("a.txt"));
        assert!(
            line.starts_with(r#"{"file":"a.txt","summary":"Short.","lengthRatio":0.0,"#),
            "{line}"
        );
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["stopReason"], "STOP_REASON_END_TURN");
        assert_eq!(value["usage"]["inputTokens"], 12);
        assert_eq!(value["requestId"], "");
        let value = Json::new().value("SummarizeResponse", &response);
        assert_eq!(
            Json::new().read("SummarizeResponse", &value),
            Some(response)
        );
        let other = Json::new().read::<v1::ClassifyResponse>("ClassifyResponse", &value);
        assert_eq!(other, None);
    }
}
