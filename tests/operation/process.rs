//! The service as a process of its own, whose every word is kept.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it says when a port is in use.
const PORT_TAKEN: &str = "Address already in use";

/// A running service.
pub struct Process {
    pub address: SocketAddr,
    pub admin: String,
    directory: PathBuf,
    variables: Vec<(String, String)>,
    child: Child,
}

impl Process {
    /// Starts it in a directory, with `claude-grpc.toml` of there. Other tests open ports
    /// meanwhile: if one of them has taken a port, others are tried.
    pub async fn start(directory: &Path, variables: &[(&str, &str)], toml: &str) -> Process {
        loop {
            if let Some(process) = Process::start_at(free_ports(), directory, variables, toml).await
            {
                return process;
            }
        }
    }

    /// `None` when a port is taken.
    async fn start_at(
        [address, admin]: [SocketAddr; 2],
        directory: &Path,
        variables: &[(&str, &str)],
        toml: &str,
    ) -> Option<Process> {
        let toml = format!("{toml}\n[admin]\nlisten = '{admin}'\n");
        fs::write(directory.join("claude-grpc.toml"), toml).unwrap();
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut command = command(directory, &variables, &["serve"]);
        command.args(["--listen", &address.to_string()]);
        let child = command
            .stdout(File::create(directory.join("stdout")).unwrap())
            .stderr(File::create(directory.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut process = Process {
            address,
            admin: format!("http://{admin}"),
            directory: directory.to_owned(),
            variables,
            child,
        };
        let has_started = process.stdout("claude-grpc listening on").await;
        has_started.then_some(process)
    }

    /// Waits for a text on standard output; `false` when a port was taken.
    async fn stdout(&mut self, text: &str) -> bool {
        let path = self.directory.join("stdout");
        let said = async {
            while !fs::read_to_string(&path).unwrap().contains(text) {
                if let Some(status) = self.child.try_wait().unwrap() {
                    let stderr = self.stderr();
                    assert!(
                        stderr.contains(PORT_TAKEN),
                        "it ended with {status}: {stderr}"
                    );
                    return false;
                }
                sleep(Duration::from_millis(10)).await;
            }
            true
        };
        timeout(PATIENCE, said).await.unwrap()
    }

    /// What a command of the same program prints, with the same configuration.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let command = command(&self.directory, &self.variables, arguments);
        // What it sends to this process has to be taken meanwhile.
        tokio::process::Command::from(command)
            .output()
            .await
            .unwrap()
    }

    pub fn stderr(&self) -> String {
        let bytes = fs::read(self.directory.join("stderr")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the log has a text so often.
    pub async fn logged(&self, text: &str, times: usize) {
        let logged = async {
            while self.stderr().matches(text).count() < times {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let logged = timeout(PATIENCE, logged).await;
        assert!(logged.is_ok(), "no {text:?} in {}", self.stderr());
    }

    /// What the admin port answers.
    pub async fn get(&self, path: &str) -> String {
        let response = reqwest::get(format!("{}{path}", self.admin)).await.unwrap();
        response.text().await.unwrap()
    }

    /// How often a kind of secret was reloaded: `succeeded`, or `failed`.
    pub async fn reloads(&self, what: &str, outcome: &str) -> u64 {
        let metrics = self.get("/metrics").await;
        let line = metrics.lines().find(|line| {
            line.starts_with("claude_grpc_reloads_total")
                && line.contains(&format!("\"{what}\""))
                && line.contains(&format!("\"{outcome}\""))
        });
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Makes a change, and waits until it has been read, well or badly.
    pub async fn reloaded(&self, what: &str, outcome: &str, change: impl FnOnce()) {
        let before = self.reloads(what, outcome).await;
        change();
        let read = async {
            while self.reloads(what, outcome).await == before {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let read = timeout(PATIENCE, read).await;
        assert!(read.is_ok(), "{what} not {outcome}: {}", self.stderr());
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// What anybody on the machine can see of it.
    pub fn command_line(&self) -> Vec<u8> {
        fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap()
    }

    /// The variables it was started with.
    pub fn environment(&self) -> Vec<u8> {
        fs::read(format!("/proc/{}/environ", self.child.id())).unwrap()
    }

    /// A figure of its memory, in bytes: `VmRSS` is resident now, `VmHWM` the peak.
    pub fn memory(&self, what: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = status.lines();
        let figure = lines.find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
        let kib = figure.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<usize>().unwrap() * 1024
    }

    /// The peak of its memory begins again.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let status = timeout(PATIENCE, ended).await.unwrap();
        assert!(status.success(), "{status}: {}", self.stderr());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &Path, variables: &[(String, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-grpc"));
    command
        .args(arguments)
        .env_clear()
        .env("CLAUDE_GRPC_CONFIG", directory.join("claude-grpc.toml"))
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}

/// Two ports that differ, since both are open at once.
fn free_ports() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
