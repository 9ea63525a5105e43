//! How a command ends: exit codes, and the line that says why.

pub use crate::reason::Exit;
use crate::{config::ConfigErrors, secrets::ApiKeysError};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

/// Why a command does not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It failed.
    Told {
        /// The exit code.
        exit: Exit,
        /// Why; a line each.
        reasons: Vec<String>,
    },
    /// Each reason was told when it came up.
    Reported(Exit),
    /// Nobody reads the output any more (`| head`): no failure of ours.
    PipeClosed,
}

impl Failure {
    /// A failure with one reason.
    pub fn new(exit: Exit, reason: impl Into<String>) -> Self {
        Failure::Told {
            exit,
            reasons: vec![reason.into()],
        }
    }

    /// Wrong usage, configuration or input.
    pub fn usage(reason: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, reason)
    }

    /// The same failure, about `subject`.
    pub fn about(self, subject: &str) -> Self {
        match self {
            Failure::Told { exit, reasons } => {
                let about = |reason| format!("{subject}: {reason}");
                Failure::Told {
                    exit,
                    reasons: reasons.into_iter().map(about).collect(),
                }
            }
            other => other,
        }
    }

    /// Tells why on stderr, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        self.tell();
        match self {
            Failure::Told { exit, .. } | Failure::Reported(exit) => ExitCode::from(*exit as u8),
            Failure::PipeClosed => ExitCode::SUCCESS,
        }
    }

    /// Tells why on stderr.
    pub fn tell(&self) {
        if let Failure::Told { reasons, .. } = self {
            for reason in reasons {
                // With stderr closed there is nobody left to tell.
                let _ = writeln!(std::io::stderr(), "claude-grpc: {}", one_line(reason));
            }
        }
    }
}

/// The system does not say which port it chose.
pub fn address_unknown(error: io::Error) -> Failure {
    let reason = format!("failed to read the bound address: {error}");
    Failure::new(Exit::Failed, reason)
}

/// A text without line ends and other characters that a terminal obeys.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Failure::Told {
            exit: Exit::Usage,
            reasons: errors.0.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<ApiKeysError> for Failure {
    fn from(error: ApiKeysError) -> Self {
        Failure::usage(error.to_string())
    }
}

/// An error with its causes. One that says what its cause says is left out.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let this = error.to_string();
        if this != last {
            let _ = write!(text, ": {this}");
        }
        last = this;
        cause = error.source();
    }
    text
}
