//! The faults of a configuration, each with its key and its origin.

use std::{fmt, path::PathBuf};
use thiserror::Error;

/// The layer that a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No layer set it.
    Default,
    /// The configuration file at this path.
    File(PathBuf),
    /// The environment variable of this name.
    Variable(String),
    /// The flag of this name, with its dashes.
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

/// A single fault. Its text never contains the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// An unknown key, or an invalid value of a key.
    #[error("{key}: {problem} ({origin})")]
    Key {
        /// The dotted name of the key.
        key: String,
        /// The requirement that is violated, such as `must be at least 1`.
        problem: String,
        /// The layer that set the value.
        origin: Origin,
    },
    /// A variable with our prefix that does not name a key.
    #[error("{name}: {problem}")]
    Variable {
        /// The name of the variable.
        name: String,
        /// The requirement that is violated, such as `must be at least 1`.
        problem: String,
    },
    /// A file that cannot be read, or is not valid TOML.
    #[error("{}: {problem}", .path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The requirement that is violated, such as `must be at least 1`.
        problem: String,
    },
}

/// All faults of a configuration, at least one; displayed one per line.
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
