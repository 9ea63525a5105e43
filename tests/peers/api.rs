//! The API as a program in Go, with the HTTP server of its standard library.

use crate::{
    certificates::{self, Ca},
    program::Program,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A running API.
pub struct Api {
    pub program: Program,
    files: TempDir,
}

/// What it has seen.
#[derive(Debug, Deserialize)]
pub struct Counts {
    pub requests: usize,
    pub connections: usize,
    /// Requests whose connection it drained.
    pub drained: usize,
    /// Most streams at a time on one connection.
    pub most_streams: usize,
}

impl Api {
    /// Starts it with these arguments.
    pub fn start(arguments: &[&str]) -> Api {
        let files = tempfile::tempdir().unwrap();
        let ca = Ca::new();
        certificates::write(files.path(), &ca.server(), Some(&ca));
        let [cert, key] = ["tls.crt", "tls.key"].map(|name| files.path().join(name));
        let tls = [
            "-cert",
            cert.to_str().unwrap(),
            "-key",
            key.to_str().unwrap(),
        ];
        Api {
            program: Program::start("api", &[&tls, arguments].concat()),
            files,
        }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.program.address)
    }

    pub fn ca_file(&self) -> PathBuf {
        self.files().join("ca.crt")
    }

    /// The folder with its certificate and key.
    pub fn files(&self) -> &Path {
        self.files.path()
    }

    pub fn counts(&mut self) -> Counts {
        serde_json::from_str(&self.program.ask()).unwrap()
    }
}
