//! How the service authenticates to a host.

use super::HostKind;
use serde::{Deserialize, Serialize};

/// How the service authenticates to a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsKind {
    /// With a key or a bearer token.
    #[default]
    Key,
    /// With a signature of AWS.
    Aws,
    /// With an access token of the Claude API for an identity token of the platform.
    Federation,
    /// With an access token of Google.
    Google,
    /// With an access token of Microsoft Entra.
    Entra,
}

impl CredentialsKind {
    /// The value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            CredentialsKind::Key => "key",
            CredentialsKind::Aws => "aws",
            CredentialsKind::Federation => "federation",
            CredentialsKind::Google => "google",
            CredentialsKind::Entra => "entra",
        }
    }

    /// Whether hosts of a kind accept them.
    pub fn fits(self, host: HostKind) -> bool {
        match self {
            CredentialsKind::Key => true,
            CredentialsKind::Aws => host.aws_service().is_some(),
            CredentialsKind::Federation => host == HostKind::Claude,
            CredentialsKind::Google => matches!(host, HostKind::Vertex | HostKind::GoogleCloud),
            CredentialsKind::Entra => host == HostKind::Foundry,
        }
    }

    /// The feature that this build lacks for them.
    pub fn missing_feature(self) -> Option<&'static str> {
        let (feature, is_there) = match self {
            CredentialsKind::Key | CredentialsKind::Federation => return None,
            CredentialsKind::Aws => ("aws", cfg!(feature = "aws")),
            CredentialsKind::Google => ("google", cfg!(feature = "google")),
            CredentialsKind::Entra => ("azure", cfg!(feature = "azure")),
        };
        (!is_there).then_some(feature)
    }
}
