//! The shapes of requests: which fields an object may have, and what each may be.
//!
//! `shapes.txt` is made of the types of the official SDK, by
//! `tests/sdk/python/request_shapes.py`, which describes its form.

use std::{collections::HashMap, sync::LazyLock};

/// The shapes of requests, by their names.
#[derive(Debug)]
pub(super) struct ShapeTable(HashMap<&'static str, Shape>);

/// What an object may have.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) fields: Vec<ShapeField>,
    /// Whether it may have other fields too.
    pub(super) open: bool,
}

/// A field of a shape.
#[derive(Debug)]
pub(super) struct ShapeField {
    pub(super) name: &'static str,
    pub(super) required: bool,
    /// Whether only the beta API has it.
    pub(super) beta: bool,
    pub(super) forms: Forms,
}

/// What a value may be.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// Types of JSON: `string`, `integer`, `number`, `boolean`, `null` or `any`.
    pub(super) plain: Vec<&'static str>,
    /// Values in JSON.
    pub(super) fixed: Vec<Alternative>,
    /// Names of shapes.
    pub(super) shapes: Vec<Alternative>,
    /// What the items of a list may be.
    pub(super) items: Option<Box<Forms>>,
    /// What the values of a map may be.
    pub(super) entries: Option<Box<Forms>>,
}

/// One of several values or shapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alternative {
    pub(super) name: &'static str,
    /// Whether only the beta API has it.
    pub(super) beta: bool,
}

/// The table that is compiled in.
pub(super) fn shapes() -> &'static ShapeTable {
    static SHAPES: LazyLock<ShapeTable> =
        LazyLock::new(|| ShapeTable::parse(include_str!("shapes.txt")));
    &SHAPES
}

impl ShapeTable {
    fn parse(text: &'static str) -> Self {
        let mut table = HashMap::new();
        let mut shape = "";
        for line in text.lines() {
            let Some(field) = line.strip_prefix("  ") else {
                shape = line;
                continue;
            };
            let shape: &mut Shape = table.entry(shape).or_default();
            let (name, forms) = field.split_once(' ').unwrap_or((field, "any"));
            if name == "*" {
                shape.open = true;
            } else {
                shape.fields.push(ShapeField::parse(name, forms));
            }
        }
        ShapeTable(table)
    }

    /// The shape of a name that the table has.
    pub(super) fn get(&self, name: &str) -> &Shape {
        &self.0[name]
    }
}

impl Shape {
    pub(super) fn field(&self, name: &str) -> Option<&ShapeField> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl ShapeField {
    fn parse(name: &'static str, texts: &'static str) -> Self {
        let (beta, name) = without_mark(name);
        let mut forms = Forms::default();
        for text in texts.split(" | ") {
            let (beta, text) = without_mark(text);
            forms.add(text, beta);
        }
        ShapeField {
            name: name.trim_end_matches('!'),
            required: name.ends_with('!'),
            beta,
            forms,
        }
    }
}

impl Forms {
    fn add(&mut self, text: &'static str, beta: bool) {
        if let Some(item) = text.strip_prefix("[]") {
            self.items.get_or_insert_default().add(item, beta);
        } else if let Some(entry) = text.strip_prefix("{}") {
            self.entries.get_or_insert_default().add(entry, beta);
        } else if text.starts_with('"') || matches!(text, "true" | "false") {
            self.fixed.push(Alternative { name: text, beta });
        } else if text.starts_with(char::is_uppercase) {
            self.shapes.push(Alternative { name: text, beta });
        } else {
            self.plain.push(text);
        }
    }
}

/// Whether it is marked as one of the beta API, and the text without the mark.
fn without_mark(text: &'static str) -> (bool, &'static str) {
    match text.strip_prefix('+') {
        Some(text) => (true, text),
        None => (false, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(forms: &Forms) -> Vec<&'static str> {
        let inner = [&forms.items, &forms.entries];
        let inner = inner.into_iter().flatten().flat_map(|it| names(it));
        forms.shapes.iter().map(|it| it.name).chain(inner).collect()
    }

    fn plain(forms: &Forms) -> Vec<&'static str> {
        let inner = [&forms.items, &forms.entries];
        let inner = inner.into_iter().flatten().flat_map(|it| plain(it));
        forms.plain.iter().copied().chain(inner).collect()
    }

    #[test]
    fn the_table_is_complete() {
        let table = &shapes().0;
        for field in table.values().flat_map(|shape| &shape.fields) {
            for name in names(&field.forms) {
                assert!(table.contains_key(name), "{name}");
            }
            for name in plain(&field.forms) {
                let known = ["string", "integer", "number", "boolean", "null", "any"];
                assert!(known.contains(&name), "{name}");
            }
        }
        assert!(table.contains_key("Create") && table.contains_key("CountTokens"));
    }
}
