//! Access tokens that the service fetches itself, from token endpoints that verify what
//! they are given, for hosts that accept those tokens alone.

use crate::{ask, client, process::Process, verifier::Verifier};
use claude_grpc::simulator::SimulatedHost;
use serde_json::{Value, json};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const TENANT: &str = "00000000-0000-4000-8000-000000000001";
const SECRET: &str = "test-secret";
const SCOPE: &str = "https://ai.azure.com/.default";

/// A service with one host, which is behind the verifier, and its credentials.
async fn serve(verifier: &Verifier, credentials: &str, variables: &[(&str, &str)]) -> Process {
    let path = match verifier.host {
        SimulatedHost::Foundry => "/anthropic",
        SimulatedHost::Vertex => "/v1",
        _ => "",
    };
    let place = match verifier.host {
        SimulatedHost::Vertex => "region = 'global'\nproject = 'p'\n",
        _ => "",
    };
    let ca_file = verifier.directory.path().join("ca.crt");
    let ca_file = match verifier.url.starts_with("https") {
        true => format!("ca_file = '{}'\n", ca_file.display()),
        false => String::new(),
    };
    let toml = format!(
        "[[upstream.hosts]]\nname = 'h'\nkind = '{}'\nbase_url = '{}{path}'\n{place}{ca_file}{credentials}",
        verifier.host, verifier.url,
    );
    Process::start(verifier.directory.path(), variables, &toml).await
}

fn federation(verifier: &Verifier) -> String {
    let file = verifier.directory.path().join("identity-token");
    format!(
        "credentials = 'federation'\nfederation_rule_id = 'fdrl_1'\norganization_id = '{TENANT}'\n\
         service_account_id = 'svac_1'\nworkspace_id = 'wrkspc_1'\nidentity_token_file = '{}'\n",
        file.display()
    )
}

