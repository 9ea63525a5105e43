//! Holding a value against the shapes of requests, with the messages of the API.

use super::{
    super::behaviour::UNKNOWN_BLOCK,
    betas::Betas,
    shapes::{Alternative, Forms, Shape, ShapeField, shapes},
};
use serde_json::{Map, Value};

/// Fields whose value says which of several shapes an object has.
const TAGS: [&str; 2] = ["type", "role"];

/// Holds a request against the shape of a name.
///
/// # Errors
/// What is wrong, after the path to it.
pub(super) fn hold(
    request: &Map<String, Value>,
    shape: &str,
    betas: &Betas<'_>,
) -> Result<(), String> {
    let mut holding = Holding {
        betas,
        path: Vec::new(),
    };
    holding.object(request, shapes().get(shape))
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

struct Holding<'a> {
    betas: &'a Betas<'a>,
    path: Vec<Step<'a>>,
}

impl<'a> Holding<'a> {
    fn object(&mut self, object: &'a Map<String, Value>, shape: &Shape) -> Result<(), String> {
        for (name, value) in object {
            self.path.push(Step::Name(name));
            match shape.field(name).filter(|field| self.allows(field)) {
                Some(field) if field.required && value.is_null() && !is_nullable(field) => {
                    return self.wrong("Field required");
                }
                Some(field) => self.value(value, &[&field.forms])?,
                None if shape.open => {}
                None => return self.wrong("Extra inputs are not permitted"),
            }
            self.path.pop();
        }
        let is_missing = |field: &&ShapeField| field.required && !object.contains_key(field.name);
        match shape.fields.iter().find(is_missing) {
            Some(missing) => self.wrong_at(missing.name, "Field required"),
            None => Ok(()),
        }
    }

    fn allows(&self, field: &ShapeField) -> bool {
        !field.beta || self.betas.allow_field(field.name)
    }

