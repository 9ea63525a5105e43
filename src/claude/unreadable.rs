//! Why a response of the API cannot be read.

use std::{borrow::Cow, fmt};
use thiserror::Error;

/// What is wrong with a response, and where: `content[1].text is not a string`.
/// It never contains anything that the API or the model wrote.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unreadable(Cow<'static, str>);

impl Unreadable {
    /// `what` is wrong at a place in the response.
    pub fn at(place: impl fmt::Display, what: &str) -> Self {
        Unreadable(format!("{place} {what}").into())
    }

    /// A text that is not one JSON object, with the place of the error in it.
    pub(super) fn not_an_object(what: &str, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let why = format!("is not a JSON object: error at line {line}, column {column}");
        Unreadable::at(what, &why)
    }
}

impl From<&'static str> for Unreadable {
    fn from(what: &'static str) -> Self {
        Unreadable(Cow::Borrowed(what))
    }
}
