//! The service as a pod runs it: the settings of the production overlay, the
//! memory limit of its pod, and the simulator as the API in a process of its own.

use super::{cgroup::MemoryCgroup, cores};
use crate::certificates::{self, Ca};
use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The memory limit of `k8s/base/deployment.yaml`, in bytes.
pub const MEMORY_LIMIT: u64 = 256 << 20;

const SETTINGS: &str = "k8s/overlays/production/claude-grpc.toml";

/// Where they expect the clients, as the file states it.
const CLIENTS_FILE: &str = "\"/run/secrets/claude-grpc/clients.toml\"";

/// How a pod differs from production.
#[derive(Debug, Clone, Copy, Default)]
pub struct Variant {
    /// TLS on the port, as a deployment without a gateway has it.
    pub tls: bool,
    pub grpc_web: bool,
    /// `ulimit -n`, as many machines have it.
    pub open_files: Option<u32>,
}

/// A running service and its API.
pub struct Pod {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// Keys of two clients: a good one, and the attacker.
    pub keys: [String; 2],
    /// The CA of the port, if it has TLS.
    pub ca: Option<String>,
    service: Child,
    simulator: Child,
    cgroup: Option<MemoryCgroup>,
    _directory: TempDir,
}

impl Pod {
    /// Starts both processes, and waits until they listen.
    pub fn start(variant: Variant) -> Pod {
        static PODS: AtomicUsize = AtomicUsize::new(0);
        let name = format!("claude-grpc-pod-{}", PODS.fetch_add(1, Ordering::Relaxed));
        let directory = tempfile::tempdir().unwrap();
        let path = |file: &str| directory.path().join(file);

        let mut simulator = Command::new(binary());
        simulator.args(["simulate", "--listen", "127.0.0.1:0"]);
        simulator.args(["--time-to-first-token", "10ms"]);
        // The real API takes no time from the service.
        let (simulator, api) = cores::on_the_last(|| {
            spawn(
                &mut simulator,
                &path("simulator.log"),
                "simulator listening on ",
            )
        });

        let clients = path("clients.toml");
        let keys = ["good", "greedy"].map(|name| add_client(&clients, name));
        let cgroup = MemoryCgroup::new(&name, MEMORY_LIMIT);
        let admin = free_port();

        let settings = fs::read_to_string(SETTINGS).unwrap();
        assert!(settings.contains(CLIENTS_FILE));
        let settings = settings.replace(CLIENTS_FILE, &format!("'{}'", clients.display()));
        fs::write(path("claude-grpc.toml"), settings).unwrap();

        // It enters the cgroup before it becomes the service.
        let mut service = Command::new("sh");
        let script =
            r#"[ -z "$1" ] || echo $$ >"$1"; [ -z "$2" ] || ulimit -n "$2"; shift 2; exec "$@""#;
        let entrance = cgroup.as_ref().map(MemoryCgroup::entrance);
        service
            .args(["-c", script, "-"])
            .arg(entrance.unwrap_or_default())
            .arg(variant.open_files.map_or(String::new(), |n| n.to_string()))
            .arg(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(path("claude-grpc.toml"))
            .args(["--upstream-url", &api])
            .env("ANTHROPIC_API_KEY", "sk-test")
            .env("TOKIO_WORKER_THREADS", "2")
            .env("CLAUDE_GRPC_ADMIN__LISTEN", admin.to_string())
            .env("CLAUDE_GRPC_SERVER__GRPC_WEB", variant.grpc_web.to_string());
        if cgroup.is_none() {
            // It would be derived from the memory of the machine.
            let budget = MEMORY_LIMIT / 8;
            service.env(
                "CLAUDE_GRPC_SERVER__MAX_BYTES_IN_FLIGHT",
                budget.to_string(),
            );
        }
        let ca = variant.tls.then(|| {
            let ca = Ca::new();
            certificates::write(directory.path(), &ca.server(), None);
            service
                .env("CLAUDE_GRPC_SERVER__TLS__CERT_FILE", path("tls.crt"))
                .env("CLAUDE_GRPC_SERVER__TLS__KEY_FILE", path("tls.key"));
            ca.pem()
        });
        let (service, address) = spawn(
            &mut service,
            &path("service.log"),
            "claude-grpc listening on ",
        );
        Pod {
            address: address.parse().unwrap(),
            admin,
            keys,
            ca,
            service,
            simulator,
            cgroup,
            _directory: directory,
        }
    }

    /// Whether the memory limit is the kernel's, and not only compared.
    pub fn has_cgroup(&self) -> bool {
        self.cgroup.is_some()
    }

    /// The maximum of the resident memory so far, in bytes; `None` once the
    /// process has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.service.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib << 10)
    }

    /// How it ended, if it did.
    pub fn end(&mut self) -> Option<String> {
        if self
            .cgroup
            .as_ref()
            .is_some_and(|cgroup| cgroup.kills() > 0)
        {
            return Some("killed for its memory".to_owned());
        }
        let status = self.service.try_wait().unwrap()?;
        Some(format!("ended with {status}"))
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for child in [&mut self.service, &mut self.simulator] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The binary that is tested: that of `CLAUDE_GRPC`, or this build's.
fn binary() -> String {
    std::env::var("CLAUDE_GRPC").unwrap_or_else(|_| env!("CARGO_BIN_EXE_claude-grpc").to_owned())
}

/// Starts a process, and waits for the line in which it says where it listens.
fn spawn(command: &mut Command, log: &Path, before: &str) -> (Child, String) {
    let output = File::create(log).unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap();
        // Up to its end: it may be half written.
        let mut lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        if let Some(address) = lines.find_map(|line| line.strip_prefix(before)) {
            return (child, address.trim().to_owned());
        }
        let ended = child.try_wait().unwrap();
        let late = start.elapsed() > Duration::from_secs(60);
        assert!(ended.is_none() && !late, "it does not listen: {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Adds a client; returns its key.
fn add_client(file: &Path, name: &str) -> String {
    let added = Command::new(binary())
        .args(["clients", "add", name, "--file"])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8(added.stdout).unwrap();
    let key = text
        .split_whitespace()
        .find(|word| word.starts_with("cgk_"));
    key.unwrap_or_else(|| panic!("{text}")).to_owned()
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
