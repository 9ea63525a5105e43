//! A folder of documents, the service as a process, and the simulator, which keeps every
//! request.

use claude_grpc::simulator::{Behaviour, Handle, Simulator, SimulatorConfig};
use rand::{Rng, rngs::StdRng};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The labels of each document.
pub const LABELS: [&str; 4] = [
    "--label",
    "odd=an odd number",
    "--label",
    "even=an even number",
];

pub struct World {
    folder: TempDir,
    pub simulator: Handle,
    api: String,
    address: SocketAddr,
    service: Option<Child>,
}

impl World {
    /// With this number of documents, below `documents`, and an API that takes this time
    /// for a call.
    pub async fn new(documents: usize, latency: Duration) -> World {
        let simulator = Simulator::bind(SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            time_to_first_token: latency,
            tokens_per_second: 1e9,
            retry_after: Duration::from_millis(1),
            record: true,
            ..SimulatorConfig::default()
        });
        let simulator = simulator.await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut world = World {
            folder: tempfile::tempdir().unwrap(),
            simulator: simulator.handle(),
            api: format!("http://{}", simulator.local_addr().unwrap()),
            address: listener.local_addr().unwrap(),
            service: None,
        };
        tokio::spawn(simulator.run());
        for number in 0..documents {
            let parity = if number % 2 == 0 { "even" } else { "odd" };
            let file = world.path(&format!("documents/{}/{number}.txt", number / 100));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(
                file,
                format!("Number-{number}: it is an {parity} number.\n"),
            )
            .unwrap();
        }
        drop(listener);
        let key = world.run(&["secrets", "keygen", ".batches.key"]).await;
        assert!(key.status.success());
        world.start().await;
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the service, always at the same address.
    pub async fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-grpc"));
        command
            .env_clear()
            .env("ANTHROPIC_API_KEY", "sk-ant-test")
            .env("CLAUDE_GRPC_UPSTREAM__BREAKER__OPEN_DURATION", "300ms")
            .env("CLAUDE_GRPC_BATCHES__STATE_FILE", ".batches.state")
            .env("CLAUDE_GRPC_BATCHES__KEY_FILE", ".batches.key")
            .env("CLAUDE_GRPC_BATCHES__POLL_INTERVAL", "1s")
            .env("CLAUDE_GRPC_BATCHES__SEARCH_AFTER", "1s")
            .args(["serve", "--upstream-url", &self.api])
            .args(["--listen", &self.address.to_string()])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.service = Some(command.spawn().unwrap());
        let address = self.address;
        let listens = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, listens).await.unwrap();
    }

    /// Ends the service with a signal.
    pub async fn stop(&mut self, name: &str) {
        let mut service = self.service.take().unwrap();
        signal(&service, name);
        ended(&mut service).await;
    }

    /// Kills the service, which starts again, or the client, which goes on as `resumed`.
    pub async fn kill_either(
        &mut self,
        dice: &mut StdRng,
        run: &mut Child,
        resumed: impl Fn(&World) -> Child,
    ) {
        if dice.random() {
            self.stop("KILL").await;
            self.start().await;
        } else {
            signal(run, "KILL");
            ended(run).await;
            *run = resumed(self);
        }
    }

    /// A command about the documents, in their folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-grpc"));
        command
            .env_clear()
            .env("CLAUDE_GRPC_ADDR", self.address.to_string())
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        let command = tokio::process::Command::from(self.command(arguments)).output();
        timeout(PATIENCE, command).await.unwrap().unwrap()
    }

    /// The peak of the service's memory, in bytes.
    pub fn service_peak(&self) -> u64 {
        peak(self.service.as_ref().unwrap())
    }

    /// The lines of an output file, whole or not.
    pub fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The results in an output file, of which each document has one.
    pub fn results(&self, file: &str) -> HashMap<String, Value> {
        let mut results = HashMap::new();
        for line in self.lines(file) {
            let line: Value = serde_json::from_str(&line).unwrap();
            let file = line["file"].as_str().unwrap().to_owned();
            assert!(results.insert(file, line).is_none(), "two lines");
        }
        results
    }

    /// Waits until an output file has this number of lines.
    pub async fn until_lines(&self, file: &str, lines: usize) {
        let written = async {
            while self.lines(file).len() < lines {
                sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, written).await.unwrap();
    }

    /// How often the API was asked about each document.
    pub fn asked(&self) -> HashMap<String, usize> {
        let mut asked = HashMap::new();
        for request in self.simulator.requests() {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            if let Some((_, rest)) = body.split_once("Number-") {
                let number = rest.split(':').next().unwrap().to_owned();
                *asked.entry(number).or_default() += 1;
            }
        }
        asked
    }

    /// In how many batches each document is that the API was sent.
    pub fn batched(&self) -> HashMap<String, usize> {
        let mut batched = HashMap::new();
        for request in self.simulator.requests() {
            if request.method == "POST" && request.path == "/v1/messages/batches" {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                for (_, rest) in body
                    .match_indices("Number-")
                    .map(|(at, _)| body.split_at(at + 7))
                {
                    let number = rest.split(':').next().unwrap().to_owned();
                    *batched.entry(number).or_default() += 1;
                }
            }
        }
        batched
    }

    /// How many requests to the API were the same as an earlier one.
    pub fn paid_again(&self) -> usize {
        let requests = self.simulator.requests();
        let texts: HashSet<_> = requests.iter().map(|request| &request.body).collect();
        requests.len() - texts.len()
    }

    /// The next requests to the API meet this.
    pub fn next(&self, behaviour: &Behaviour, times: usize) {
        self.simulator.next(vec![behaviour.clone(); times]);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// The peak of a process's memory, in bytes; 0 if it has ended.
pub fn peak(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.map_or(0, |kib| kib.trim().parse::<u64>().unwrap() * 1024)
}

pub fn signal(process: &Child, name: &str) {
    let pid = process.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.unwrap().success());
}

/// Waits for the end of a process, and returns its exit code.
pub async fn ended(process: &mut Child) -> Option<i32> {
    let ended = async {
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                return status.code();
            }
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, ended).await.unwrap()
}

pub fn text(stderr: &mut ChildStderr) -> String {
    std::io::read_to_string(stderr).unwrap()
}
