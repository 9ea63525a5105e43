//! A real Redis for one test or run: on a free port, in a folder of its own. It
//! ends when it is dropped.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// A Redis, running or stopped.
pub struct RedisServer {
    port: u16,
    child: Option<Child>,
    folder: TempDir,
    args: Vec<String>,
    tls: Option<PathBuf>,
}

impl RedisServer {
    /// Whether there is one to start.
    pub fn is_installed() -> bool {
        let version = Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        version.is_ok_and(|status| status.success())
    }

    pub async fn start() -> RedisServer {
        RedisServer::start_with(&[]).await
    }

    pub async fn start_with(args: &[&str]) -> RedisServer {
        let mut redis = RedisServer::stopped(free_port(), args);
        redis.run().await;
        redis
    }

    /// One that is not started yet.
    pub fn stopped(port: u16, args: &[&str]) -> RedisServer {
        RedisServer {
            port,
            child: None,
            folder: tempfile::tempdir().expect("a folder"),
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            tls: None,
        }
    }

    /// The same over TLS alone, also to other servers, with the certificate, key
    /// and CA in a folder.
    pub fn with_tls(mut self, folder: &Path) -> RedisServer {
        self.tls = Some(folder.to_owned());
        self
    }

    /// Starts it, or starts it again: with what it has on disk, which by default
    /// is nothing.
    pub async fn run(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        match &self.tls {
            Some(folder) => {
                let both = ["--tls-replication", "yes", "--tls-auth-clients", "optional"];
                command
                    .args(["--port", "0", "--tls-port", &port])
                    .args(both);
                for (name, file) in TLS_FILES {
                    command.arg(format!("--{name}")).arg(folder.join(file));
                }
            }
            None => {
                command.args(["--port", &port]);
            }
        }
        let child = command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.args)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server runs");
        self.child = Some(child);
        let up = async {
            while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), up)
            .await
            .expect("redis-server listens");
    }

    /// Kills it; connections break, and new ones are refused.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets it hang: connections stay, and nothing is answered.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after that.
    pub fn wake(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("it runs");
        let signal = [name, &child.id().to_string()];
        let sent = Command::new("kill").args(signal).status();
        assert!(sent.expect("kill runs").success());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its certificates, where it has TLS.
    pub fn tls(&self) -> Option<&Path> {
        self.tls.as_deref()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs a command with redis-cli; returns what it prints.
    pub fn ask(&self, words: &[&str]) -> String {
        ask(self.port, self.tls(), words)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The settings and files of TLS.
pub const TLS_FILES: [(&str, &str); 3] = [
    ("tls-cert-file", "tls.crt"),
    ("tls-key-file", "tls.key"),
    ("tls-ca-cert-file", "ca.crt"),
];

/// Runs a command at a port with redis-cli; returns what it prints.
pub fn ask(port: u16, tls: Option<&Path>, words: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    if let Some(folder) = tls {
        command
            .arg("--tls")
            .arg("--cacert")
            .arg(folder.join("ca.crt"));
    }
    let output = command.args(words).output().expect("redis-cli runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port on which nothing listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
