//! Reads variables by the rules of the specification for their types.

use std::time::Duration;

/// Returns the value of a variable.
pub type GetVariable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The timeout for the value 0, which means no limit.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads variables, and collects messages about invalid ones.
pub struct VariableReader<'a> {
    get: GetVariable<'a>,
    /// Messages about ignored values.
    pub ignored: Vec<String>,
}

impl<'a> VariableReader<'a> {
    /// Creates a reader of the variables that `get` returns.
    pub fn new(get: GetVariable<'a>) -> Self {
        VariableReader {
            get,
            ignored: Vec::new(),
        }
    }

    /// Adds a message that the value of a variable is ignored.
    pub fn ignore(&mut self, name: &str, problem: &str) {
        self.ignored.push(format!("{name}: {problem}"));
    }

    /// Reads a text. An empty value is treated as unset.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.get)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// Reads a keyword, in lower case.
    pub fn word(&self, name: &str) -> Option<String> {
        self.text(name).map(|value| value.to_ascii_lowercase())
    }

    /// Reads a keyword, and returns the choice it stands for.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.word(name)?;
        let found = choices.iter().find(|(one, _)| *one == value);
        if found.is_none() {
            self.ignore(name, &format!("unknown value {value:?}"));
        }
        found.map(|(_, choice)| *choice)
    }

    /// Reads names separated by commas. `none` stands for an empty list; names
    /// that are not `known` are ignored.
    pub fn list(&mut self, name: &str, known: &[&str]) -> Option<Vec<String>> {
        let value = self.word(name)?;
        let mut list = Vec::new();
        for one in value.split(',').map(str::trim) {
            if known.contains(&one) {
                list.push(one.to_owned());
            } else if !one.is_empty() && one != "none" {
                self.ignore(name, &format!("unknown value {one:?}"));
            }
        }
        Some(list)
    }

    /// Reads a boolean, which is false by default.
    pub fn boolean(&mut self, name: &str) -> bool {
        match self.word(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.ignore(name, "must be true or false");
                false
            }
        }
    }

    /// Reads a count.
    pub fn integer(&mut self, name: &str) -> Option<usize> {
        let value = self.text(name)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            self.ignore(name, "must be a whole number");
        }
        parsed
    }

    /// Reads a timeout in milliseconds.
    pub fn timeout(&mut self, name: &str) -> Option<Duration> {
        let millis = self.integer(name)?;
        Some(match millis {
            0 => NO_LIMIT,
            millis => Duration::from_millis(millis as u64),
        })
    }
}
