//! Where a request goes.

use std::borrow::Cow;

/// What a path names: the endpoint of the Claude API, and what else is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::simulator) struct Target<'a> {
    /// What stands in front of the paths of the Claude API.
    pub(in crate::simulator) prefix: &'a str,
    /// The path that the Claude API has for it.
    pub(in crate::simulator) path: &'a str,
    /// What the path names of an account, if anything: its project or its workspace.
    pub(super) account: &'a str,
    /// What the path says of a request and the body of the Claude API would.
    pub(super) named: Option<NamedInPath<'a>>,
}

/// The model and the kind of answer, where the path names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedInPath<'a> {
    pub(super) model: Cow<'a, str>,
    pub(super) streams: bool,
}
