//! The models under the ids of each host.

use super::kind::SimulatedHost;
use crate::{
    models::{KnownModel, catalogue},
    simulator::{catalogue as claude_api, error::ApiError},
};

/// What an inference profile of an application stands for: its id does not say.
const BEHIND_A_PROFILE: &str = "claude-haiku-5-5";

impl SimulatedHost {
    /// The model of an id.
    ///
    /// # Errors
    /// As the host answers for a model that it does not have.
    pub(in crate::simulator) fn find_model(
        self,
        id: &str,
    ) -> Result<&'static KnownModel, ApiError> {
        match self {
            SimulatedHost::Claude
            | SimulatedHost::ClaudePlatformAws
            | SimulatedHost::GoogleCloud => claude_api::find(id),
            SimulatedHost::BedrockMantle => {
                on_bedrock(id).ok_or_else(|| ApiError::not_found(format!("model: {id}")))
            }
            SimulatedHost::BedrockRuntime => on_bedrock(id)
                .ok_or_else(|| ApiError::invalid("The provided model identifier is invalid.")),
            SimulatedHost::Vertex => on_vertex(id).ok_or_else(|| {
                let message = format!(
                    "Publisher Model `publishers/anthropic/models/{id}` was not found or your \
                     project does not have access to it."
                );
                ApiError::not_found(message).gateway("NOT_FOUND")
            }),
            SimulatedHost::Foundry => in_foundry(id).ok_or_else(|| {
                let message = "The API deployment for this resource does not exist.";
                ApiError::not_found(message).gateway("DeploymentNotFound")
            }),
        }
    }
}

fn on_bedrock(id: &str) -> Option<&'static KnownModel> {
    if id.starts_with("arn:") && id.contains(":application-inference-profile/") {
        return catalogue().find(BEHIND_A_PROFILE);
    }
    let is_of_bedrock = id.starts_with("arn:") || id.contains("anthropic.");
    catalogue().find(id).filter(|_| is_of_bedrock)
}

fn on_vertex(id: &str) -> Option<&'static KnownModel> {
    let models = catalogue().models().iter();
    let mut on_vertex = models.filter(|it| it.hosts.vertex.is_some());
    let id = id.strip_suffix("@default").unwrap_or(id);
    on_vertex.find(|it| it.hosts.vertex.as_deref() == Some(id))
}

/// A deployment under its default name.
fn in_foundry(id: &str) -> Option<&'static KnownModel> {
    let mut models = catalogue().models().iter();
    models.find(|it| it.hosts.foundry.as_deref() == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_ids() {
        let haiku = "claude-haiku-4-5";
        for (host, known, unknown) in [
            (
                SimulatedHost::Claude,
                "claude-haiku-4-5-20251001",
                "anthropic.claude-haiku-4-5",
            ),
            (
                SimulatedHost::BedrockMantle,
                "anthropic.claude-haiku-4-5",
                haiku,
            ),
            (
                SimulatedHost::BedrockRuntime,
                "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/\
                 eu.anthropic.claude-haiku-4-5-20251001-v1:0",
                haiku,
            ),
            (SimulatedHost::Vertex, "claude-haiku-4-5@20251001", haiku),
            (SimulatedHost::Foundry, haiku, "claude-haiku-4-5@20251001"),
        ] {
            assert_eq!(host.find_model(known).unwrap().name, haiku, "{host}");
            assert!(host.find_model(unknown).is_err(), "{host}");
        }
        let profile = "arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/abc123";
        assert!(SimulatedHost::BedrockRuntime.find_model(profile).is_ok());
    }
}
