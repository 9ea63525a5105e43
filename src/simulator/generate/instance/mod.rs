//! Instances of JSON schemas, filled from the words of the request.

mod scalars;

use super::{
    choice::Scores,
    keywords::{is_confidence, kind, kind_of, merge, merged, text_of},
    prompt::Prompt,
    words::WordCounts,
};
use serde_json::{Map, Value, json};

/// From here on optional properties are left out: a schema may refer to itself.
const DEEP: usize = 6;

/// Here even what is required is given up: the schema has no finite instance.
const TOO_DEEP: usize = 40;

/// The answer to a request with a schema.
pub(in crate::simulator) fn answer(schema: &Map<String, Value>, prompt: &Prompt) -> Value {
    Filling::new(schema, prompt, true).value(&Value::Object(schema.clone()), "", 0)
}

/// The input of a tool: without a mark, which the tool would take at its word.
pub(in crate::simulator) fn tool_input(
    schema: &Map<String, Value>,
    prompt: &Prompt,
) -> Map<String, Value> {
    let mut filling = Filling::new(schema, prompt, false);
    match filling.value(&Value::Object(schema.clone()), "", 0) {
        Value::Object(input) => input,
        _ => Map::new(),
    }
}

struct Filling<'a> {
    root: Value,
    prompt: &'a Prompt,
    words: WordCounts,
    marked: bool,
    /// The last choice that was made, to which confidences belong, and
    /// whether several options could be chosen.
    chosen: Option<(Scores, bool)>,
}

