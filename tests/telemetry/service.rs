//! The program as a process of its own, on a simulator in this one.

use claude_grpc::{
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
    simulator::{Handle, Simulator, SimulatorConfig},
};
use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::transport::Channel;

/// A running service.
pub struct Running {
    pub grpc: ClaudeServiceClient<Channel>,
    pub simulator: Handle,
    pub admin: String,
    pub address: String,
    pub directory: tempfile::TempDir,
    process: Child,
    simulating: JoinHandle<()>,
}

impl Running {
    /// Starts the program with these variables and this configuration besides
    /// its own.
    pub async fn start(variables: &[(&str, &str)], toml: &str) -> Running {
        Running::start_with_admin(variables, "", toml).await
    }

    /// The same, with these further settings of `[admin]`.
    pub async fn start_with_admin(
        variables: &[(&str, &str)],
        of_admin: &str,
        toml: &str,
    ) -> Running {
        let simulator = Simulator::bind(SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            time_to_first_token: Duration::from_millis(20),
            record: true,
            ..SimulatorConfig::default()
        });
        let simulator = simulator.await.unwrap();
        let api = format!("http://{}", simulator.local_addr().unwrap());
        let handle = simulator.handle();
        let simulating = tokio::spawn(simulator.run());

        let directory = tempfile::tempdir().unwrap();
        let (grpc, admin) = (free_port().await, free_port().await);
        let config = directory.path().join("claude-grpc.toml");
        let text = format!(
            "[admin]\nlisten = '{admin}'\n{of_admin}[upstream.retry]\ninitial_backoff = '40ms'\n\
             max_backoff = '80ms'\n[log]\nformat = 'json'\n{toml}"
        );
        fs::write(&config, text).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
            .args([
                "serve",
                "--listen",
                &grpc.to_string(),
                "--upstream-url",
                &api,
            ])
            .arg("--config")
            .arg(&config)
            .env_clear()
            .env("ANTHROPIC_API_KEY", "sk-test-canary-key")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let channel = Channel::from_shared(format!("http://{grpc}")).unwrap();
        let mut running = Running {
            grpc: ClaudeServiceClient::new(channel.connect_lazy()),
            simulator: handle,
            admin: format!("http://{admin}"),
            address: grpc.to_string(),
            directory,
            process,
            simulating,
        };
        for _ in 0..200 {
            // The port for calls is open a moment before that for operators.
            let is_open = |port| std::net::TcpStream::connect(port).is_ok();
            if is_open(grpc) && is_open(admin) {
                return running;
            }
            if let Ok(Some(status)) = running.process.try_wait() {
                panic!("the service ended with {status}: {}", running.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the service did not start: {}", running.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The log lines of calls.
    pub fn calls(&self) -> Vec<serde_json::Value> {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &serde_json::Value| line["target"] == "claude_grpc::call")
            .collect()
    }

    /// The address of the admin port.
    pub fn admin_address(&self) -> SocketAddr {
        let address = self.admin.strip_prefix("http://").unwrap();
        address.parse().unwrap()
    }

    /// Sets how many files it may have open.
    pub fn limit_files(&self, files: usize) {
        let pid = self.process.id().to_string();
        let limit = format!("--nofile={files}");
        let limited = Command::new("prlimit")
            .args(["--pid", &pid, &limit])
            .status();
        assert!(limited.unwrap().success());
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits until this is in its log.
    pub async fn until_logged(&self, text: &str) {
        for _ in 0..200 {
            if self.log().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{text:?} does not come: {}", self.log());
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(&mut self) {
        self.signal("TERM");
        for _ in 0..200 {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not stop: {}", self.log());
    }

    /// An answer of the admin port: its status and its text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("{}{path}", self.admin)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The metrics with exemplars.
    pub async fn metrics(&self) -> String {
        let response = reqwest::Client::new()
            .get(format!("{}/metrics", self.admin))
            .header("accept", "application/openmetrics-text; version=1.0.0")
            .send()
            .await
            .unwrap();
        response.text().await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.simulating.abort();
    }
}

async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

pub fn ask(text: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: text.to_owned(),
            content: Vec::new(),
            ..v1::Message::default()
        }],
        max_tokens: Some(256),
        ..v1::GenerateRequest::default()
    }
}

pub fn streamed(text: &str) -> v1::GenerateStreamRequest {
    v1::GenerateStreamRequest {
        request: Some(ask(text)),
    }
}

/// Reads a stream to its end.
pub async fn read_all(events: tonic::Streaming<v1::GenerateStreamResponse>) {
    let mut events = events;
    while let Some(_event) = events.message().await.unwrap() {}
}
