//! Why there are no credentials.

use std::borrow::Cow;
use thiserror::Error;

/// Where credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsSource {
    /// What the AWS SDK finds.
    Aws,
    /// Workload identity federation of the Claude API.
    Federation,
    /// What the libraries of Google Cloud find.
    Google,
    /// Microsoft Entra.
    Entra,
}

/// Why a request cannot be authenticated. Quotes no credential, and nothing that a source
/// says but a status and the code of an error.
#[derive(Debug, Clone, Error)]
pub enum CredentialsError {
    /// The source has none, or does not answer.
    #[error("failed to get credentials {}: {problem}", .of.origin())]
    Failed {
        /// The source.
        of: CredentialsSource,
        /// What is wrong.
        problem: Cow<'static, str>,
    },
    /// The source did not answer in time.
    #[error("failed to get credentials {} in time", .0.origin())]
    TimedOut(CredentialsSource),
    /// The request cannot be signed.
    #[error("failed to sign the request")]
    Unsignable,
    /// The build cannot get them.
    #[error("requires a build with the feature {0}: cargo build --features {0}")]
    NotBuilt(&'static str),
}

impl CredentialsSource {
    /// The name in logs and metrics, where a key has its own.
    pub fn name(self) -> &'static str {
        match self {
            CredentialsSource::Aws => "aws",
            CredentialsSource::Federation => "federation",
            CredentialsSource::Google => "google",
            CredentialsSource::Entra => "entra",
        }
    }

    /// Where from, in a sentence.
    fn origin(self) -> &'static str {
        match self {
            CredentialsSource::Aws => "of AWS",
            CredentialsSource::Federation => "by federation",
            CredentialsSource::Google => "of Google Cloud",
            CredentialsSource::Entra => "of Microsoft Entra",
        }
    }
}

impl CredentialsError {
    /// The source has none.
    pub fn failed(of: CredentialsSource, problem: impl Into<Cow<'static, str>>) -> Self {
        let problem = problem.into();
        CredentialsError::Failed { of, problem }
    }
}
