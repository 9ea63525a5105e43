//! The environment as a parameter, so that tests can pass their own.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

/// A copy of environment variables. `Debug` shows their names only.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Copies the current variables of this process.
    pub fn of_process() -> Self {
        Environment(std::env::vars_os().collect())
    }

    /// The value of a variable, without whitespace around it: a line of a file
    /// that ends in CR LF leaves a CR. An empty value counts as unset, since
    /// that is how many deployment tools omit an optional variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .and_then(|value| value_of(value))
    }

    /// Whether a variable is there, but counts as unset.
    pub fn is_empty(&self, name: &str) -> bool {
        self.0.contains_key(OsStr::new(name)) && self.get(name).is_none()
    }

    /// The variables that are set and whose names begin with `prefix`, by their
    /// full names.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a OsStr)> {
        self.0.iter().filter_map(move |(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(prefix))?;
            Some((name, value_of(value)?))
        })
    }
}

fn value_of(value: &OsStr) -> Option<&OsStr> {
    let value = match value.to_str() {
        Some(text) => OsStr::new(text.trim()),
        None => value,
    };
    (!value.is_empty()).then_some(value)
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let owned = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Environment(owned.collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
