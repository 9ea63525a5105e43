//! The endpoints that each host has, and their requests as requests to the Claude API.

use super::{
    bedrock_runtime, body_fields::BodyFields, kind::SimulatedHost, target::Target, vertex,
};
use crate::simulator::error::ApiError;
use bytes::Bytes;
use http::HeaderMap;

impl SimulatedHost {
    /// What a path names on this host.
    ///
    /// # Errors
    /// 404 for what the host does not have.
    pub(in crate::simulator) fn target(self, path: &str) -> Result<Target<'_>, ApiError> {
        let found = match self {
            SimulatedHost::Claude | SimulatedHost::ClaudePlatformAws => below(path, ""),
            SimulatedHost::BedrockMantle => {
                below(path, "/anthropic").filter(|it| is_below(it.path, "/v1/messages"))
            }
            SimulatedHost::BedrockRuntime => bedrock_runtime::target(path),
            SimulatedHost::Vertex => vertex::target(path),
            SimulatedHost::GoogleCloud => below(path, google_cloud_prefix(path)),
            SimulatedHost::Foundry => below(path, "/anthropic").filter(|it| {
                matches!(it.path, "/v1/messages" | "/v1/messages/count_tokens")
                    || is_below(it.path, "/v1/files")
            }),
        };
        let found = found.filter(|it| self == SimulatedHost::Claude || it.path.starts_with("/v1/"));
        found.ok_or_else(|| self.lacks(path))
    }

    /// Whose limits, batches and files a request uses: of the Claude API, those of its
    /// key; of the others, those of an account, since its tokens change all the time.
    pub(in crate::simulator) fn account<'a>(
        self,
        target: &Target<'a>,
        headers: &'a HeaderMap,
        credential: &'a str,
    ) -> &'a str {
        match self {
            SimulatedHost::Claude => credential,
            SimulatedHost::ClaudePlatformAws => {
                let workspace = headers.get("anthropic-workspace-id");
                workspace.and_then(|id| id.to_str().ok()).unwrap_or("")
            }
            _ => target.account,
        }
    }

    /// The request to the Claude API that a body is one to this host for.
    ///
    /// # Errors
    /// 400 for a body that the host does not accept.
    pub(in crate::simulator) fn rewrite(
        self,
        target: &Target<'_>,
        headers: &mut HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, ApiError> {
        match (self, &target.named) {
            (SimulatedHost::BedrockRuntime, Some(named)) => {
                bedrock_runtime::rewrite(named, headers, &body)
            }
            (SimulatedHost::Vertex, named) => vertex::rewrite(named.as_ref(), headers, &body),
            (SimulatedHost::BedrockMantle, _) => {
                let mut fields = BodyFields::read(&body)?;
                // The header of a user profile is not read here.
                let moved = fields.take::<String>("user_profile_id")?;
                Ok(moved.map_or(body, |_| fields.json()))
            }
            _ => Ok(body),
        }
    }

    fn lacks(self, path: &str) -> ApiError {
        match self {
            SimulatedHost::BedrockRuntime => {
                let message = format!("Unable to determine service/operation name: {path}");
                ApiError::not_found(message).gateway("UnknownOperationException")
            }
            SimulatedHost::Foundry => ApiError::not_found("Resource not found").gateway("404"),
            SimulatedHost::Vertex | SimulatedHost::GoogleCloud => {
                let message = "The requested URL was not found on this server.";
                ApiError::not_found(message).gateway("NOT_FOUND")
            }
            _ => ApiError::not_found(format!("Not found: {path}")),
        }
    }
}

/// A path with this in front.
fn below<'a>(path: &'a str, prefix: &'a str) -> Option<Target<'a>> {
    Some(Target {
        prefix,
        path: path.strip_prefix(prefix)?,
        account: prefix,
        named: None,
    })
}

fn is_below(path: &str, parent: &str) -> bool {
    let rest = path.strip_prefix(parent);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `/v1/projects/{project}/locations/{location}/workspaces/{workspace}/invoke`, or
/// nothing.
fn google_cloud_prefix(path: &str) -> &str {
    let end = path.find("/invoke/").map(|at| at + "/invoke".len());
    let prefix = end.and_then(|end| path.get(..end)).unwrap_or("/-");
    let parts: Vec<&str> = prefix.split('/').collect();
    match parts[..] {
        [
            "",
            "v1",
            "projects",
            project,
            "locations",
            location,
            "workspaces",
            workspace,
            "invoke",
        ] if ![project, location, workspace].contains(&"") => prefix,
        _ => "/-",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(host: SimulatedHost, path: &str) -> Option<&str> {
        host.target(path).ok().map(|target| target.path)
    }

    #[test]
    fn each_host_has_its_paths() {
        let invoke = "/v1/projects/p/locations/global/workspaces/w/invoke";
        for (host, prefix, lacks) in [
            (
                SimulatedHost::ClaudePlatformAws,
                "",
                "/anthropic/v1/messages",
            ),
            (
                SimulatedHost::BedrockMantle,
                "/anthropic",
                "/anthropic/v1/models",
            ),
            (SimulatedHost::GoogleCloud, invoke, "/v1/messages"),
            (
                SimulatedHost::Foundry,
                "/anthropic",
                "/anthropic/v1/messages/batches",
            ),
        ] {
            for endpoint in ["/v1/messages", "/v1/messages/count_tokens"] {
                assert_eq!(path(host, &format!("{prefix}{endpoint}")), Some(endpoint));
            }
            assert_eq!(path(host, lacks), None, "{host}");
        }
        for wrong in [
            "/v1/projects/p/locations/l/workspaces//invoke/v1/messages",
            "/v1/projects/p/locations/l/invoke/v1/messages",
            "/invoke/v1/messages",
        ] {
            assert_eq!(path(SimulatedHost::GoogleCloud, wrong), None);
        }
    }
}
