//! A template: what its file may say, and how its placeholders are filled.

use super::placeholders::{TextPart, is_name, parts};
use crate::cli::{
    client::{effort::EffortName, schema},
    exit::Failure,
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// The placeholder of standard input and the prompt argument.
const INPUT: &str = "input";

/// The fields of a template file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Template {
    /// A line that `claude-grpc templates` prints.
    pub description: String,
    /// The system prompt.
    pub system: Option<String>,
    /// The prompt; without it, the input is the prompt.
    pub prompt: Option<String>,
    /// Model id.
    pub model: Option<String>,
    /// Maximum number of output tokens.
    pub max_tokens: Option<i32>,
    /// Effort of the model.
    pub effort: Option<EffortName>,
    /// A JSON Schema that the answer must match.
    pub schema: Option<String>,
    /// The file with that schema, in the folder of the template.
    pub schema_file: Option<PathBuf>,
    /// Values of placeholders that no `--param` gives.
    params: BTreeMap<String, String>,
}

impl Template {
    /// A template of a prompt without placeholders.
    pub fn of_prompt(prompt: String) -> Template {
        Template {
            prompt: Some(prompt),
            ..Template::default()
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when it is not TOML, or has an
    /// unknown field or parameter, or braces that are not placeholders.
    pub fn parse(text: &str) -> Result<Template, Failure> {
        let template: Template = toml::from_str(text).map_err(|error| {
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count() + 1;
            let what = error.message().lines().next().unwrap_or_default();
            Failure::usage(format!("invalid template in line {line}: {what}"))
        })?;
        if template.schema.is_some() && template.schema_file.is_some() {
            return Err(Failure::usage(
                "schema and schema_file must not be set together",
            ));
        }
        if let Some(text) = &template.schema {
            schema::checked(text.clone()).map_err(|failure| failure.about("schema"))?;
        }
        let names = template.placeholders()?;
        for name in template.params.keys() {
            known_parameter(&names, name).map_err(|failure| failure.about("params"))?;
        }
        Ok(template)
    }

    /// Whether the input has a place of its own in the texts.
    ///
    /// # Errors
    /// When braces are not placeholders.
    pub fn places_input(&self) -> Result<bool, Failure> {
        Ok(self.placeholders()?.contains(INPUT))
    }

    /// Replaces the placeholders of `system` and `prompt` by the input and the
    /// parameters. What is put in is not searched for placeholders again.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when a parameter is unknown,
    /// given twice or missing.
    pub fn fill(&mut self, input: &str, given: Vec<(String, String)>) -> Result<(), Failure> {
        let names = self.placeholders()?;
        let mut set = BTreeSet::new();
        for (name, value) in given {
            known_parameter(&names, &name)?;
            if !set.insert(name.clone()) {
                let reason = format!("parameter {name:?} must not be given more than once");
                return Err(Failure::usage(reason));
            }
            self.params.insert(name, value);
        }
        let value = |name: &str| match name {
            INPUT => Ok(input),
            _ => self.params.get(name).map(String::as_str).ok_or_else(|| {
                let reason = format!("parameter {name:?} must be given: --param {name}=VALUE");
                Failure::usage(reason)
            }),
        };
        let filled = |text: &Option<String>, field| match text {
            Some(text) => {
                let parts = parts_of(text, field)?;
                let values = parts.into_iter().map(|part| match part {
                    TextPart::Literal(text) => Ok(text),
                    TextPart::Placeholder(name) => value(name),
                });
                values.collect::<Result<String, _>>().map(Some)
            }
            None => Ok(None),
        };
        let system = filled(&self.system, "system")?;
        let prompt = filled(&self.prompt, "prompt")?;
        (self.system, self.prompt) = (system, prompt);
        Ok(())
    }

    fn placeholders(&self) -> Result<BTreeSet<String>, Failure> {
        let mut names = BTreeSet::new();
        for (text, field) in [(&self.system, "system"), (&self.prompt, "prompt")] {
            let text = text.as_deref().unwrap_or_default();
            for part in parts_of(text, field)? {
                if let TextPart::Placeholder(name) = part {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(names)
    }
}

fn parts_of<'a>(text: &'a str, field: &str) -> Result<Vec<TextPart<'a>>, Failure> {
    parts(text).map_err(|line| {
        Failure::usage(format!(
            "{field}: line {line}: a placeholder must be {{{{name}}}}, of letters, digits, - and _"
        ))
    })
}

/// Whether a parameter stands for a placeholder of the texts.
fn known_parameter(names: &BTreeSet<String>, name: &str) -> Result<(), Failure> {
    if name == INPUT {
        let reason = "\"input\" must not be a parameter: it is standard input and the prompt";
        return Err(Failure::usage(reason));
    }
    if is_name(name) && names.contains(name) {
        return Ok(());
    }
    Err(Failure::usage(format!("unknown parameter {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(failed: Result<impl std::fmt::Debug, Failure>) -> String {
        match failed {
            Err(Failure::Explained { reasons, .. }) => reasons.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    fn filled(text: &str, input: &str, given: &[(&str, &str)]) -> Result<Template, Failure> {
        let mut template = Template::parse(text)?;
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        template.fill(input, given.collect())?;
        Ok(template)
    }

    #[test]
    fn placeholders_are_replaced_once() {
        let text = "prompt = 'In {{to}}: {{input}}'\nsystem = '{{tone}}'\n[params]\ntone = 'dry'";
        let template = filled(text, "{{to}}", &[("to", "{{input}}")]).unwrap();
        assert_eq!(template.prompt.as_deref(), Some("In {{input}}: {{to}}"));
        assert_eq!(template.system.as_deref(), Some("dry"));
        let template = filled(text, "", &[("to", "x"), ("tone", "")]).unwrap();
        assert_eq!(template.system.as_deref(), Some(""));
    }

    #[test]
    fn what_is_unknown_or_missing_is_named() {
        for (text, part) in [
            ("promt = 'x'", "line 1: unknown field `promt`"),
            ("model = 'm'\nprompt = '\n", "line 2: "),
            (
                "prompt = '{{a b}}'",
                "prompt: line 1: a placeholder must be {{name}}",
            ),
            (
                "prompt = 'x'\nparams.to = 'x'",
                "params: unknown parameter \"to\"",
            ),
            (
                "params.input = 'x'",
                "params: \"input\" must not be a parameter",
            ),
            ("effort = 'huge'", "unknown variant `huge`"),
            ("schema = '{'", "schema: must be JSON"),
            (
                "schema = '{}'\nschema_file = 'x'",
                "must not be set together",
            ),
        ] {
            let reason = reason(Template::parse(text));
            assert!(reason.contains(part), "{text}: {reason}");
        }
        let text = "prompt = 'In {{to}}'";
        for (given, part) in [
            (&[][..], "parameter \"to\" must be given: --param to=VALUE"),
            (&[("too", "x")], "unknown parameter \"too\""),
            (
                &[("to", "x"), ("to", "y")],
                "must not be given more than once",
            ),
        ] {
            let reason = reason(filled(text, "", given));
            assert!(reason.contains(part), "{given:?}: {reason}");
        }
    }
}
