//! What the messages of the API are decoded as, read from the descriptors.

use super::DESCRIPTORS;
use prost::Message as _;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use std::{collections::HashMap, sync::LazyLock};

/// Bytes of a `String` or a `Vec`.
const TEXT: usize = 24;

/// Bytes of a `Bytes`.
const BYTES: usize = 32;

/// Bytes of a boolean, of a number of 32 bits or an enum, and of one of 64 bits, each with
/// what tells whether it is there.
const BOOLEAN: usize = 2;
const SHORT: usize = 8;
const LONG: usize = 16;

/// Bytes that tell which field of several is there.
const CHOICE: usize = 8;

/// The types of messages, each with its fields by their numbers.
pub struct MessageTypes {
    types: Vec<Vec<DecodedField>>,
    /// The type that a method is asked with, by its path.
    requests: HashMap<String, usize>,
}

/// What a field is decoded as.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodedField {
    /// What a value is.
    pub content: FieldContent,
    /// Bytes of an element; 0 unless the field is repeated.
    pub element: usize,
}

/// What a value of a field is.
#[derive(Debug, Clone, Copy, Default)]
pub enum FieldContent {
    /// A number, a boolean or an enum.
    Number,
    /// Also of fields that are not known, which are skipped.
    #[default]
    Bytes,
    /// JSON whose values are decoded, and not only kept.
    Json,
    /// A message of this type.
    Message(usize),
}

/// Those of all services.
pub static TYPES: LazyLock<MessageTypes> = LazyLock::new(MessageTypes::read);

// === impl MessageTypes ===

impl MessageTypes {
    /// The type that the method with this path is asked with.
    pub fn request(&self, path: &str) -> Option<usize> {
        self.requests.get(path).copied()
    }

    /// The fields of a type, by their numbers.
    pub fn fields(&self, message: usize) -> &[DecodedField] {
        self.types.get(message).map_or(&[], Vec::as_slice)
    }

    fn read() -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTORS).expect("the build encoded it");
        let mut found = Vec::new();
        for file in &files.file {
            for message in &file.message_type {
                collect(&format!(".{}", file.package()), message, &mut found);
            }
        }
        let names = found.iter().enumerate();
        let names: HashMap<_, _> = names.map(|(at, (name, _))| (name.as_str(), at)).collect();
        let messages: Vec<_> = found.iter().map(|(_, message)| *message).collect();
        let types = messages.iter().map(|message| {
            let mut fields = Vec::new();
            for field in &message.field {
                let number = usize::try_from(field.number()).unwrap_or_default();
                if fields.len() <= number {
                    fields.resize(number + 1, DecodedField::default());
                }
                fields[number] = DecodedField::of(field, &names, &messages);
            }
            fields
        });
        let services = files.file.iter().flat_map(|file| {
            let services = file.service.iter();
            services.map(move |service| (file.package(), service))
        });
        let requests = services.flat_map(|(package, service)| {
            let names = &names;
            service.method.iter().filter_map(move |method| {
                let path = format!("/{package}.{}/{}", service.name(), method.name());
                Some((path, *names.get(method.input_type())?))
            })
        });
        MessageTypes {
            requests: requests.collect(),
            types: types.collect(),
        }
    }
}

/// A message and those that are declared in it, with their full names.
fn collect<'a>(
    parent: &str,
    message: &'a DescriptorProto,
    found: &mut Vec<(String, &'a DescriptorProto)>,
) {
    let name = format!("{parent}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, found);
    }
    found.push((name, message));
}

// === impl DecodedField ===

impl DecodedField {
    fn of(
        field: &FieldDescriptorProto,
        names: &HashMap<&str, usize>,
        messages: &[&DescriptorProto],
    ) -> Self {
        let content = match field.r#type() {
            Type::Message => names
                .get(field.type_name())
                .map_or(FieldContent::Bytes, |at| FieldContent::Message(*at)),
            Type::String if is_decoded_json(field.name()) => FieldContent::Json,
            Type::String | Type::Bytes => FieldContent::Bytes,
            _ => FieldContent::Number,
        };
        let is_repeated = field.label() == Label::Repeated;
        DecodedField {
            content,
            element: match is_repeated {
                true => value_bytes(field, names, messages),
                false => 0,
            },
        }
    }
}

/// Whether the values in JSON are decoded: schemas are checked, and further fields are
/// looked at by their names. The rest is kept as it is written.
fn is_decoded_json(name: &str) -> bool {
    name.ends_with("schema_json") || name == "extra_json"
}

/// The size of the struct that a message is decoded as, without what it points to.
fn struct_bytes(
    message: &DescriptorProto,
    names: &HashMap<&str, usize>,
    messages: &[&DescriptorProto],
) -> usize {
    let mut choices = vec![0; message.oneof_decl.len()];
    let mut size = 0;
    for field in &message.field {
        let bytes = match field.label() {
            Label::Repeated => TEXT,
            _ => value_bytes(field, names, messages),
        };
        let choice = field.oneof_index.and_then(|it| usize::try_from(it).ok());
        match choice.and_then(|it| choices.get_mut(it)) {
            Some(largest) => *largest = bytes.max(*largest),
            None => size += bytes,
        }
    }
    size + choices
        .iter()
        .map(|largest| largest + CHOICE)
        .sum::<usize>()
}

/// The size of one value of a field.
fn value_bytes(
    field: &FieldDescriptorProto,
    names: &HashMap<&str, usize>,
    messages: &[&DescriptorProto],
) -> usize {
    match field.r#type() {
        Type::String => TEXT,
        Type::Bytes => BYTES,
        Type::Message => match names.get(field.type_name()) {
            Some(at) => struct_bytes(messages[*at], names, messages) + CHOICE,
            None => BYTES,
        },
        Type::Bool => BOOLEAN,
        Type::Enum | Type::Int32 | Type::Uint32 | Type::Sint32 => SHORT,
        Type::Fixed32 | Type::Sfixed32 | Type::Float => SHORT,
        _ => LONG,
    }
}
