//! What callers may say to the API that has no field of ours: rejected by name unless
//! the operator allows it.

use super::PassthroughConfig;
use crate::{
    status::Violations,
    upstream::{ApiHeaders, BETAS, USER_PROFILE, WORKSPACE, is_name},
};
use std::{fmt, sync::Arc};
use tonic::metadata::{KeyRef, MetadataMap};

/// Maximum number of values of metadata that is meant for the API.
pub const MAX_HEADERS_OF_API: usize = 16;

/// Whether metadata is meant for the API.
pub fn is_of_api(name: &str) -> bool {
    name.starts_with("anthropic-")
}

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// A field, with the names of the objects that it is in.
    Field,
    /// The type of a tool.
    Tool,
    /// The type of a block.
    Block,
    /// The name of a beta.
    Beta,
    /// The id of a workspace.
    Workspace,
    /// The id of a user profile.
    UserProfile,
}

impl PassthroughConfig {
    fn list(&self, what: Passed) -> (&[String], &'static str) {
        match what {
            Passed::Field => (&self.fields, "fields"),
            Passed::Tool => (&self.tools, "tools"),
            Passed::Block => (&self.blocks, "blocks"),
            Passed::Beta => (&self.betas, "betas"),
            Passed::Workspace => (&self.workspaces, "workspaces"),
            Passed::UserProfile => (&self.user_profiles, "user_profiles"),
        }
    }

    /// Whether callers may pass it through; adds a violation that names it otherwise.
    pub fn allows(
        &self,
        what: Passed,
        name: &str,
        path: impl fmt::Display,
        wrong: &mut Violations,
    ) -> bool {
        let (list, key) = self.list(what);
        let is_allowed = list.iter().any(|one| one == name || one == "*");
        if !is_name(name) {
            let problem = "must have 1 to 128 printable ASCII characters without commas and spaces";
            wrong.add(path, problem);
            return false;
        }
        if !is_allowed {
            wrong.add(
                path,
                format!("{name} is not allowed: it is not in service.passthrough.{key} of the configuration"),
            );
        }
        is_allowed
    }

    /// The headers for the API in the metadata of a call; `None` if there are none.
    pub fn headers(
        &self,
        metadata: &MetadataMap,
        wrong: &mut Violations,
    ) -> Option<Arc<ApiHeaders>> {
        let (mut headers, mut count) = (ApiHeaders::default(), 0);
        for key in metadata.keys() {
            let name = match key {
                KeyRef::Ascii(key) => key.as_str(),
                KeyRef::Binary(key) => key.as_str(),
            };
            if is_of_api(name) {
                count += metadata.get_all(name).iter().count();
                self.read(name, metadata, &mut headers, wrong);
            }
        }
        if count > MAX_HEADERS_OF_API {
            let problem = format!("must have at most {MAX_HEADERS_OF_API} values");
            wrong.add("metadata.anthropic-*", problem);
        }
        (headers != ApiHeaders::default()).then(|| Arc::new(headers))
    }

    /// Reads one key of the metadata.
    fn read(
        &self,
        name: &str,
        metadata: &MetadataMap,
        headers: &mut ApiHeaders,
        wrong: &mut Violations,
    ) {
        let path = format_args!("metadata.{name}");
        let values = metadata.get_all(name);
        let mut values = values
            .iter()
            .map(|value| value.to_str().unwrap_or_default());
        let (what, id) = match name {
            name if name == BETAS => {
                for beta in values.flat_map(|value| value.split(',')).map(str::trim) {
                    if self.allows(Passed::Beta, beta, path, wrong) {
                        headers.add_beta(beta);
                    }
                }
                return;
            }
            name if name == WORKSPACE => (Passed::Workspace, &mut headers.workspace),
            name if name == USER_PROFILE => (Passed::UserProfile, &mut headers.user_profile),
            _ => {
                let problem = "is unknown: anthropic-beta, anthropic-workspace-id and \
                               anthropic-user-profile-id are passed to the API";
                return wrong.add(path, problem);
            }
        };
        match (values.next(), values.next()) {
            (Some(value), None) => {
                if self.allows(what, value, path, wrong) {
                    *id = Some(value.to_owned());
                }
            }
            _ => wrong.add(path, "must be given once"),
        }
    }
}
