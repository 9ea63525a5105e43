//! The API as a program in Go, with the HTTP server of its standard library.

use crate::certificates::{self, Ca};
use serde::Deserialize;
use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

/// A running API, which ends when it is dropped.
pub struct Api {
    pub url: String,
    pub ca_file: PathBuf,
    _files: TempDir,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
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
        let file = |name: &str| files.path().join(name);
        let mut child = Command::new(built())
            .arg("-cert")
            .arg(file("tls.crt"))
            .arg("-key")
            .arg(file("tls.key"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It says there which connections ended early.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        stdout.read_line(&mut address).unwrap();
        Api {
            url: format!("https://{}", address.trim()),
            ca_file: file("ca.crt"),
            _files: files,
            child,
            stdin,
            stdout,
        }
    }

    pub fn counts(&mut self) -> Counts {
        self.stdin.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, which is built once.
fn built() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers-api");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir("tests/peers/api")
            .status();
        assert!(built.unwrap().success(), "the API does not build");
        program
    })
}
