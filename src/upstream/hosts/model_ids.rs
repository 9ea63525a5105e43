//! The id of a model on a host.

use super::{HostConfig, HostKind, kind::ModelIds};
use crate::models::catalogue;
use std::sync::Arc;

/// The id under which a host serves a model; `None` if it is not known to. An id that
/// the configuration of the host names takes precedence, then what the catalogue
/// knows of the model. An id that is not in the catalogue is passed on where it may be
/// one of the host: it may be newer than the catalogue.
pub fn id_on(host: &HostConfig, model: &Arc<str>) -> Option<Arc<str>> {
    if let Some(id) = host.models.get(&**model) {
        return Some(Arc::from(id.as_str()));
    }
    let as_it_is = || Some(Arc::clone(model));
    let Some(known) = catalogue().find(model) else {
        let is_of_aws = is_of_bedrock(model);
        let is_possible = match host.kind.model_ids() {
            ModelIds::Bedrock => is_of_aws,
            _ => !is_of_aws,
        };
        return if is_possible { as_it_is() } else { None };
    };
    match host.kind.model_ids() {
        ModelIds::Claude if is_of_claude(model) => as_it_is(),
        ModelIds::Claude => Some(Arc::from(known.id())),
        ModelIds::Bedrock if is_of_bedrock(model) => as_it_is(),
        ModelIds::Bedrock => {
            // The last one of several is that with the most of the id.
            let id = match host.kind {
                HostKind::BedrockMantle => known.hosts.bedrock.first(),
                _ => known.hosts.bedrock.last(),
            }?;
            Some(match &host.inference_profile {
                Some(profile) => Arc::from(format!("{profile}.{id}")),
                None => Arc::from(id.as_str()),
            })
        }
        ModelIds::Vertex => known.hosts.vertex.as_deref().map(Arc::from),
        ModelIds::Foundry => known.hosts.foundry.as_deref().map(Arc::from),
    }
}

/// Whether an id of the catalogue has the form of those of the Claude API.
fn is_of_claude(id: &str) -> bool {
    !is_of_bedrock(id) && !id.contains('@')
}

/// Whether an id has the form of those of Bedrock: of a model, of an inference profile,
/// or an ARN.
fn is_of_bedrock(id: &str) -> bool {
    id.starts_with("arn:") || id.starts_with("anthropic.") || id.contains(".anthropic.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: HostKind, profile: Option<&str>, model: &str) -> Option<String> {
        let host = HostConfig {
            kind,
            inference_profile: profile.map(str::to_owned),
            models: [("claude-haiku-4-5".to_owned(), "my-haiku".to_owned())].into(),
            ..HostConfig::default()
        };
        id_on(&host, &Arc::from(model)).map(|id| id.to_string())
    }

    #[test]
    fn a_model_has_its_id_on_each_host() {
        use HostKind::{BedrockMantle, BedrockRuntime, Claude, Foundry, Vertex};
        for (kind, profile, model, expected) in [
            (Claude, None, "claude-opus-5", Some("claude-opus-5")),
            (
                Claude,
                None,
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Some("claude-sonnet-4-5-20250929"),
            ),
            (Claude, None, "claude-new-9", Some("claude-new-9")),
            (Claude, None, "arn:aws:bedrock:eu-west-1:1:x/y", None),
            (
                BedrockRuntime,
                Some("eu"),
                "claude-sonnet-4-5",
                Some("eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ),
            (
                BedrockRuntime,
                Some("eu"),
                "us.anthropic.claude-opus-5",
                Some("us.anthropic.claude-opus-5"),
            ),
            (BedrockRuntime, None, "claude-new-9", None),
            (
                BedrockRuntime,
                None,
                "arn:aws:bedrock:eu-west-1:1:x/y",
                Some("arn:aws:bedrock:eu-west-1:1:x/y"),
            ),
            (
                BedrockMantle,
                None,
                "claude-opus-5",
                Some("anthropic.claude-opus-5"),
            ),
            (
                Vertex,
                None,
                "claude-sonnet-4-5",
                Some("claude-sonnet-4-5@20250929"),
            ),
            (Vertex, None, "claude-haiku-4-5", Some("my-haiku")),
            (Foundry, None, "claude-opus-5", Some("claude-opus-5")),
        ] {
            let found = id(kind, profile, model);
            assert_eq!(found.as_deref(), expected, "{kind:?} {model}");
        }
    }
}
