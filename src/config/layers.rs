//! The layers above the defaults: file, environment, flags.

use super::{
    environment::Environment,
    fault::{Fault, Origin},
};
use crate::secrets::{SecretError, read_text};
use figment::{
    Metadata, Profile, Provider, Source,
    value::{Dict, Empty, Map, Value},
};
use std::{ffi::OsStr, path::Path};

/// The prefix of the variables of the configuration.
pub const PREFIX: &str = "CLAUDE_GRPC_";

/// Keys that protect the service: an empty variable may have lost its value, and
/// must not turn the protection off.
const PROTECTING: [&str; 4] = [
    "access.clients_file",
    "server.tls.cert_file",
    "server.tls.key_file",
    "server.tls.client_ca_file",
];

/// Separates the sections and the key in the name of a variable.
const SEPARATOR: &str = "__";

/// Variables with our prefix that are flags of the command line, not keys.
const OF_THE_COMMAND_LINE: [&str; 6] = [
    "CLAUDE_GRPC_CONFIG",
    "CLAUDE_GRPC_ADDR",
    "CLAUDE_GRPC_CLIENT_KEY",
    "CLAUDE_GRPC_CLIENT_KEY_FILE",
    "CLAUDE_GRPC_CA_FILE",
    "CLAUDE_GRPC_TEMPLATES",
];

/// The values that one source sets.
#[derive(Debug, Clone)]
pub struct Layer {
    dict: Dict,
    metadata: Metadata,
}

impl Layer {
    /// Makes a layer of values with a common origin.
    pub fn new(dict: Dict, origin: &Origin) -> Self {
        let metadata = match origin {
            Origin::Default => Metadata::named("defaults"),
            Origin::File(path) => Metadata::from("file", path.as_path()),
            Origin::Variable(name) => Metadata::from("variable", Source::Custom(name.clone())),
            Origin::Flag(name) => Metadata::from("flag", Source::Custom(name.clone())),
        };
        Layer { dict, metadata }
    }

    /// The values, nested by section.
    pub fn dict(&self) -> &Dict {
        &self.dict
    }

    /// The origin of the values.
    pub fn origin(&self) -> Origin {
        origin_of(&self.metadata)
    }
}

/// The origin of a value, from the metadata that its layer passed to figment.
pub fn origin_of(metadata: &Metadata) -> Origin {
    match (&*metadata.name, &metadata.source) {
        (_, Some(Source::File(path))) => Origin::File(path.clone()),
        ("variable", Some(Source::Custom(name))) => Origin::Variable(name.clone()),
        ("flag", Some(Source::Custom(name))) => Origin::Flag(name.clone()),
        _ => Origin::Default,
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Reads the layer of a TOML file.
///
/// # Errors
/// When it cannot be read or is not valid TOML. The error names the line but
/// does not quote it, since it may contain a secret.
pub fn file(path: &Path) -> Result<Layer, Fault> {
    let fault = |problem: String| Fault::File {
        path: path.to_owned(),
        problem,
    };
    let text = read_text(path).map_err(|error| match error {
        SecretError::Read { source, .. } => {
            fault(format!("failed to read the configuration file: {source}"))
        }
        SecretError::Malformed { reason, .. } => fault(reason.to_owned()),
        other => fault(other.to_string()),
    })?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let what = error.message().lines().next().unwrap_or_default();
        fault(format!("invalid TOML in line {line}: {what}"))
    })?;
    let value = Value::serialize(table).map_err(|error| fault(error.to_string()))?;
    let dict = value.into_dict().unwrap_or_default();
    Ok(Layer::new(dict, &Origin::File(path.to_owned())))
}

/// A value that is set by a flag.
#[derive(Debug, Clone)]
pub struct FlagValue {
    /// The dotted key, such as `server.listen`.
    pub key: String,
    /// The name of the flag, with its dashes.
    pub flag: &'static str,
    /// The value that it sets the key to.
    pub value: Value,
}

/// Makes the layer of one flag.
pub fn flag(flag: &FlagValue) -> Layer {
    let dict = nested(flag.key.split('.'), flag.value.clone());
    Layer::new(dict, &Origin::Flag(flag.flag.to_owned()))
}

/// Makes a layer for each variable, or the fault of it. The default of its key
/// determines the type that the value is parsed as.
pub fn variables(environment: &Environment, defaults: &Dict) -> Vec<Result<Layer, Fault>> {
    environment
        .with_prefix(PREFIX)
        .filter(|(name, _)| !OF_THE_COMMAND_LINE.contains(name) && !is_service_link(name))
        .map(|(name, value)| variable(name, value, defaults))
        .chain(emptied(environment))
        .collect()
}

/// The faults of variables that are empty and must not be.
fn emptied(environment: &Environment) -> impl Iterator<Item = Result<Layer, Fault>> {
    let names = PROTECTING.into_iter().map(variable_name);
    names.filter(|name| environment.is_empty(name)).map(|name| {
        Err(Fault::Variable {
            name,
            problem: "must not be empty; unset the variable to do without".to_owned(),
        })
    })
}

