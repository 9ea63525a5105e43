//! How a command ends: its exit code, and the lines on stderr that say why.

pub use crate::reason::Exit;
use crate::{config::ConfigErrors, secrets::ApiKeysError};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

/// Why a command did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A failure that is still to be reported.
    Explained {
        /// The exit code.
        exit: Exit,
        /// The reasons, one line each.
        reasons: Vec<String>,
    },
    /// A failure whose reasons were already reported when they occurred.
    Reported(Exit),
    /// The reader of the output closed the pipe (`| head`). The command exits
    /// with success.
    PipeClosed,
}

impl Failure {
    /// The exit code of a command that has only this failure; one whose reader is gone has
    /// none of its own.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Explained { exit, .. } | Failure::Reported(exit) => *exit,
            Failure::PipeClosed => Exit::Failed,
        }
    }

    /// Makes a failure with a single reason.
    pub fn new(exit: Exit, reason: impl Into<String>) -> Self {
        Failure::Explained {
            exit,
            reasons: vec![reason.into()],
        }
    }

    /// Makes a failure for invalid usage, configuration or input.
    pub fn usage(reason: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, reason)
    }

    /// Prefixes each reason with `subject`, such as a file name.
    pub fn about(self, subject: &str) -> Self {
        match self {
            Failure::Explained { exit, reasons } => {
                let about = |reason| format!("{subject}: {reason}");
                Failure::Explained {
                    exit,
                    reasons: reasons.into_iter().map(about).collect(),
                }
            }
            other => other,
        }
    }

    /// Prints the reasons to stderr and returns the exit code.
    pub fn report(&self) -> ExitCode {
        self.print();
        match self {
            Failure::Explained { exit, .. } | Failure::Reported(exit) => {
                ExitCode::from(*exit as u8)
            }
            Failure::PipeClosed => ExitCode::SUCCESS,
        }
    }

    /// Prints the reasons to stderr.
    pub fn print(&self) {
        if let Failure::Explained { reasons, .. } = self {
            for reason in reasons {
                // If stderr is closed, there is nowhere to report that.
                let _ = writeln!(std::io::stderr(), "claude-grpc: {}", one_line(reason));
            }
        }
    }
}

/// The failure of reading the address of a listening socket.
pub fn address_unknown(error: io::Error) -> Failure {
    let reason = format!("failed to read the bound address: {error}");
    Failure::new(Exit::Failed, reason)
}

/// Replaces control characters, line breaks included, by spaces.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Failure::Explained {
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

/// The text of an error with its causes. A cause that repeats the text before it
/// is omitted.
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