    fn value(&mut self, value: &'a Value, forms: &[&Forms]) -> Result<(), String> {
        if forms
            .iter()
            .any(|it| it.plain.iter().any(|it| is_plain(value, it)))
        {
            return Ok(());
        }
        match value {
            Value::Object(object) => self.map(object, forms),
            Value::Array(items) => {
                let wanted: Vec<&Forms> =
                    forms.iter().filter_map(|it| it.items.as_deref()).collect();
                if wanted.is_empty() {
                    return self.wrong(&self.expected(forms));
                }
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    self.value(item, &wanted)?;
                    self.path.pop();
                }
                Ok(())
            }
            _ => {
                let json = value.to_string();
                let mut fixed = forms.iter().flat_map(|it| &it.fixed);
                if fixed.any(|it| it.name == json && self.betas.allow(*it)) {
                    return Ok(());
                }
                self.wrong(&self.expected(forms))
            }
        }
    }

    /// An object, which has one of several shapes or is a map.
    fn map(&mut self, object: &'a Map<String, Value>, forms: &[&Forms]) -> Result<(), String> {
        let entries: Vec<&Forms> = forms
            .iter()
            .filter_map(|it| it.entries.as_deref())
            .collect();
        if !entries.is_empty() {
            for (name, value) in object {
                self.path.push(Step::Name(name));
                self.value(value, &entries)?;
                self.path.pop();
            }
            return Ok(());
        }
        let allowed: Vec<&Shape> = forms
            .iter()
            .flat_map(|it| &it.shapes)
            .filter(|it| self.betas.allow(**it))
            .map(|it| shapes().get(it.name))
            .collect();
        match allowed[..] {
            [] => self.wrong(&self.expected(forms)),
            [shape] => self.object(object, shape),
            _ => self.one_of(object, &allowed),
        }
    }

    fn one_of(&mut self, object: &'a Map<String, Value>, allowed: &[&Shape]) -> Result<(), String> {
        let is_tagged = |tag: &&str| allowed.iter().all(|it| is_tag(it, tag));
        let Some(tag) = TAGS.into_iter().find(is_tagged) else {
            return self.first_fitting(object, allowed);
        };
        let candidates: Vec<&Shape> = match object.get(tag) {
            None => {
                let is_optional = |it: &&&Shape| it.field(tag).is_some_and(|it| !it.required);
                allowed.iter().filter(is_optional).copied().collect()
            }
            Some(value) => {
                let json = value.to_string();
                let is_meant = |it: &&&Shape| tags(it, tag).any(|it| it.name == json);
                allowed.iter().filter(is_meant).copied().collect()
            }
        };
        let Some(kind) = object.get(tag).and_then(Value::as_str) else {
            if candidates.is_empty() {
                return self.wrong_at(tag, "Field required");
            }
            return self.first_fitting(object, &candidates);
        };
        if candidates.is_empty() {
            // What was sent from here comes back in the next turn.
            if kind == UNKNOWN_BLOCK {
                return Ok(());
            }
            let known = allowed.iter().flat_map(|it| tags(it, tag));
            let known: Vec<String> = known.map(|it| it.name.replace('"', "'")).collect();
            let known = known.join(", ");
            return if tag == "type" {
                self.wrong(&format!(
                    "Input tag '{kind}' found using 'type' does not match any of the expected \
                     tags: {known}"
                ))
            } else {
                self.wrong_at(tag, &format!("Input should be {known}"))
            };
        }
        if tag == "type" {
            self.path.push(Step::Name(kind));
        }
        self.first_fitting(object, &candidates)?;
        if tag == "type" {
            self.path.pop();
        }
        Ok(())
    }

    /// Holds the object against each shape; what is wrong is that of the first.
    fn first_fitting(
        &mut self,
        object: &'a Map<String, Value>,
        candidates: &[&Shape],
    ) -> Result<(), String> {
        let depth = self.path.len();
        let mut problem = None;
        for shape in candidates {
            match self.object(object, shape) {
                Ok(()) => return Ok(()),
                Err(message) => problem = problem.or(Some(message)),
            }
            self.path.truncate(depth);
        }
        Err(problem.unwrap_or_default())
    }

    /// What a value should have been.
    fn expected(&self, forms: &[&Forms]) -> String {
        let mut wanted: Vec<String> = Vec::new();
        for forms in forms {
            let fixed = forms.fixed.iter().filter(|it| self.betas.allow(**it));
            wanted.extend(fixed.map(|it| it.name.replace('"', "'")));
            let plain = forms.plain.iter().filter(|it| **it != "null");
            wanted.extend(plain.map(|it| format!("a valid {it}")));
            if forms.items.is_some() {
                wanted.push("a valid list".to_owned());
            }
            if forms.entries.is_some() || !forms.shapes.is_empty() {
                wanted.push("an object".to_owned());
            }
        }
        format!("Input should be {}", wanted.join(" or "))
    }

    fn wrong(&self, problem: &str) -> Result<(), String> {
        let steps: Vec<String> = self
            .path
            .iter()
            .map(|step| match step {
                Step::Name(name) => (*name).to_owned(),
                Step::Index(index) => index.to_string(),
            })
            .collect();
        Err(format!("{}: {problem}", steps.join(".")))
    }

    fn wrong_at(&mut self, name: &'a str, problem: &str) -> Result<(), String> {
        self.path.push(Step::Name(name));
        self.wrong(problem)
    }
}

fn is_nullable(field: &ShapeField) -> bool {
    field
        .forms
        .plain
        .iter()
        .any(|it| matches!(*it, "null" | "any"))
}

fn is_plain(value: &Value, kind: &str) -> bool {
    match kind {
        "any" => true,
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        _ => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|it| it.fract() == 0.0),
    }
}

fn is_tag(shape: &Shape, name: &str) -> bool {
    shape
        .field(name)
        .is_some_and(|field| !field.forms.fixed.is_empty())
}

fn tags<'a>(shape: &'a Shape, name: &str) -> impl Iterator<Item = &'a Alternative> {
    shape
        .field(name)
        .into_iter()
        .flat_map(|field| &field.forms.fixed)
}