impl<'a> Filling<'a> {
    fn new(schema: &Map<String, Value>, prompt: &'a Prompt, marked: bool) -> Self {
        Filling {
            root: Value::Object(schema.clone()),
            prompt,
            words: WordCounts::of(&prompt.subject),
            marked,
            chosen: None,
        }
    }

    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let Some(schema) = schema.as_object() else {
            // `true` accepts anything.
            return json!("anything");
        };
        if depth > TOO_DEEP {
            return Value::Null;
        }
        let schema = &self.resolved(schema, 0);
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return self.choose(values);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(keyword).and_then(Value::as_array) {
                let branch = self.branch(branches, depth);
                let merged = merged(schema, keyword, branch);
                return self.value(&Value::Object(merged), name, depth + 1);
            }
        }
        match kind(schema) {
            "object" => self.object(schema, name, depth),
            "array" => self.array(schema, name, depth),
            "integer" => self.number(schema, name, true),
            "number" => self.number(schema, name, false),
            "boolean" => self.boolean(schema, name),
            "null" => Value::Null,
            _ => Value::String(self.string(schema, name)),
        }
    }

    /// The schema with its `$ref` and `allOf` put in their place.
    fn resolved(&self, schema: &Map<String, Value>, followed: usize) -> Map<String, Value> {
        let mut schema = schema.clone();
        if followed > TOO_DEEP {
            return schema;
        }
        if let Some(Value::String(reference)) = schema.remove("$ref") {
            let target = reference
                .strip_prefix('#')
                .and_then(|it| self.root.pointer(it));
            if let Some(target) = target.and_then(Value::as_object) {
                merge(&mut schema, &self.resolved(target, followed + 1));
            }
        }
        if let Some(Value::Array(parts)) = schema.remove("allOf") {
            for part in parts.iter().filter_map(Value::as_object) {
                merge(&mut schema, &self.resolved(part, followed + 1));
            }
        }
        schema
    }

    /// The alternative to take: null only when nothing else fits the text, or
    /// deep down, where it ends the recursion.
    fn branch<'b>(&mut self, branches: &'b [Value], depth: usize) -> &'b Value {
        let is_null = |branch: &&Value| branch.get("type").and_then(Value::as_str) == Some("null");
        let first = branches.first().unwrap_or(&Value::Null);
        let null = branches.iter().find(is_null);
        let other = branches
            .iter()
            .find(|branch| !is_null(branch))
            .unwrap_or(first);
        let Some(null) = null else {
            let is_flat = |branch: &&Value| !matches!(kind_of(branch), "object" | "array");
            let flat = branches
                .iter()
                .find(is_flat)
                .filter(|it| it.get("$ref").is_none());
            return if depth > DEEP {
                flat.unwrap_or(other)
            } else {
                other
            };
        };
        let values = other.get("enum").and_then(Value::as_array);
        let scores = values.and_then(|values| self.scores(values));
        let fits = scores.as_ref().is_none_or(Scores::any);
        if fits && depth <= DEEP {
            return other;
        }
        // None of them was chosen, which is a choice that has confidences too.
        if let Some(scores) = scores {
            self.chosen = Some((scores, true));
        }
        null
    }

    fn scores(&self, values: &[Value]) -> Option<Scores> {
        let names: Option<Vec<String>> = values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect();
        let instructions = format!("{}\n{}", self.prompt.system, self.prompt.instructions);
        Some(Scores::new(names?, &instructions, &self.words))
    }

    fn choose(&mut self, values: &[Value]) -> Value {
        let Some(scores) = self.scores(values) else {
            return values.first().cloned().unwrap_or(Value::Null);
        };
        let best = values.get(scores.best()).cloned().unwrap_or(Value::Null);
        self.chosen = Some((scores, false));
        best
    }

    fn object(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Value {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let empty = Map::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        if let Some(confidences) = self.confidences(schema, properties, name) {
            return confidences;
        }
        let mut object = Map::new();
        for (name, property) in properties {
            if depth <= DEEP || required.contains(&name.as_str()) {
                object.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        for name in required {
            if !properties.contains_key(name) {
                object.insert(name.to_owned(), json!("anything"));
            }
        }
        Value::Object(object)
    }

    /// An object of one number for each option, as a classification may have
    /// it next to the chosen label. A number of the text is never a confidence.
    fn confidences(
        &mut self,
        schema: &Map<String, Value>,
        properties: &Map<String, Value>,
        name: &str,
    ) -> Option<Value> {
        let description = text_of(schema, "description");
        let numbers = properties.values().all(|property| {
            kind_of(property) == "number"
                && !["minimum", "maximum", "enum", "const", "multipleOf"]
                    .iter()
                    .any(|bound| property.get(bound).is_some())
        });
        if properties.is_empty() || !numbers || !is_confidence(name, description) {
            return None;
        }
        let Some((scores, several)) = &self.chosen else {
            let unsure = properties.keys().map(|key| (key.clone(), json!(0.5)));
            return Some(Value::Object(unsure.collect()));
        };
        let options = properties.iter().map(|(key, property)| {
            let description = property.get("description").and_then(Value::as_str);
            let label = description.unwrap_or(key);
            // The longest name wins: one option may begin like another.
            let named = (0..scores.names.len())
                .filter(|index| label.starts_with(&scores.names[*index]))
                .max_by_key(|index| scores.names[*index].len());
            let confidence = match (named, several) {
                (Some(index), true) => scores.alone(index),
                (Some(index), false) => scores.share(index),
                (None, _) => 0.0,
            };
            (key.clone(), json!(confidence))
        });
        Some(Value::Object(options.collect()))
    }

    fn array(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Value {
        let figure = |keyword| {
            schema
                .get(keyword)
                .and_then(Value::as_u64)
                .map(|it| it as usize)
        };
        let least = figure("minItems").unwrap_or(0);
        let most = figure("maxItems").unwrap_or(usize::MAX);
        let Some(items) = schema.get("items").and_then(Value::as_object) else {
            return (0..least).map(|index| json!(index)).collect();
        };
        let resolved = self.resolved(items, 0);
        if let Some(values) = resolved.get("enum").and_then(Value::as_array) {
            return self.choose_several(values, least, most);
        }
        let wanted = if depth > DEEP { least } else { least.max(1) };
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let mut array = Vec::new();
        for index in 0..wanted.min(most) {
            let item = self.value(&Value::Object(items.clone()), name, depth + 1);
            array.push(if unique { numbered(item, index) } else { item });
        }
        Value::Array(array)
    }

    fn choose_several(&mut self, values: &[Value], least: usize, most: usize) -> Value {
        let Some(scores) = self.scores(values) else {
            let wanted = least.max(1).min(most);
            return values.iter().cycle().take(wanted).cloned().collect();
        };
        let mut chosen = scores.good();
        for index in scores.ranked() {
            if chosen.len() < least && !chosen.contains(&index) {
                chosen.push(index);
            }
        }
        chosen.truncate(most);
        chosen.sort_unstable();
        // When there are fewer options than are wanted, they come again.
        let wanted = least.max(chosen.len());
        let labels = chosen
            .iter()
            .cycle()
            .take(wanted)
            .map(|index| values[*index].clone());
        let labels = labels.collect();
        self.chosen = Some((scores, true));
        labels
    }
}

/// Items that must be unique are numbered.
fn numbered(item: Value, index: usize) -> Value {
    match item {
        Value::String(text) if index > 0 => json!(format!("{text} ({})", index + 1)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => json!(integer + index as i64),
            None => json!(number.as_f64().unwrap_or(0.0) + index as f64),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests;
