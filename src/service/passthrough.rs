//! `[service.passthrough]`: what callers may say to the API that has no field of ours.

use crate::{
    status::Violations,
    upstream::{ApiHeaders, BETAS, USER_PROFILE, WORKSPACE, is_name},
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use tonic::metadata::{KeyRef, MetadataMap};

/// The prefix of the metadata that is meant for the API.
const OF_API: &str = "anthropic-";

/// What callers may pass through to the API: features in beta, and what is newer than
/// this version of the service. Everything else is rejected by name. In each list, `*`
/// allows all. Default: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PassthroughConfig {
    /// Fields of `GenerateRequest.extra_json`, with the names of the objects that they
    /// are in: `context_management`, `output_config.task_budget`. Those of
    /// `Message.extra_json` begin with `messages`: `messages.clear_at`.
    pub fields: Vec<String>,
    /// Types of tools in `Tool.other_json`: `mcp_toolset`.
    pub tools: Vec<String>,
    /// Types of blocks in `ContentBlock.other` of `user` and `system` messages and of
    /// tool results: `compaction`.
    pub blocks: Vec<String>,
    /// Names of betas in the metadata `anthropic-beta`.
    pub betas: Vec<String>,
    /// Ids of workspaces in the metadata `anthropic-workspace-id`.
    pub workspaces: Vec<String>,
    /// Ids of user profiles in the metadata `anthropic-user-profile-id`.
    pub user_profiles: Vec<String>,
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
        let mut headers = ApiHeaders::default();
        for key in metadata.keys() {
            let name = match key {
                KeyRef::Ascii(key) => key.as_str(),
                KeyRef::Binary(key) => key.as_str(),
            };
            if name.starts_with(OF_API) {
                self.read(name, metadata, &mut headers, wrong);
            }
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
