//! Every kind of secret is changed while callers call, with a broken version in
//! between, and no call fails.

use crate::{
    api::Api,
    canary::word,
    certificates::{self, Ca},
    load::{self, Load, Shown},
    process::Process,
    secret_mount::Mount,
    secrets::{CALLER, Secrets},
};
use claude_grpc::{
    access,
    secrets::{Keyring, encrypt_file, rotate_file, write_private},
};
use secrecy::ExposeSecret;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;
use tonic::{Code, transport::Channel};

const CLIENT: &str = "reports";

/// A service under load.
struct Run {
    secrets: Secrets,
    /// Which file has the API keys: `keys`, or the encrypted `env`.
    api_keys: &'static str,
    mount: Mount,
    api: Api,
    process: Process,
    load: Load,
    /// How many broken versions there were.
    broken: usize,
}

impl Run {
    async fn start(api_keys: &'static str) -> Run {
        let secrets = Secrets::new(CLIENT);
        let mount = Mount::new(&secrets.path(""));
        let [first, second] = &secrets.api_keys;
        let api = Api::start(&[first, second]).await;
        // Redis is not there, and has no part in this.
        let toml = secrets.toml(&api.url, api_keys);
        let toml = toml.replace("store = 'redis:", "# store = 'redis:");
        let process = Process::start(secrets.directory.path(), &[], &toml).await;
        let shown = Shown {
            key: secrets.client_key.clone(),
            signing: secrets.signing_key.clone(),
            roots: secrets.ca.pem(),
            certificate: secrets.ca.caller(CALLER),
        };
        let load = Load::start(process.address, shown);
        load.goes_on().await;
        Run {
            secrets,
            api_keys,
            mount,
            api,
            process,
            load,
            broken: 0,
        }
    }

    /// Shows a version of some files, and waits until it is in force.
    async fn change(&mut self, what: &str, files: &[(&str, &[u8])]) {
        let Run { process, mount, .. } = self;
        process
            .reloaded(what, "succeeded", || mount.swap(files))
            .await;
        self.load.goes_on().await;
    }

    /// Shows a broken version: it is refused, which is logged and counted, and
    /// calls go on.
    async fn break_file(&mut self, what: &str, file: &str, content: &[u8]) {
        let Run { process, mount, .. } = self;
        process
            .reloaded(what, "failed", || mount.break_file(file, content))
            .await;
        self.broken += 1;
        let refused = "failed to reload; the previous version stays in use";
        self.process.logged(refused, self.broken).await;
        self.load.goes_on().await;
    }

    async fn channel(&self) -> Channel {
        let roots = self.load.shown.lock().unwrap().roots.clone();
        let address = self.process.address.to_string();
        let channel = certificates::connect(&address, &roots, None).await;
        channel.unwrap()
    }

    fn keyring(&self) -> Keyring {
        Keyring::read(&self.secrets.path("fernet")).unwrap()
    }

    /// The content of an encrypted `.env` file, or of a file of keys.
    fn of_api_keys(&self, keys: &[&str]) -> Vec<u8> {
        if self.api_keys == "keys" {
            return keys.join("\n").into_bytes();
        }
        let text = format!("ANTHROPIC_API_KEY={}\n", keys.join(","));
        self.keyring().encrypt(text.as_bytes()).into_bytes()
    }