/// The name of the variable of a key.
pub fn variable_name(key: &str) -> String {
    let name = key.replace('.', SEPARATOR).to_ascii_uppercase();
    format!("{PREFIX}{name}")
}

fn variable(name: &str, value: &OsStr, defaults: &Dict) -> Result<Layer, Fault> {
    let wrong = |problem: &str| Fault::Variable {
        name: name.to_owned(),
        problem: problem.to_owned(),
    };
    let lower = name[PREFIX.len()..].to_ascii_lowercase();
    let path: Vec<&str> = lower.split(SEPARATOR).collect();
    let default = find(defaults, &path).map_err(|unknown| match unknown {
        Unknown::Key => wrong(misplaced_key(path.last().copied()).unwrap_or(
            "unknown variable; the variable of a key is CLAUDE_GRPC_SECTION__KEY, and \
             `config check` prints all keys",
        )),
        Unknown::Section => wrong("must name a key, not a section: append `__` and the key"),
    })?;
    let text = value.to_str().ok_or_else(|| wrong("must be valid UTF-8"))?;
    let value = typed(text, default).map_err(|problem| Fault::Key {
        key: path.join("."),
        problem,
        origin: Origin::Variable(name.to_owned()),
    })?;
    let dict = nested(path.into_iter(), value);
    Ok(Layer::new(dict, &Origin::Variable(name.to_owned())))
}

/// Whether Kubernetes sets this variable, as it does in every pod for a Service
/// named `claude-grpc`. Ours differ: they all contain `__`.
fn is_service_link(name: &str) -> bool {
    let rest = &name[PREFIX.len()..];
    !rest.contains(SEPARATOR)
        && (rest == "SERVICE_HOST"
            || rest == "PORT"
            || rest.starts_with("SERVICE_PORT")
            || rest.starts_with("PORT_"))
}

/// The advice for a key or variable that looks like an attempt to configure an
/// API key.
pub fn misplaced_key(name: Option<&str>) -> Option<&'static str> {
    let name = name?;
    ["api_key", "api_keys", "anthropic_api_key", "claude_api_key"]
        .contains(&name)
        .then_some(
            "an API key must not be in the configuration; set ANTHROPIC_API_KEY, or name a file \
             that contains it in ANTHROPIC_API_KEY_FILE or upstream.api_key_file",
        )
}

/// Why a path does not lead to the default of a key.
enum Unknown {
    Key,
    Section,
}

fn find<'a>(defaults: &'a Dict, path: &[&str]) -> Result<&'a Value, Unknown> {
    let (last, sections) = path.split_last().ok_or(Unknown::Key)?;
    let mut dict = defaults;
    for section in sections {
        match dict.get(*section) {
            Some(Value::Dict(_, inner)) => dict = inner,
            _ => return Err(Unknown::Key),
        }
    }
    match dict.get(*last) {
        // An empty one is a map with arbitrary keys, not a section.
        Some(Value::Dict(_, inner)) if !inner.is_empty() => Err(Unknown::Section),
        Some(value) => Ok(value),
        None => Err(Unknown::Key),
    }
}

/// Parses the value of a variable as the type of its default.
fn typed(text: &str, default: &Value) -> Result<Value, String> {
    match default {
        Value::String(..) | Value::Char(..) => Ok(Value::from(text)),
        Value::Bool(..) => match text.parse::<bool>() {
            Ok(value) => Ok(Value::from(value)),
            Err(_) => Err("must be true or false".to_owned()),
        },
        Value::Num(..) => number(text).ok_or_else(|| "must be a number".to_owned()),
        Value::Array(..) if !text.trim_start().starts_with('[') => Ok(listed(text)),
        Value::Array(..) => in_toml(text)
            .ok_or_else(|| "must be a list: separated by commas, or in TOML".to_owned()),
        Value::Dict(..) => in_toml(text).ok_or_else(|| "must be a TOML table".to_owned()),
        // A key without a default could have any type.
        Value::Empty(..) => Ok(text
            .parse::<bool>()
            .map(Value::from)
            .ok()
            .or_else(|| number(text))
            .or_else(|| {
                text.starts_with(['[', '{'])
                    .then(|| in_toml(text))
                    .flatten()
            })
            .unwrap_or_else(|| Value::from(text))),
    }
}

fn number(text: &str) -> Option<Value> {
    text.parse::<i64>()
        .map(Value::from)
        .or_else(|_| text.parse::<u64>().map(Value::from))
        .or_else(|_| text.parse::<f64>().map(Value::from))
        .ok()
}

fn listed(text: &str) -> Value {
    let items = text.split(',').map(str::trim);
    let items: Vec<Value> = items
        .filter(|item| !item.is_empty())
        .map(Value::from)
        .collect();
    Value::from(items)
}

fn in_toml(text: &str) -> Option<Value> {
    let mut table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    (table.len() == 1).then_some(())?;
    Value::serialize(table.remove("value")?).ok()
}

fn nested<'a>(path: impl DoubleEndedIterator<Item = &'a str>, value: Value) -> Dict {
    let wrapped = path.rev().fold(value, |inner, name| {
        Value::from(Dict::from([(name.to_owned(), inner)]))
    });
    wrapped.into_dict().unwrap_or_default()
}

