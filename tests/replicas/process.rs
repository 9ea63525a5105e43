//! A replica as it is run: the binary, in a process of its own. It is killed
//! when it is dropped.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running `claude-grpc serve`.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
}

impl Process {
    /// Serves the API at `upstream_url`. `variables` set keys of the
    /// configuration; the log goes to a file, where one is named.
    pub fn serve(upstream_url: &str, variables: &[(&str, &str)], log: Option<&Path>) -> Process {
        let stderr = match log {
            Some(path) => std::fs::File::create(path)
                .expect("a file for the log")
                .into(),
            None => Stdio::inherit(),
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--upstream-url", upstream_url])
            .env_clear()
            .env("ANTHROPIC_API_KEY", "sk-of-all-replicas")
            .env("CLAUDE_GRPC_LOG__LEVEL", "warn")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary runs");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it tells where it listens");
        let address = line.trim().strip_prefix("claude-grpc listening on ");
        let address = address.expect("it serves").parse().expect("an address");
        Process { address, child }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
