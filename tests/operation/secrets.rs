//! A directory with every secret that the service can hold, each of them known.

use crate::{
    canary::Canaries,
    certificates::{self, Ca, replace},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use claude_grpc::{
    access::{self, NewClient},
    secrets::{self, Keyring},
};
use secrecy::ExposeSecret;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// The callers' name in their certificate.
pub const CALLER: &str = "spiffe://example.org/ns/reports/sa/default";

/// What is held, and where.
pub struct Secrets {
    pub directory: TempDir,
    /// What must be seen nowhere.
    pub canaries: Canaries,
    pub ca: Ca,
    /// Both are in the file of API keys.
    pub api_keys: [String; 2],
    pub client_key: String,
    pub signing_key: (String, String),
    pub redis: String,
    pub collector_token: String,
}

impl Secrets {
    /// Makes them all; the client has this name. The API keys are in `keys`
    /// and, encrypted, in `env`; the clients file is encrypted.
    pub fn new(client: &str) -> Secrets {
        let directory = tempfile::tempdir().unwrap();
        let canaries = Canaries::default();
        let folder = directory.path().join("secrets");
        fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name);

        Keyring::create(&path("fernet")).unwrap();
        let keys = Keyring::read(&path("fernet")).unwrap();
        canaries.keep("Fernet key", read(&path("fernet")).trim());

        let api_keys = ["first API key", "second API key"].map(|name| canaries.make(name));
        replace(&path("keys"), api_keys.join("\n").as_bytes());
        let env = format!("ANTHROPIC_API_KEY={}\n", api_keys.join(","));
        replace(&path("env"), env.as_bytes());
        secrets::encrypt_file(&keys, &path("env"), &path("env")).unwrap();

        let clients = path("clients.toml");
        let new = NewClient {
            name: client.to_owned(),
            certificates: vec![CALLER.to_owned()],
            ..NewClient::default()
        };
        let added = access::add(&clients, None, new).unwrap();
        secrets::encrypt_file(&keys, &clients, &clients).unwrap();
        let hour = Duration::from_secs(3600);
        let now = SystemTime::now();
        let signing = access::add_signing_key(&clients, Some(&keys), client, hour, now).unwrap();
        let client_key = added.secret.expose_secret().to_owned();
        canaries.keep("client key", client_key.splitn(3, '_').nth(2).unwrap());
        let secret = signing.secret.expose_secret().to_owned();
        canaries.keep("signing secret", secret.strip_prefix("cgs_").unwrap());
        let hash = access::list(&clients, Some(&keys)).unwrap()[0].keys[0]
            .hash
            .clone();
        canaries.keep("hash of the client key", hash.rsplit(':').next().unwrap());

        let ca = Ca::new();
        let server = ca.server();
        keep_private_key(&canaries, "TLS private key", &server.key);
        certificates::write(&folder, &server, Some(&ca));

        let redis = canaries.make("password of Redis");
        let collector_token = canaries.make("token for the collector");
        Secrets {
            directory,
            canaries,
            ca,
            api_keys,
            client_key,
            signing_key: (signing.id, secret),
            redis,
            collector_token,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("secrets").join(name)
    }

    /// The files in a configuration; `api_keys` says where the API keys are.
    pub fn toml(&self, api: &str, api_keys: &str) -> String {
        let directory = self.path("");
        let directory = directory.to_str().unwrap().trim_end_matches('/');
        let (api_key_file, encrypted_env_file) = match api_keys {
            "env" => (
                String::new(),
                format!("encrypted_env_file = '{directory}/env'"),
            ),
            plain => (
                format!("api_key_file = '{directory}/{plain}'"),
                String::new(),
            ),
        };
        format!(
            "[server.tls]
            cert_file = '{directory}/tls.crt'
            key_file = '{directory}/tls.key'
            client_ca_file = '{directory}/ca.crt'
            [access]
            clients_file = '{directory}/clients.toml'
            [secrets]
            key_file = '{directory}/fernet'
            {encrypted_env_file}
            [limits]
            store = 'redis://default:{}@127.0.0.1:1/0'
            [upstream]
            base_url = '{api}'
            {api_key_file}
            [upstream.retry]
            initial_backoff = '1ms'
            max_backoff = '5ms'
            [upstream.breaker]
            consecutive_failures = 1000000
            min_calls = 1000000
            ",
            self.redis
        )
    }
}

/// The number that makes a key private, in PKCS #8 for P-256.
fn keep_private_key(canaries: &Canaries, name: &str, pem: &str) {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let text: String = lines.collect();
    let bytes = STANDARD.decode(&text).unwrap();
    canaries.keep(name, &text[48..88]);
    let hex: String = bytes[36..68].iter().map(|b| format!("{b:02x}")).collect();
    canaries.keep(&format!("{name} in hex"), &hex);
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