/// The defaults as figment sees them. Keys without a default are included, with
/// an empty value, so that their names are known.
pub fn defaults(config: impl serde::Serialize) -> Dict {
    Value::serialize(config)
        .unwrap_or_else(|_| Value::from(Empty::None))
        .into_dict()
        .unwrap_or_default()
}

/// The defaults with lists in these sections that are not written while they are empty.
pub fn with_lists(mut defaults: Dict, lists: &[(&str, &str)]) -> Dict {
    for (section, name) in lists {
        if let Some(Value::Dict(_, section)) = defaults.get_mut(*section) {
            let empty = || Value::from(Vec::<Value>::new());
            section.entry((*name).to_owned()).or_insert_with(empty);
        }
    }
    defaults
}

/// Appends the dotted names of the keys in `given` that are missing in `known`.
/// Contents of lists and of empty maps are left to serde.
pub fn unknown_keys(given: &Dict, known: &Dict, prefix: &str, unknown: &mut Vec<String>) {
    for (name, value) in given {
        let key = format!("{prefix}{name}");
        match (known.get(name), value) {
            (None, _) => unknown.push(key),
            (Some(Value::Dict(_, known)), Value::Dict(_, given)) if !known.is_empty() => {
                unknown_keys(given, known, &format!("{key}."), unknown);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn shape() -> Dict {
        let text = "flag = true\nlist = ['x']\n[log]\nlevel = 'info'\nlines = 3\nshare = 0.5";
        let mut dict = defaults(toml::from_str::<toml::Table>(text).unwrap());
        dict.insert("nothing".to_owned(), Value::from(Empty::None));
        dict
    }

    fn read(name: &str, value: &str) -> Result<Value, String> {
        let layer = variable(name, OsStr::new(value), &shape()).map_err(|e| e.to_string())?;
        let path = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        Ok(Value::from(layer.dict).find(&path).unwrap())
    }

    #[test]
    fn a_variable_has_the_type_of_its_default() {
        let read = |name, value| read(name, value).unwrap();
        assert_eq!(read("CLAUDE_GRPC_LOG__LEVEL", "true"), Value::from("true"));
        assert_eq!(read("CLAUDE_GRPC_LOG__LINES", "7"), Value::from(7_i64));
        assert_eq!(read("CLAUDE_GRPC_LOG__SHARE", "1"), Value::from(1_i64));
        assert_eq!(read("CLAUDE_GRPC_FLAG", "false"), Value::from(false));
        let list = Value::from(vec!["a", "b"]);
        assert_eq!(read("CLAUDE_GRPC_LIST", "a, b,"), list);
        assert_eq!(read("CLAUDE_GRPC_LIST", "['a', \"b\"]"), list);
        assert_eq!(read("CLAUDE_GRPC_NOTHING", "/a/b"), Value::from("/a/b"));
    }

    #[test]
    fn what_a_variable_cannot_hold_is_named_without_its_value() {
        let error = read("CLAUDE_GRPC_LOG__LINES", "hush").unwrap_err();
        assert_eq!(
            error,
            "log.lines: must be a number (from CLAUDE_GRPC_LOG__LINES)"
        );
        let error = read("CLAUDE_GRPC_LIST", "[hush").unwrap_err();
        assert_eq!(
            error,
            "list: must be a list: separated by commas, or in TOML (from CLAUDE_GRPC_LIST)"
        );
    }

    #[test]
    fn unknown_variables_are_named() {
        for name in [
            "CLAUDE_GRPC_LOG__LEVLE",
            "CLAUDE_GRPC_LEVEL",
            "CLAUDE_GRPC_",
        ] {
            let error = read(name, "hush").unwrap_err();
            assert!(
                error.starts_with(&format!("{name}: unknown variable")),
                "{error}"
            );
        }
        let error = read("CLAUDE_GRPC_LOG", "hush").unwrap_err();
        assert!(
            error.starts_with("CLAUDE_GRPC_LOG: must name a key"),
            "{error}"
        );
        let error = read("CLAUDE_GRPC_LOG__API_KEY", "hush").unwrap_err();
        assert!(error.contains("set ANTHROPIC_API_KEY"), "{error}");
        assert!(!error.contains("hush"));
    }

    #[test]
    fn the_variables_that_kubernetes_gives_are_not_ours() {
        let environment: Environment = [
            "CLAUDE_GRPC_SERVICE_HOST",
            "CLAUDE_GRPC_SERVICE_PORT_GRPC",
            "CLAUDE_GRPC_PORT",
            "CLAUDE_GRPC_PORT_50051_TCP_ADDR",
        ]
        .map(|name| (name, "10.0.0.1"))
        .into_iter()
        .collect();
        assert!(variables(&environment, &shape()).is_empty());
    }

    #[test]
    fn a_secret_on_a_broken_line_is_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("broken.toml");
        fs::write(&path, "[upstream]\napi_key = \"hush\n").unwrap();
        let error = file(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
