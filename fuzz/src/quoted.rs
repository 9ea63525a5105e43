//! Whether what is said of a document depends on its secrets: the same is said
//! when each of them is another one.

use toml::{Table, Value};

/// The document, and the same one with other secrets. `secret` gives another
/// secret of the same worth for a value that is at a path, or nothing when that
/// value is no secret. `None` when the text is no TOML.
pub fn with_other_secrets(
    text: &str,
    secret: impl Fn(&[&str], &Value) -> Option<Value>,
) -> Option<(String, String)> {
    let table: Table = toml::from_str(text).ok()?;
    let document = toml::to_string(&table).ok()?;
    let other = exchanged(&Value::Table(table), &mut Vec::new(), &secret);
    Some((document, toml::to_string(&other).ok()?))
}

fn exchanged<'a>(
    value: &'a Value,
    path: &mut Vec<&'a str>,
    secret: &impl Fn(&[&str], &Value) -> Option<Value>,
) -> Value {
    match value {
        Value::Array(items) => {
            let items = items.iter().map(|item| exchanged(item, path, secret));
            Value::Array(items.collect())
        }
        Value::Table(table) => {
            let mut other = Table::new();
            for (key, value) in table {
                path.push(key);
                other.insert(key.clone(), exchanged(value, path, secret));
                path.pop();
            }
            Value::Table(other)
        }
        value => secret(path, value).unwrap_or_else(|| value.clone()),
    }
}

/// A text as long, with nothing of this one but its lines.
pub fn blanked(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '\n' | '\r' => vec![c],
            c => vec!['x'; c.len_utf8()],
        })
        .collect()
}
