//! Collects the invalid fields of a request.

use super::{Draft, size};
use crate::reason::Reason;
use std::fmt;
use tonic::Status;
use tonic_types::FieldViolation;

/// Maximum size of the summary for humans, in bytes: what a message has room for
/// next to a full list of violations, in any script.
const MAX_SUMMARY: usize = 600;

/// The path of a field, as spelled in `google.rpc.BadRequest`:
/// `messages[2].content[0].image.data`. Lives on the stack; formatted only if
/// something is wrong.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'static str,
    index: Option<usize>,
}

impl Path<'static> {
    /// A field of the request itself.
    pub const fn root(name: &'static str) -> Self {
        Path {
            parent: None,
            name,
            index: None,
        }
    }
}

impl<'a> Path<'a> {
    /// A field of the message at this path.
    pub fn field(&'a self, name: &'static str) -> Path<'a> {
        Path {
            parent: Some(self),
            name,
            index: None,
        }
    }

    /// An item of the repeated field at this path.
    pub fn item(self, index: usize) -> Path<'a> {
        Path {
            index: Some(index),
            ..self
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

/// Collects violations, so that a caller sees all of them at once.
#[derive(Debug, Default)]
pub struct Violations {
    /// The field that holds the message; empty for the request itself.
    parent: String,
    listed: Vec<FieldViolation>,
    listed_bytes: usize,
    unlisted: usize,
}

impl Violations {
    /// Collects violations of a message that is itself a field of the request.
    pub fn under(parent: &'static str) -> Self {
        Violations {
            parent: parent.to_owned(),
            ..Violations::default()
        }
    }

    /// Collects violations of another message from here on, in this field.
    pub fn continue_under(&mut self, parent: String) {
        self.parent = parent;
    }

    /// Adds a violation: a field, and what it must be. The description must not
    /// quote the field's value.
    pub fn add(&mut self, field: impl fmt::Display, description: impl Into<String>) {
        let field = match self.parent.as_str() {
            "" => field.to_string(),
            parent => format!("{parent}.{field}"),
        };
        let violation = FieldViolation::new(
            size::within(&field, size::MAX_FIELD),
            size::within(&description.into(), size::MAX_DESCRIPTION),
        );
        let bytes = violation.field.len() + violation.description.len() + size::VIOLATION_OVERHEAD;
        if self.listed_bytes + bytes > size::MAX_VIOLATIONS {
            self.unlisted += 1;
            return;
        }
        self.listed_bytes += bytes;
        self.listed.push(violation);
    }

    /// INVALID_ARGUMENT with every violation, if there are any.
    pub fn into_result(self) -> Result<(), Status> {
        if self.listed.is_empty() && self.unlisted == 0 {
            return Ok(());
        }
        Err(self.into_status())
    }

    /// INVALID_ARGUMENT with every violation.
    pub fn into_status(self) -> Status {
        let mut draft = Draft::new(Reason::InvalidRequest, self.summary());
        draft.details.set_bad_request(self.listed);
        draft.build()
    }

    /// One line for humans: the first violations in words, and how many more
    /// there are.
    fn summary(&self) -> String {
        const IN_WORDS: usize = 3;
        let first: Vec<String> = self
            .listed
            .iter()
            .take(IN_WORDS)
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect();
        let more = self.listed.len().saturating_sub(IN_WORDS) + self.unlisted;
        let more = match (more, self.unlisted) {
            (0, _) => String::new(),
            (more, 0) => format!("; and {more} more"),
            (more, unlisted) => format!("; and {more} more, {unlisted} of them not listed"),
        };
        let words = size::within(&first.join("; "), MAX_SUMMARY);
        format!("invalid request: {words}{more}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_proto() {
        let messages = Path::root("messages").item(2);
        let content = messages.field("content").item(0);
        let image = content.field("image");
        assert_eq!(
            image.field("data").to_string(),
            "messages[2].content[0].image.data"
        );
    }

    #[test]
    fn one_long_description_is_still_a_violation() {
        let mut violations = Violations::default();
        violations.add("model", "x".repeat(100_000));
        let status = violations.into_result().unwrap_err();
        assert!(status.details().len() < 8 * 1024);
        assert!(status.message().starts_with("invalid request: model: xxx"));
    }

    #[test]
    fn details_stay_small_however_much_is_wrong() {
        let mut violations = Violations::default();
        for index in 0..10_000 {
            violations.add(Path::root("messages").item(index), "must not be empty");
        }
        let status = violations.into_result().unwrap_err();
        assert!(
            status.details().len() < 8 * 1024,
            "{}",
            status.details().len()
        );
        assert!(status.message().contains("more"), "{}", status.message());
    }
}
