//! Secrets against the real parts: Python's `cryptography`, and `moto`'s KMS.
//!
//! They need Python, so they are ignored by default. `PYTHON` names an
//! interpreter that has `cryptography` (and `moto[server]` and `boto3`):
//! `PYTHON=… cargo test --test secrets -- --ignored`.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

use claude_grpc::secrets::Keyring;
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Runs a script; gives what it prints.
fn python(script: &str, input: &str) -> String {
    let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut child = Command::new(interpreter)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn fresh_key() -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    Keyring::create(&path).unwrap();
    std::fs::read_to_string(&path).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs Python with cryptography"]
fn python_encrypts_and_rust_decrypts() {
    let script = "import sys; from cryptography.fernet import Fernet; \
        print(Fernet(sys.stdin.readline().strip()).encrypt('ключ=1'.encode()).decode())";
    let key = fresh_key();
    let token = python(script, &key);
    let keys = Keyring::parse(&key).unwrap();
    assert_eq!(&**keys.decrypt(&token).unwrap(), "ключ=1".as_bytes());
}

#[test]
#[ignore = "needs Python with cryptography"]
fn rust_encrypts_and_python_decrypts() {
    let script = "import sys; from cryptography.fernet import Fernet; \
        key, token = sys.stdin.read().split(); \
        sys.stdout.buffer.write(Fernet(key).decrypt(token))";
    let key = fresh_key();
    let token = Keyring::parse(&key).unwrap().encrypt("ключ=1".as_bytes());
    assert_eq!(python(script, &format!("{key}\n{token}")), "ключ=1");
}

/// The order of the keys and the kept time mean the same on both sides.
#[test]
#[ignore = "needs Python with cryptography"]
fn both_rotate_alike() {
    let script = "import sys; from cryptography.fernet import Fernet, MultiFernet; \
        new, old, ours = sys.stdin.read().split(); \
        ring = MultiFernet([Fernet(new), Fernet(old)]); \
        token = Fernet(old).encrypt_at_time(b'secret', 1000000000); \
        print(ring.rotate(token).decode(), token.decode(), Fernet(new).decrypt(ours).decode())";
    let (new, old) = (fresh_key(), fresh_key());
    let ring = Keyring::parse(&format!("{new}\n{old}")).unwrap();
    let mine = ring.rotate(&Keyring::parse(&old).unwrap().encrypt(b"mine"));
    let answer = python(script, &format!("{new}\n{old}\n{}", mine.unwrap()));
    let mut parts = answer.split(' ');
    let (rotated, original) = (parts.next().unwrap(), parts.next().unwrap());
    assert_eq!(parts.next(), Some("mine"));

    let newest = Keyring::parse(&new).unwrap();
    assert_eq!(&**newest.decrypt(rotated).unwrap(), b"secret");
    let ours = ring.rotate(original).unwrap();
    // Version and time are the first nine bytes, so the first twelve letters.
    assert_eq!(ours[..12], original[..12]);
    assert_eq!(rotated[..12], original[..12]);
}

/// What the service is to be allowed on AWS: one action, on one key, with the
/// encryption context.
const POLICY: &str = include_str!("../deploy/aws/kms-decrypt-policy.json");

/// The actions that the policy allows.
fn allowed() -> Vec<String> {
    let policy: serde_json::Value = serde_json::from_str(POLICY).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        let key = statement["Resource"].as_str().unwrap();
        assert!(key.starts_with("arn:aws:kms:") && !key.contains('*'));
        let conditions = &statement["Condition"]["StringEquals"];
        assert_eq!(conditions["kms:EncryptionContext:service"], "claude-grpc");
        statement["Action"].as_str().unwrap().to_owned()
    });
    actions.collect()
}

#[test]
fn the_policy_allows_one_action_on_one_key() {
    assert_eq!(allowed(), ["kms:Decrypt"]);
}

#[cfg(feature = "kms")]
mod kms {
    use super::*;
    use axum::{Router, body::Bytes, extract::State};
    use claude_grpc::secrets::{ApiKeys, KeySource, KmsConfig, SecretsConfig};
    use http::{HeaderMap, StatusCode};
    use secrecy::ExposeSecret;
    use std::{
        collections::BTreeMap,
        io::{BufRead, BufReader},
        net::TcpListener,
        path::Path,
        process::Child,
        sync::{Arc, Mutex},
        time::Duration,
    };

    /// `moto`'s server; ends with the test.
    struct Moto {
        child: Child,
        url: String,
    }

    impl Drop for Moto {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    }

    async fn moto() -> Moto {
        let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let port = free_port();
        let child = Command::new(interpreter)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p"])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto runs");
        let address = format!("127.0.0.1:{port}");
        let up = async {
            while tokio::net::TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), up)
            .await
            .unwrap();
        let url = format!("http://{address}");
        Moto { child, url }
    }

    /// Encrypts with a new key; gives its ARN and the ciphertext in Base64.
    const ENCRYPT: &str = "import sys, base64, boto3
kms = boto3.client('kms', endpoint_url=sys.stdin.readline().strip(), region_name='eu-central-1',
                   aws_access_key_id='test', aws_secret_access_key='test')
