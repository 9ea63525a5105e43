//! What is wrong with a configuration, by name.

use std::{fmt, path::PathBuf};
use thiserror::Error;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("by default"),
            Origin::File(path) => write!(f, "in {}", path.display()),
            Origin::Variable(name) => write!(f, "from {name}"),
            Origin::Flag(name) => write!(f, "from {name}"),
        }
    }
}

/// One thing that is wrong. It never shows the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// A key is unknown, or its value is not what it has to be.
    #[error("{key}: {problem} ({origin})")]
    Key {
        /// The dotted name of the key.
        key: String,
        /// What is wrong.
        problem: String,
        /// Where the value came from.
        origin: Origin,
    },
    /// A variable that begins like ours and is none of them.
    #[error("{name}: {problem}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read, or is no TOML.
    #[error("{}: {problem}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// All that is wrong with a configuration: at least one fault, one a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors(pub Vec<Fault>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl From<Fault> for ConfigErrors {
    fn from(fault: Fault) -> Self {
        ConfigErrors(vec![fault])
    }
}
