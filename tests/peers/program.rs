//! The programs in Go next to these tests.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Lines, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{LazyLock, Mutex},
};

/// A running program, which ends when it is dropped.
pub struct Program {
    /// Where it listens.
    pub address: String,
    child: Child,
    stdin: ChildStdin,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
}

impl Program {
    /// Starts the program of a folder. It prints where it listens.
    pub fn start(folder: &'static str, arguments: &[&str]) -> Program {
        let mut child = Command::new(program(folder))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It says there which connections ended early.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = stdout.next().expect("it listens").unwrap();
        Program {
            address,
            child,
            stdin,
            stdout: Some(stdout),
        }
    }

    /// Sends it an empty line, and returns the line that it prints.
    pub fn ask(&mut self) -> String {
        self.stdin.write_all(b"\n").unwrap();
        let lines = self.stdout.as_mut().expect("nobody else reads");
        lines.next().expect("an answer").unwrap()
    }

    /// Everything that it prints from now on.
    pub fn lines(&mut self) -> impl Iterator<Item = String> + Send + 'static {
        let lines = self.stdout.take().expect("nobody else reads");
        lines.map_while(Result::ok)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of a folder, which is built once.
pub fn program(folder: &'static str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashMap<&str, PathBuf>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap();
    let build = || {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("peers-{folder}"));
        let done = Command::new("go")
            .args(["build", "-o"])
            .arg(&file)
            .arg(".")
            .current_dir(format!("tests/peers/{folder}"))
            .status();
        assert!(done.unwrap().success(), "{folder} does not build");
        file
    };
    built.entry(folder).or_insert_with(build).clone()
}