    /// What a change of a file would make of it, without changing it.
    fn edited(&self, file: &str, edit: impl FnOnce(&std::path::Path)) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(file);
        write_private(&path, self.mount.file(file)).unwrap();
        edit(&path);
        std::fs::read(&path).unwrap()
    }

    /// To a key that the API takes beside the old ones, which it then refuses.
    async fn rotate_api_keys(&mut self) {
        let broken = self.of_api_keys(&["with a \u{7}"]);
        self.break_file("api keys", self.api_keys, &broken).await;
        let new = word();
        let [first, second] = self.secrets.api_keys.clone();
        self.api.take(&[&first, &second, &new]);
        let content = self.of_api_keys(&[&new]);
        self.change("api keys", &[(self.api_keys, &content)]).await;
        let used = async {
            while !self.api.used(&new) {
                self.load.goes_on().await;
            }
        };
        let used = timeout(Duration::from_secs(60), used).await;
        used.expect("the new key is used");
        self.load.goes_on().await;
        self.api.take(&[&new]);
        self.load.goes_on().await;
        assert_eq!(self.api.refused(), 0);
    }

    /// The client gets a second key, shows it, and loses the first.
    async fn rotate_client_key(&mut self) {
        self.break_file("clients", "clients.toml", b"clients = 'none'")
            .await;
        let (keys, old) = (self.keyring(), self.secrets.client_key.clone());
        let (hour, now) = (Duration::from_secs(3600), SystemTime::now());
        let mut new = String::new();
        let both = self.edited("clients.toml", |path| {
            let added = access::rotate(path, Some(&keys), CLIENT, hour, now).unwrap();
            new = added.secret.expose_secret().to_owned();
        });
        self.change("clients", &[("clients.toml", &both)]).await;
        load::keyed(self.channel().await, &old).await.unwrap();
        self.load.show(|shown| shown.key.clone_from(&new));
        self.load.goes_on().await;
        let id = old.split('_').nth(1).unwrap();
        let without = self.edited("clients.toml", |path| {
            access::revoke_key(path, Some(&keys), id).unwrap();
        });
        self.change("clients", &[("clients.toml", &without)]).await;
        let refused = load::keyed(self.channel().await, &old).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }

    /// The same with the key that it signs with.
    async fn rotate_signing_key(&mut self) {
        let (keys, old) = (self.keyring(), self.secrets.signing_key.clone());
        let (hour, now) = (Duration::from_secs(3600), SystemTime::now());
        let broken = self.edited("clients.toml", |path| {
            let text = format!(
                "[[clients]]\nname = '{CLIENT}'\nsigning_keys = [{{id = 's', secret = 'short'}}]"
            );
            write_private(path, keys.encrypt(text.as_bytes()).as_bytes()).unwrap();
        });
        self.break_file("clients", "clients.toml", &broken).await;
        let mut new = (String::new(), String::new());
        let both = self.edited("clients.toml", |path| {
            let added = access::add_signing_key(path, Some(&keys), CLIENT, hour, now).unwrap();
            new = (added.id, added.secret.expose_secret().to_owned());
        });
        self.change("clients", &[("clients.toml", &both)]).await;
        load::signed(self.channel().await, &old).await.unwrap();
        self.load.show(|shown| shown.signing = new);
        self.load.goes_on().await;
        let without = self.edited("clients.toml", |path| {
            access::revoke_key(path, Some(&keys), &old.0).unwrap();
        });
        self.change("clients", &[("clients.toml", &without)]).await;
        let refused = load::signed(self.channel().await, &old).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }

    /// Certificate and CA: callers trust both CAs, the server takes both; then
    /// each shows what is of the new one, and the old one goes.
    async fn rotate_certificates(&mut self) {
        self.break_file("certificates", "tls.key", b"no key").await;
        let (old, new) = (self.secrets.ca.pem(), Ca::new());
        let both = format!("{old}{}", new.pem());
        self.load.show(|shown| shown.roots.clone_from(&both));
        self.load.goes_on().await;
        self.change("certificates", &[("ca.crt", both.as_bytes())])
            .await;
        let (server, before) = (
            new.server(),
            self.load.shown.lock().unwrap().certificate.clone(),
        );
        let files = [
            ("tls.crt", server.cert.as_bytes()),
            ("tls.key", server.key.as_bytes()),
        ];
        self.change("certificates", &files).await;
        self.load.show(|shown| {
            shown.roots = new.pem();
            shown.certificate = new.caller(CALLER);
        });
        // Over new connections, all of which are to the new certificate.
        for _ in 0..3 {
            self.load.goes_on().await;
        }
        self.change("certificates", &[("ca.crt", new.pem().as_bytes())])
            .await;
        let address = self.process.address.to_string();
        if let Ok(channel) = certificates::connect(&address, &new.pem(), Some(&before)).await {
            let key = self.load.shown.lock().unwrap().key.clone();
            load::keyed(channel, &key)
                .await
                .expect_err("its CA is gone");
        }
        certificates::connect(&address, &old, None)
            .await
            .expect_err("no server of the old CA");
    }

    /// A new key in front, everything encrypted anew with it, the old one gone.
    async fn rotate_fernet_key(&mut self) {
        self.break_file("clients", "fernet", b"no key\n").await;
        let both = self.edited("fernet", |path| Keyring::add_key(path).unwrap());
        self.change("clients", &[("fernet", &both)]).await;
        let keys = self.keyring();
        let clients = self.edited("clients.toml", |path| rotate_file(&keys, path).unwrap());
        let env = self.edited("env", |path| rotate_file(&keys, path).unwrap());
        let files: [(&str, &[u8]); 2] = [("clients.toml", &clients), ("env", &env)];
        self.change("clients", &files).await;
        let text = String::from_utf8(both).unwrap();
        let new = text.lines().next().unwrap().as_bytes();
        self.change("clients", &[("fernet", new)]).await;
        if self.api_keys == "env" {
            self.process
                .reloaded("api keys", "succeeded", || self.process.signal("HUP"))
                .await;
        }
        // The new key alone decrypts what is there.
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("old");
        encrypt_file(&self.keyring(), &self.secrets.path("env"), &old).unwrap();
        self.load.goes_on().await;
    }
}

async fn everything_is_rotated(api_keys: &'static str) {
    let mut run = Run::start(api_keys).await;
    run.rotate_api_keys().await;
    run.rotate_client_key().await;
    run.rotate_signing_key().await;
    run.rotate_certificates().await;
    run.rotate_fernet_key().await;
    assert!(run.load.calls() > 100, "{} calls", run.load.calls());
}

#[tokio::test]
async fn every_secret_is_rotated_under_load_without_a_failed_call() {
    everything_is_rotated("keys").await;
}

#[tokio::test]
async fn so_it_is_with_api_keys_in_an_encrypted_file() {
    everything_is_rotated("env").await;
}
