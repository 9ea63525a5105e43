//! Completes a block of an unknown type with its deltas.
//!
//! Server tools use such blocks: they begin without their input, which comes in
//! pieces. What other deltas mean is not known, but all that the API has so far
//! append to a string or fill in what the block began without; more is not
//! assumed. Every value keeps its bytes.

use super::lenient::Object;
use serde_json::value::RawValue;

/// A block and what its deltas brought.
#[derive(Debug)]
pub struct MergedBlock {
    block: Box<RawValue>,
    /// Names and values as JSON; empty until a delta changes something.
    fields: Vec<(String, String)>,
    /// The JSON text of the field `input`.
    input: String,
}

impl MergedBlock {
    /// A block without deltas.
    pub fn new(block: Box<RawValue>) -> Self {
        MergedBlock {
            block,
            fields: Vec::new(),
            input: String::new(),
        }
    }

    /// Appends a piece of the block's input.
    pub fn push_input(&mut self, piece: &str) {
        self.input.push_str(piece);
    }

    /// Merges a delta: a string is appended to the string of the same name, and
    /// anything fills a field that is missing or `null`. Returns whether that was all
    /// of it.
    pub fn push(&mut self, delta: &RawValue) -> bool {
        let Ok(delta) = Object::read(delta.get()) else {
            return false;
        };
        self.open();
        let mut is_whole = true;
        for (name, value) in delta.fields().filter(|(name, _)| *name != "type") {
            let value = value.get();
            match self.field(name) {
                Some(field) if field == "null" => value.clone_into(field),
                Some(field) if field.ends_with('"') && value.starts_with('"') => {
                    field.pop();
                    field.push_str(&value[1..]);
                }
                Some(_) => is_whole = false,
                None => self.fields.push((quoted(name), value.to_owned())),
            }
        }
        is_whole
    }

    /// Whether deltas brought anything.
    pub fn is_changed(&self) -> bool {
        !self.fields.is_empty() || !self.input.is_empty()
    }

    /// The complete block. An input that is not valid JSON, because it was cut,
    /// becomes a string.
    pub fn finish(mut self) -> Box<RawValue> {
        if !self.input.is_empty() {
            self.open();
            let input = match serde_json::from_str::<&RawValue>(&self.input) {
                Ok(_) => std::mem::take(&mut self.input),
                Err(_) => quoted(&self.input),
            };
            match self.field("input") {
                Some(field) => *field = input,
                None => self.fields.push((quoted("input"), input)),
            }
        }
        if self.fields.is_empty() {
            return self.block;
        }
        let fields = self.fields.iter();
        let fields: Vec<String> = fields
            .map(|(name, value)| format!("{name}:{value}"))
            .collect();
        let merged = RawValue::from_string(format!("{{{}}}", fields.join(",")));
        merged.unwrap_or(self.block)
    }

    fn open(&mut self) {
        if self.fields.is_empty()
            && let Ok(block) = Object::read(self.block.get())
        {
            let fields = block.fields();
            let fields = fields.map(|(name, value)| (quoted(name), value.get().to_owned()));
            self.fields = fields.collect();
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut String> {
        let name = quoted(name);
        let mut fields = self.fields.iter_mut().rev();
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string always serializes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn merged(block: &str, deltas: &[&str], input: &[&str]) -> String {
        let mut merged = MergedBlock::new(raw(block));
        deltas.iter().for_each(|delta| {
            merged.push(&raw(delta));
        });
        input.iter().for_each(|piece| merged.push_input(piece));
        merged.finish().get().to_owned()
    }

    #[test]
    fn an_input_keeps_its_bytes_and_its_place() {
        let block = r#"{"type":"t", "input" : {},"n":1.0}"#;
        assert_eq!(merged(block, &[], &[]), block);
        assert_eq!(
            merged(block, &[], &["{\"a\":1e2, ", "\"a\":-0}"]),
            r#"{"type":"t","input":{"a":1e2, "a":-0},"n":1.0}"#
        );
        assert_eq!(
            merged(r#"{"type":"t"}"#, &[], &["{\"a\":\"b"]),
            r#"{"type":"t","input":"{\"a\":\"b"}"#
        );
    }

    #[test]
    fn deltas_append_to_strings_and_fill_what_is_missing() {
        assert_eq!(
            merged(
                r#"{"type":"t","a":null,"b":"x\ud83d","c":{"d":1}}"#,
                &[
                    r#"{"type":"t_delta","a":"1","b":"\ude00","c":[2],"e":1.50}"#,
                    r#"{"type":"t_delta","a":"2"}"#,
                    "7",
                ],
                &[],
            ),
            r#"{"type":"t","a":"12","b":"x\ud83d\ude00","c":{"d":1},"e":1.50}"#
        );
        assert_eq!(merged("null", &[r#"{"type":"t"}"#], &[]), "null");
    }

    #[test]
    fn it_says_whether_a_delta_has_its_place() {
        let mut merged = MergedBlock::new(raw(r#"{"type":"t","a":"1","b":[]}"#));
        assert!(merged.push(&raw(r#"{"type":"t_delta","a":"2","c":3}"#)));
        assert!(!merged.push(&raw(r#"{"type":"t_delta","a":"3","b":[1]}"#)));
        assert!(!merged.push(&raw(r#"{"type":"t_delta","c":3}"#)));
        assert!(!merged.push(&raw("7")));
    }
}
