//! The verifier, in front of the simulator in the dialect of a host.

use claude_grpc::simulator::{SimulatedHost, Simulator, SimulatorConfig};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A host that verifies.
pub struct Verifier {
    pub host: SimulatedHost,
    pub url: String,
    /// Where it keeps what its clients may read.
    pub directory: TempDir,
    child: Child,
    simulating: JoinHandle<()>,
    /// Trusts its certificate.
    http: reqwest::Client,
}

impl Verifier {
    pub async fn start(host: SimulatedHost, arguments: &[&str]) -> Verifier {
        let directory = tempfile::tempdir().unwrap();
        Verifier::started(host, arguments, directory, reqwest::Client::new()).await
    }

    /// With a certificate of its own, `ca.crt` of its directory.
    pub async fn start_with_tls(host: SimulatedHost, arguments: &[&str]) -> Verifier {
        let directory = tempfile::tempdir().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = certified.cert.pem();
        let (cert_file, key_file) = (
            directory.path().join("ca.crt"),
            directory.path().join("tls.key"),
        );
        std::fs::write(&cert_file, &certificate).unwrap();
        std::fs::write(&key_file, certified.signing_key.serialize_pem()).unwrap();
        let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([trusted]);
        let tls = [
            "--cert-file",
            cert_file.to_str().unwrap(),
            "--key-file",
            key_file.to_str().unwrap(),
        ];
        let arguments = [arguments, &tls].concat();
        Verifier::started(host, &arguments, directory, http.build().unwrap()).await
    }

    async fn started(
        host: SimulatedHost,
        arguments: &[&str],
        directory: TempDir,
        http: reqwest::Client,
    ) -> Verifier {
        let simulator = Simulator::bind(SimulatorConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            host,
            ..SimulatorConfig::default()
        });
        let simulator = simulator.await.unwrap();
        let upstream = simulator.base_url().unwrap();
        let simulating = tokio::spawn(simulator.run());
        let python = std::env::var("PYTHON").expect("PYTHON must be set");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/verifier.py");
        let mut child = Command::new(python)
            .args([script, "--host", host.name(), "--upstream", &upstream])
            .arg("--files")
            .arg(directory.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap().to_owned();
        Verifier {
            host,
            url,
            directory,
            child,
            simulating,
            http,
        }
    }

    /// What it has accepted, rejected and issued.
    pub async fn report(&self) -> serde_json::Value {
        let report = self.http.get(format!("{}/verifier/report", self.url));
        let report = report.send().await;
        serde_json::from_slice(&report.unwrap().bytes().await.unwrap()).unwrap()
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.simulating.abort();
    }
}
