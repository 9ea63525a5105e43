//! Reads variables by the rules that the specification has for their kinds.

use std::time::Duration;

/// Reads one variable.
pub type GetVariable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A limit of 0 is no limit: longer than any export may take.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads variables, and notes those that cannot be used.
pub struct VariableReader<'a> {
    get: GetVariable<'a>,
    /// Values that were ignored, and why.
    pub ignored: Vec<String>,
}

impl<'a> VariableReader<'a> {
    /// A reader of what `get` finds.
    pub fn new(get: GetVariable<'a>) -> Self {
        VariableReader {
            get,
            ignored: Vec::new(),
        }
    }

    /// Notes that the value of a variable is not used.
    pub fn ignore(&mut self, name: &str, problem: &str) {
        self.ignored.push(format!("{name}: {problem}"));
    }

    /// A text; set to nothing counts as not set.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.get)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    /// A name out of several: case does not matter.
    pub fn word(&self, name: &str) -> Option<String> {
        self.text(name).map(|value| value.to_ascii_lowercase())
    }

    /// What stands for a name out of several.
    pub fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.word(name)?;
        let found = choices.iter().find(|(one, _)| *one == value);
        if found.is_none() {
            self.ignore(name, &format!("{value:?} is not known to this service"));
        }
        found.map(|(_, choice)| *choice)
    }

    /// Names divided by commas. `none` is no name; those that are not `known`
    /// are left out.
    pub fn list(&mut self, name: &str, known: &[&str]) -> Option<Vec<String>> {
        let value = self.word(name)?;
        let mut list = Vec::new();
        for one in value.split(',').map(str::trim) {
            if known.contains(&one) {
                list.push(one.to_owned());
            } else if !one.is_empty() && one != "none" {
                self.ignore(name, &format!("{one:?} is not known to this service"));
            }
        }
        Some(list)
    }

    /// Only `true` is true.
    pub fn boolean(&mut self, name: &str) -> bool {
        match self.word(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.ignore(name, "has to be true or false");
                false
            }
        }
    }

    /// A count.
    pub fn integer(&mut self, name: &str) -> Option<usize> {
        let value = self.text(name)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            self.ignore(name, "has to be a whole number");
        }
        parsed
    }

    /// A limit in milliseconds.
    pub fn timeout(&mut self, name: &str) -> Option<Duration> {
        let millis = self.integer(name)?;
        Some(match millis {
            0 => NO_LIMIT,
            millis => Duration::from_millis(millis as u64),
        })
    }
}
