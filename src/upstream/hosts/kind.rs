//! The kinds of hosts that sell Claude, and what each of them has.

use serde::{Deserialize, Serialize};

/// What sells Claude. All facts are those of the official SDK classes (PyPI
/// `anthropic` 2.14.0: `Anthropic`, `AnthropicAWS`, `AnthropicBedrockMantle`,
/// `AnthropicBedrock`, `AnthropicVertex`, `AnthropicGoogleCloud`,
/// `AnthropicFoundry`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// The Claude API.
    #[default]
    Claude,
    /// The Claude Platform on AWS.
    ClaudePlatformAws,
    /// Amazon Bedrock, with the Messages API of its service Mantle.
    BedrockMantle,
    /// Amazon Bedrock, with the API of its runtime.
    BedrockRuntime,
    /// Google Cloud's Vertex AI.
    Vertex,
    /// Claude on Google Cloud, managed by Anthropic.
    GoogleCloud,
    /// Microsoft Foundry.
    Foundry,
}

/// A part of the API that not every host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostFeature {
    /// `/v1/messages`.
    Messages,
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/models`.
    Models,
    /// `/v1/messages/batches`.
    Batches,
    /// Files.
    Files,
}

/// How a key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyScheme {
    /// `authorization: Bearer <key>`.
    Bearer,
    /// `x-api-key: <key>` and `api-key: <key>`.
    ApiKey,
}

/// Whose ids of the models a host takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelIds {
    /// Those of the Claude API.
    Claude,
    /// Those of Bedrock.
    Bedrock,
    /// Those of Vertex AI.
    Vertex,
    /// Names of deployments in Foundry, by default those of the Claude API.
    Foundry,
}

impl HostKind {
    /// The value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            HostKind::Claude => "claude",
            HostKind::ClaudePlatformAws => "claude_platform_aws",
            HostKind::BedrockMantle => "bedrock_mantle",
            HostKind::BedrockRuntime => "bedrock_runtime",
            HostKind::Vertex => "vertex",
            HostKind::GoogleCloud => "google_cloud",
            HostKind::Foundry => "foundry",
        }
    }

    /// Whether a cloud stands between the service and Claude, which answers some requests
    /// by itself.
    pub fn is_of_cloud(self) -> bool {
        self != HostKind::Claude
    }

    /// Whether the host has a part of the API. What the SDK's class of the host
    /// does not offer, it lacks; batches with ids of other hosts are not written
    /// here.
    pub fn has(self, feature: HostFeature) -> bool {
        let is_whole = matches!(
            self,
            HostKind::Claude | HostKind::ClaudePlatformAws | HostKind::GoogleCloud
        );
        match feature {
            HostFeature::Messages => true,
            HostFeature::CountTokens => self != HostKind::BedrockRuntime,
            HostFeature::Models | HostFeature::Batches | HostFeature::Files => is_whole,
        }
    }

    /// The name of the service in signatures of AWS, for hosts there.
    pub fn aws_service(self) -> Option<&'static str> {
        match self {
            HostKind::ClaudePlatformAws => Some("aws-external-anthropic"),
            HostKind::BedrockMantle => Some("bedrock-mantle"),
            HostKind::BedrockRuntime => Some("bedrock"),
            _ => None,
        }
    }

    /// How a key is sent.
    pub fn key_scheme(self) -> KeyScheme {
        match self {
            HostKind::Foundry => KeyScheme::ApiKey,
            _ => KeyScheme::Bearer,
        }
    }

    /// Whether a request to a part of its API has the id of the model in its body, and
    /// not in its path.
    pub fn names_model_in_body(self, feature: HostFeature) -> bool {
        match self {
            HostKind::BedrockRuntime => false,
            HostKind::Vertex => feature == HostFeature::CountTokens,
            _ => true,
        }
    }

    /// Whether it takes the bodies of the Claude API, if the model has the same id.
    pub fn takes_bodies_as_they_are(self) -> bool {
        matches!(
            self,
            HostKind::Claude
                | HostKind::ClaudePlatformAws
                | HostKind::GoogleCloud
                | HostKind::Foundry
        )
    }

    /// Whether calls may cost more there than at the Claude API, by the id of the model.
    pub fn has_prices_of_its_own(self) -> bool {
        self.model_ids() == ModelIds::Bedrock
    }

    /// Whether it reads the id of the user profile from the body, and not from its
    /// header.
    pub fn takes_profile_in_body(self) -> bool {
        matches!(self, HostKind::BedrockRuntime | HostKind::BedrockMantle)
    }

    /// Whose ids of the models it takes.
    pub fn model_ids(self) -> ModelIds {
        match self {
            HostKind::Claude | HostKind::ClaudePlatformAws | HostKind::GoogleCloud => {
                ModelIds::Claude
            }
            HostKind::BedrockMantle | HostKind::BedrockRuntime => ModelIds::Bedrock,
            HostKind::Vertex => ModelIds::Vertex,
            HostKind::Foundry => ModelIds::Foundry,
        }
    }
}

impl HostFeature {
    /// What it is called in messages for callers.
    pub fn name(self) -> &'static str {
        match self {
            HostFeature::Messages => "messages",
            HostFeature::CountTokens => "token counting",
            HostFeature::Models => "the list of models",
            HostFeature::Batches => "batches",
            HostFeature::Files => "files",
        }
    }
}
