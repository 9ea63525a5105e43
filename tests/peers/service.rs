//! The service at its defaults, and its callers.

use crate::process::Process;
use claude_grpc::proto::v1::{self, claude_service_client::ClaudeServiceClient};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::NamedTempFile;
use tokio::{task::JoinSet, time::sleep};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// Callers that make their calls at the same time: as many as there are permits
/// by default.
pub const CALLERS: usize = 200;

/// How long the log may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The service, in a process of its own.
pub struct Service {
    client: ClaudeServiceClient<Channel>,
    log: NamedTempFile,
    _process: Process,
}

/// Calls that are over.
#[derive(Debug)]
pub struct Outcomes {
    pub failed: Vec<Status>,
    /// From the first call to the last answer.
    pub took: Duration,
}

impl Service {
    /// Calls the API at this URL.
    pub async fn start(url: &str, ca_file: &Path) -> Service {
        Service::with(url, ca_file, &[]).await
    }

    /// Calls the API at this URL, with these variables in its environment.
    pub async fn with(url: &str, ca_file: &Path, variables: &[(&str, &str)]) -> Service {
        let mut all = vec![
            ("CLAUDE_GRPC_UPSTREAM__CA_FILE", ca_file.to_str().unwrap()),
            // Its default port cannot be had twice.
            ("CLAUDE_GRPC_ADMIN__ENABLED", "false"),
        ];
        all.extend(variables);
        let log = NamedTempFile::new().unwrap();
        let process = Process::serve(url, &all, Some(log.path()));
        let endpoint = Endpoint::from_shared(format!("http://{}", process.address));
        let channel = endpoint.unwrap().connect().await.unwrap();
        Service {
            client: ClaudeServiceClient::new(channel),
            log,
            _process: process,
        }
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// Its log, once it contains this.
    pub async fn logged(&self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            assert!(Instant::now() < until, "no {text:?} in {log}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// One call.
    pub async fn call(&self) -> Result<(), Status> {
        let mut client = self.client.clone();
        client.generate(ask("a call")).await.map(drop)
    }

    /// Each caller makes so many calls, one after the other.
    pub async fn calls(&self, each: usize) -> Outcomes {
        let mut callers = JoinSet::new();
        let began = Instant::now();
        for caller in 0..CALLERS {
            let mut client = self.client.clone();
            callers.spawn(async move {
                let mut failed = Vec::new();
                for call in 0..each {
                    let request = ask(&format!("call {call} of {caller}"));
                    match client.generate(request).await {
                        Ok(response) => assert_eq!(response.into_inner().content.len(), 1),
                        Err(status) => failed.push(status),
                    }
                }
                failed
            });
        }
        let failed = callers.join_all().await.into_iter().flatten().collect();
        Outcomes {
            failed,
            took: began.elapsed(),
        }
    }
}

impl Outcomes {
    /// Fails if a call did.
    pub fn no_failure(&self) {
        if let Some(one) = self.failed.first() {
            panic!("{} calls failed: {one:?}", self.failed.len());
        }
    }
}

fn ask(text: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: text.to_owned(),
            content: Vec::new(),
            ..v1::Message::default()
        }],
        ..v1::GenerateRequest::default()
    }
}
