//! Files with secrets that other users can read: the start is refused, whichever
//! secret it is.

use crate::{
    certificates::{self, Ca},
    process::free_port,
};
use claude_grpc::{
    access::{self, NewClient},
    secrets::{Keyring, write_private},
};
use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

/// Files of secrets, and the key or variable that names each.
const SECRETS: [(&str, &str); 7] = [
    ("api-key", "upstream.api_key_file"),
    ("fernet", ""),
    ("tls.key", ""),
    ("clients.toml", ""),
    ("redis-password", "limits.redis.password_file"),
    ("redis.key", "limits.redis.key_file"),
    ("otlp.key", "OTLP exporter"),
];

/// Starts the service with its configuration in this folder: `None` once it
/// serves, or what it says instead.
fn refusal(folder: &Path) -> Option<String> {
    refusal_over(folder, "http/protobuf")
}

/// The same with this protocol of OTLP.
fn refusal_over(folder: &Path, protocol: &str) -> Option<String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
        .args(["serve", "--listen", &free_port().to_string()])
        .env_clear()
        .env("CLAUDE_GRPC_CONFIG", folder.join("claude-grpc.toml"))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env(
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            folder.join("otlp.crt"),
        )
        .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", folder.join("otlp.key"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let serves = line.starts_with("claude-grpc listening on");
    child.kill().unwrap();
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    child.wait().unwrap();
    (!serves).then_some(log)
}

/// A folder with every file of a secret that the service can read.
fn every_secret() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let ca = Ca::new();
    certificates::write(folder, &ca.server(), Some(&ca));
    let redis = ca.server();
    write_private(&folder.join("redis.key"), redis.key.as_bytes()).unwrap();
    fs::write(folder.join("redis.crt"), redis.cert).unwrap();
    let otlp = ca.server();
    write_private(&folder.join("otlp.key"), otlp.key.as_bytes()).unwrap();
    fs::write(folder.join("otlp.crt"), otlp.cert).unwrap();
    write_private(&folder.join("redis-password"), b"hunter2").unwrap();
    write_private(&folder.join("api-key"), b"sk-ant-1").unwrap();
    Keyring::create(&folder.join("fernet")).unwrap();
    let keys = Keyring::read(&folder.join("fernet")).unwrap();
    let clients = folder.join("clients.toml");
    let client = NewClient {
        name: "reports".to_owned(),
        ..NewClient::default()
    };
    access::add(&clients, None, client).unwrap();
    let (hour, now) = (Duration::from_secs(3600), SystemTime::now());
    access::add_signing_key(&clients, Some(&keys), "reports", hour, now).unwrap();
    let at = folder.display();
    let toml = format!(
        "[server.tls]
        cert_file = '{at}/tls.crt'
        key_file = '{at}/tls.key'
        [access]
        clients_file = '{at}/clients.toml'
        [admin]
        enabled = false
        [secrets]
        key_file = '{at}/fernet'
        [upstream]
        api_key_file = '{at}/api-key'
        [limits]
        store = 'rediss://127.0.0.1:1'
        [limits.redis]
        password_file = '{at}/redis-password'
        cert_file = '{at}/redis.crt'
        key_file = '{at}/redis.key'\n"
    );
    fs::write(folder.join("claude-grpc.toml"), toml).unwrap();
    directory
}

#[test]
fn each_secret_that_others_can_read_stops_the_start() {
    let directory = every_secret();
    let folder = directory.path();
    assert_eq!(refusal(folder), None);
    for (name, named_by) in SECRETS {
        let path = folder.join(name);
        let set = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for mode in [0o644, 0o604] {
            set(mode);
            let said = refusal(folder).unwrap_or_else(|| panic!("{name} is read with {mode:o}"));
            let problem = format!("must not be accessible by other users (mode {mode:o})");
            assert!(said.contains(&problem), "{name}: {said}");
            assert!(said.contains(path.to_str().unwrap()), "{name}: {said}");
            assert!(said.contains(named_by), "{name}: {said}");
        }
        set(0o600);
    }
    assert_eq!(refusal(folder), None);
}

#[test]
fn the_client_key_of_otlp_is_checked_with_each_protocol() {
    let directory = every_secret();
    let key = directory.path().join("otlp.key");
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(refusal_over(directory.path(), protocol), None);
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        let said = refusal_over(directory.path(), protocol).unwrap_or_default();
        assert!(said.contains(key.to_str().unwrap()), "{protocol}: {said}");
    }
}

/// As the kubelet mounts them with `fsGroup` and `defaultMode: 0440`: root's, and
/// readable by the group of the pod.
#[test]
fn the_group_may_read_what_is_of_root() {
    let directory = every_secret();
    for (name, _) in SECRETS {
        let path = directory.path().join(name);
        if chown(&path, Some(0), Some(65532)).is_err() {
            eprintln!("not checked: only root can give files to root");
            return;
        }
        fs::set_permissions(&path, Permissions::from_mode(0o440)).unwrap();
    }
    assert_eq!(refusal(directory.path()), None);
}