/// Runs official.py.
async fn official(arguments: &[&str], variables: &[(&str, &str)]) {
    let python = std::env::var("PYTHON").expect("PYTHON must be set");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/official.py");
    let mut command = Command::new(python);
    command.arg(script).args(arguments);
    command.envs(variables.iter().copied());
    let ended = tokio::task::spawn_blocking(move || command.output()).await;
    let output = ended.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn file(verifier: &Verifier, name: &str) -> String {
    let path = verifier.directory.path().join(name);
    path.to_str().unwrap().to_owned()
}

fn issued(report: &Value, endpoint: &str) -> u64 {
    report["tokens_issued"][endpoint].as_u64().unwrap_or(0)
}

/// Makes 50 calls a second until this many tokens have been issued. None fails.
async fn calls_until_issued(verifier: &Verifier, process: &Process, endpoint: &str, number: u64) {
    let grpc = client(process).await;
    let began = Instant::now();
    let mut calls = JoinSet::new();
    while issued(&verifier.report().await, endpoint) < number {
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "nothing is replaced"
        );
        for _ in 0..5 {
            let (mut grpc, text) = (grpc.clone(), format!("call {}", calls.len()));
            calls.spawn(async move { grpc.generate(ask(&text)).await });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let outcomes = calls.join_all().await;
    for outcome in &outcomes {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert!(outcomes.len() > 100);
    let report = verifier.report().await;
    let counts = &report["hosts"][verifier.host.name()];
    assert_eq!(counts["rejected"], json!({}), "{report}");
    println!(
        "{} calls in {:?}, {} tokens of {endpoint}",
        outcomes.len(),
        began.elapsed(),
        issued(&report, endpoint)
    );
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn federation_asks_and_calls_as_the_official_sdk_does() {
    let verifier = Verifier::start(SimulatedHost::Claude, &[]).await;
    let process = serve(&verifier, &federation(&verifier), &[]).await;
    client(&process).await.generate(ask("Hello")).await.unwrap();
    let token = file(&verifier, "identity-token");
    official(&["federation", &verifier.url, &token], &[]).await;
    let report = verifier.report().await;
    let asked = report["asked"]["claude_federation"].as_array().unwrap();
    assert_eq!(asked.len(), 2, "{report}");
    assert_eq!(asked[0], asked[1]);
    // The headers of the calls too.
    assert_eq!(report["schemes"], json!({"Bearer oauth-2025-04-20": 2}));
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn no_call_fails_while_tokens_of_federation_expire() {
    let verifier = Verifier::start(SimulatedHost::Claude, &["--token-lifetime", "4"]).await;
    let process = serve(&verifier, &federation(&verifier), &[]).await;
    calls_until_issued(&verifier, &process, "claude_federation", 5).await;
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn no_token_is_in_the_log() {
    let verifier = Verifier::start(SimulatedHost::Claude, &["--token-lifetime", "4"]).await;
    let path = file(&verifier, "identity-token");
    let identity = std::fs::read_to_string(&path).unwrap();
    let variables = [("CLAUDE_GRPC_LOG__LEVEL", "trace")];
    let process = serve(&verifier, &federation(&verifier), &variables).await;
    let mut grpc = client(&process).await;
    grpc.generate(ask("Hello")).await.unwrap();
    // What the endpoint refuses, and quotes.
    std::fs::write(&path, "eyJhbGciOiJub25lIn0.not-signed.").unwrap();
    while !process.stderr().contains("no new credentials") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = process.stderr();
    assert!(
        log.contains("the token endpoint answered 401 invalid_grant"),
        "{log}"
    );
    for secret in [identity.trim(), "not-signed", "claude-"] {
        let shown = log.lines().find(|line| match secret {
            // How tokens of the issuer begin, and ids of models.
            "claude-" => line.contains("Bearer claude-"),
            secret => line.contains(secret),
        });
        assert_eq!(shown, None);
    }
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn no_call_fails_while_tokens_of_googles_metadata_server_expire() {
    // The library asks again each 10 s for tokens that live less than 4 minutes.
    let verifier = Verifier::start(SimulatedHost::Vertex, &["--token-lifetime", "15"]).await;
    let metadata = verifier.url.trim_start_matches("http://").to_owned();
    let variables = [("GCE_METADATA_HOST", &*metadata)];
    let process = serve(&verifier, "credentials = 'google'\n", &variables).await;
    calls_until_issued(&verifier, &process, "gce_metadata", 4).await;
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn google_auth_accepts_the_tokens_of_credentials_files() {
    for name in [
        "google-external-account.json",
        "google-service-account.json",
    ] {
        let verifier = Verifier::start(SimulatedHost::Vertex, &[]).await;
        let path = file(&verifier, name);
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", &*path)];
        let process = serve(&verifier, "credentials = 'google'\n", &variables).await;
        client(&process).await.generate(ask("Hello")).await.unwrap();
        let report = verifier.report().await;
        assert_eq!(report["hosts"]["vertex"]["accepted"], 1, "{name}: {report}");
    }
}

/// Foundry with a certificate, since Microsoft's library asks over TLS alone.
async fn foundry(lifetime: &str) -> Verifier {
    Verifier::start_with_tls(SimulatedHost::Foundry, &["--token-lifetime", lifetime]).await
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn entra_is_asked_for_the_scope_that_azure_identity_asks_for() {
    let verifier = foundry("3600").await;
    let ca_file = file(&verifier, "ca.crt");
    let variables = [
        ("AZURE_AUTHORITY_HOST", &*verifier.url),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", TENANT),
        ("AZURE_CLIENT_SECRET", SECRET),
        ("SSL_CERT_FILE", &*ca_file),
    ];
    let process = serve(&verifier, "credentials = 'entra'\n", &variables).await;
    client(&process).await.generate(ask("Hello")).await.unwrap();
    let variables = [("REQUESTS_CA_BUNDLE", &*ca_file)];
    official(&["entra", &verifier.url, SECRET], &variables).await;
    let report = verifier.report().await;
    let asked = report["asked"]["entra"].as_array().unwrap();
    assert_eq!(asked.len(), 2, "{report}");
    assert_eq!(asked[0]["scope"], SCOPE);
    assert_eq!(asked[0]["grant_type"], asked[1]["grant_type"]);
    assert_eq!(asked[0]["client_id"], asked[1]["client_id"]);
    let scopes = asked[1]["scope"].as_str().unwrap();
    assert!(scopes.split(' ').any(|scope| scope == SCOPE), "{scopes}");
    // And no key.
    assert_eq!(report["schemes"], json!({"Bearer": 1}));
    assert!(!process.stderr().contains(SECRET));
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn no_call_fails_while_tokens_of_entra_expire() {
    let verifier = foundry("4").await;
    let (ca_file, identity) = (file(&verifier, "ca.crt"), file(&verifier, "identity-token"));
    let variables = [
        ("AZURE_AUTHORITY_HOST", &*verifier.url),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", TENANT),
        ("AZURE_FEDERATED_TOKEN_FILE", &*identity),
        ("SSL_CERT_FILE", &*ca_file),
    ];
    let process = serve(&verifier, "credentials = 'entra'\n", &variables).await;
    calls_until_issued(&verifier, &process, "entra", 5).await;
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn a_managed_identity_is_one_as_well() {
    let verifier = foundry("3600").await;
    let endpoint = format!("{}/msi/token", verifier.url);
    let ca_file = file(&verifier, "ca.crt");
    let variables = [
        ("IDENTITY_ENDPOINT", &*endpoint),
        ("IDENTITY_HEADER", SECRET),
        ("SSL_CERT_FILE", &*ca_file),
    ];
    let process = serve(&verifier, "credentials = 'entra'\n", &variables).await;
    client(&process).await.generate(ask("Hello")).await.unwrap();
    let report = verifier.report().await;
    let resource = &report["asked"]["azure_identity"][0]["resource"];
    assert_eq!(resource, "https://ai.azure.com");
}
