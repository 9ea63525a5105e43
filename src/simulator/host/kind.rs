//! The hosts, and the facts of each that need no code.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A host of Claude, whose dialect the simulator speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimulatedHost {
    /// The Claude API.
    #[default]
    Claude,
    /// Claude Platform on AWS: the Claude API behind signatures of AWS.
    ClaudePlatformAws,
    /// Claude in Amazon Bedrock, at the endpoint `bedrock-mantle`.
    BedrockMantle,
    /// Claude in Amazon Bedrock, at the endpoint `bedrock-runtime`.
    BedrockRuntime,
    /// Claude on Vertex AI.
    Vertex,
    /// Claude on Google Cloud, managed by Anthropic.
    GoogleCloud,
    /// Claude in Microsoft Foundry.
    Foundry,
}

/// Who answers a request that does not reach Claude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    Aws,
    Google,
    Azure,
}

impl SimulatedHost {
    /// All hosts.
    pub const ALL: [SimulatedHost; 7] = [
        SimulatedHost::Claude,
        SimulatedHost::ClaudePlatformAws,
        SimulatedHost::BedrockMantle,
        SimulatedHost::BedrockRuntime,
        SimulatedHost::Vertex,
        SimulatedHost::GoogleCloud,
        SimulatedHost::Foundry,
    ];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            SimulatedHost::Claude => "claude",
            SimulatedHost::ClaudePlatformAws => "claude_platform_aws",
            SimulatedHost::BedrockMantle => "bedrock_mantle",
            SimulatedHost::BedrockRuntime => "bedrock_runtime",
            SimulatedHost::Vertex => "vertex",
            SimulatedHost::GoogleCloud => "google_cloud",
            SimulatedHost::Foundry => "foundry",
        }
    }

    /// Whether answers have the `anthropic-ratelimit-…` headers.
    pub(in crate::simulator) fn sends_rate_limits(self) -> bool {
        matches!(
            self,
            SimulatedHost::Claude | SimulatedHost::ClaudePlatformAws | SimulatedHost::GoogleCloud
        )
    }

    /// Whether `anthropic_version` is a field of the body and no header.
    pub(in crate::simulator) fn has_version_in_body(self) -> bool {
        matches!(self, SimulatedHost::BedrockRuntime | SimulatedHost::Vertex)
    }

    /// Whether streams are frames of AWS and no server-sent events.
    pub(in crate::simulator) fn streams_frames(self) -> bool {
        self == SimulatedHost::BedrockRuntime
    }

    pub(super) fn cloud(self) -> Option<Cloud> {
        match self {
            SimulatedHost::Claude => None,
            SimulatedHost::ClaudePlatformAws
            | SimulatedHost::BedrockMantle
            | SimulatedHost::BedrockRuntime => Some(Cloud::Aws),
            SimulatedHost::Vertex | SimulatedHost::GoogleCloud => Some(Cloud::Google),
            SimulatedHost::Foundry => Some(Cloud::Azure),
        }
    }

    /// The name of the service in the scope of a signature of AWS.
    pub(super) fn signing_service(self) -> &'static str {
        match self {
            SimulatedHost::ClaudePlatformAws => "aws-external-anthropic",
            SimulatedHost::BedrockMantle => "bedrock-mantle",
            _ => "bedrock",
        }
    }
}

impl fmt::Display for SimulatedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SimulatedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = SimulatedHost::ALL.into_iter().find(|it| it.name() == text);
        found.ok_or_else(|| {
            let names = SimulatedHost::ALL.map(SimulatedHost::name).join(", ");
            format!("unknown host: must be one of {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_and_the_configuration_have_the_same_names() {
        for host in SimulatedHost::ALL {
            assert_eq!(host.name().parse(), Ok(host));
            assert_eq!(serde_json::to_value(host).unwrap(), host.name());
        }
        assert!("bedrock".parse::<SimulatedHost>().is_err());
    }
}