key = kms.create_key()['KeyMetadata']['Arn']
blob = kms.encrypt(KeyId=key, Plaintext=b'sk-from-kms', EncryptionContext={'service': 'claude-grpc'})
print(key, base64.b64encode(blob['CiphertextBlob']).decode())";

    #[tokio::test]
    #[ignore = "needs Python with moto[server], and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set to anything"]
    async fn kms_decrypts_with_the_right_context_only() {
        let moto = moto().await;
        let answer = python(ENCRYPT, &moto.url);
        let (key_id, ciphertext) = answer.split_once(' ').unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ciphertext_file = dir.path().join("api-key.kms");
        std::fs::write(&ciphertext_file, ciphertext).unwrap();

        let kms = |context: &str| SecretsConfig {
            kms: KmsConfig {
                ciphertext_file: Some(ciphertext_file.clone()),
                key_id: Some(key_id.to_owned()),
                encryption_context: BTreeMap::from([("service".to_owned(), context.to_owned())]),
                endpoint_url: Some(moto.url.clone()),
                region: Some("eu-central-1".to_owned()),
            },
            ..SecretsConfig::default()
        };
        let read = async |context: &str| {
            let source = KeySource::resolve(None, &kms(context), |_| None);
            ApiKeys::read(source.unwrap()).await
        };
        let keys = read("claude-grpc").await.unwrap();
        assert_eq!(keys.keys[0].expose_secret(), "sk-from-kms");
        let refused = read("another").await.unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("InvalidCiphertextException"), "{text}");
    }

    /// Stands between the service and `moto`, and notes what is called.
    #[derive(Clone)]
    struct Recorder {
        moto: String,
        called: Arc<Mutex<Vec<String>>>,
    }

    impl Recorder {
        async fn start(moto: &Moto) -> (Recorder, String) {
            let recorder = Recorder {
                moto: moto.url.clone(),
                called: Arc::default(),
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let routes = Router::new().fallback(pass).with_state(recorder.clone());
            tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
            (recorder, url)
        }

        fn called(&self) -> Vec<String> {
            self.called.lock().unwrap().clone()
        }
    }

    async fn pass(
        State(recorder): State<Recorder>,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> (StatusCode, Bytes) {
        let target = headers.get("x-amz-target").map(|it| it.to_str().unwrap());
        let target = target.unwrap_or("a call without a target").to_owned();
        recorder.called.lock().unwrap().push(target);
        headers.remove("host");
        let request = reqwest::Client::new().post(recorder.moto).headers(headers);
        let answer = request.body(body).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    }

    fn program(directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-grpc"));
        command
            .args(arguments)
            .arg("--config")
            .arg(directory.join("claude-grpc.toml"))
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    /// Check, start and reload of the real program: all that it calls on AWS,
    /// of any service, is what the policy allows.
    #[tokio::test]
    #[ignore = "needs Python with moto[server]"]
    async fn nothing_but_decrypt_is_called() {
        let moto = moto().await;
        let answer = python(ENCRYPT, &moto.url);
        let (key_id, ciphertext) = answer.split_once(' ').unwrap();
        let (recorder, url) = Recorder::start(&moto).await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("api-key.kms");
        std::fs::write(&file, ciphertext).unwrap();
        let toml = format!(
            "[admin]\nenabled = false\n[secrets.kms]\nciphertext_file = '{}'\nkey_id = '{key_id}'\n\
             endpoint_url = '{url}'\nregion = 'eu-central-1'\n\
             encryption_context = {{ service = 'claude-grpc' }}\n",
            file.display()
        );
        std::fs::write(directory.path().join("claude-grpc.toml"), toml).unwrap();

        let run = |arguments: &'static [&str]| {
            let mut command = program(directory.path(), arguments);
            // Other services of AWS would be asked here too.
            command.env("AWS_ENDPOINT_URL", &url);
            command.stdout(Stdio::piped()).spawn().unwrap()
        };
        let check = run(&["config", "check"]);
        let check = tokio::task::spawn_blocking(|| check.wait_with_output().unwrap());
        let checked = String::from_utf8(check.await.unwrap().stdout).unwrap();
        assert!(checked.contains("# API keys: 1 from "), "{checked}");

        let mut serve = run(&["serve", "--listen", "127.0.0.1:0"]);
        let mut lines = BufReader::new(serve.stdout.take().unwrap()).lines();
        let first = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap());
        let first = first.await.unwrap();
        assert!(first.starts_with("claude-grpc listening on "), "{first}");
        let pid = serve.id().to_string();
        let sent = Command::new("kill").args(["-s", "HUP", &pid]).status();
        assert!(sent.unwrap().success());
        let reloaded = async {
            while recorder.called().len() < 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reloaded = tokio::time::timeout(Duration::from_secs(30), reloaded).await;
        serve.kill().unwrap();
        serve.wait().unwrap();
        reloaded.expect("a third call");

        for target in recorder.called() {
            let action = target.replace("TrentService.", "kms:");
            assert!(allowed().contains(&action), "{target} is not allowed");
        }
    }
}
