//! The service at hosts that verify each request with the clouds' own libraries
//! (verifier.py), in front of the simulator in the dialect of the host.
//!
//! Ignored unless asked for: PYTHON must name an interpreter with the packages of
//! requirements.txt, and the build must have the features `aws`, `google` and `azure`.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

#[path = "../operation/process.rs"]
#[allow(dead_code, reason = "other tests need the rest")]
mod process;
mod tokens;
mod verifier;

use claude_grpc::{
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
    simulator::SimulatedHost,
};
use process::Process;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};
use verifier::Verifier;

const ON_AWS: [SimulatedHost; 3] = [
    SimulatedHost::ClaudePlatformAws,
    SimulatedHost::BedrockMantle,
    SimulatedHost::BedrockRuntime,
];

const STATIC: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    ),
];

/// A service with one host, which is behind the verifier.
async fn serve(verifier: &Verifier, variables: &[(&str, &str)]) -> Process {
    let path = match verifier.host {
        SimulatedHost::BedrockMantle => "/anthropic",
        _ => "",
    };
    let toml = format!(
        "[[upstream.hosts]]\nname = 'h'\nkind = '{}'\nbase_url = '{}{path}'\n\
         region = 'eu-west-3'\nworkspace_id = 'wrkspc_1'\ncredentials = 'aws'\n\
         [upstream.hosts.models]\n{}",
        verifier.host,
        verifier.url,
        // Its path has all that must be escaped twice.
        match verifier.host {
            SimulatedHost::BedrockRuntime =>
                "profile = 'arn:aws:bedrock:eu-west-3:111122223333:application-inference-profile/abc1'\n",
            _ => "",
        }
    );
    Process::start(verifier.directory.path(), variables, &toml).await
}

async fn client(process: &Process) -> ClaudeServiceClient<Channel> {
    let address = format!("http://{}", process.address);
    ClaudeServiceClient::connect(address).await.unwrap()
}

fn ask(text: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        model: "claude-haiku-4-5".to_owned(),
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: text.to_owned(),
            ..v1::Message::default()
        }],
        max_tokens: Some(64),
        ..v1::GenerateRequest::default()
    }
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn botocore_accepts_each_signature() {
    for host in ON_AWS {
        let verifier = Verifier::start(host, &[]).await;
        let process = serve(&verifier, &STATIC).await;
        let mut grpc = client(&process).await;
        let answer = grpc.generate(ask("Hello, wörld")).await.unwrap();
        assert_eq!(answer.into_inner().host, "h");
        let request = v1::GenerateStreamRequest {
            request: Some(ask("Hello")),
        };
        let stream = grpc.generate_stream(request).await.unwrap();
        let mut stream = stream.into_inner();
        let mut events = 0;
        while stream.message().await.unwrap().is_some() {
            events += 1;
        }
        assert!(events > 3, "{host}");
        let mut expected = 2;
        match host {
            SimulatedHost::BedrockRuntime => {
                let by_arn = v1::GenerateRequest {
                    model: "profile".to_owned(),
                    ..ask("Hello")
                };
                grpc.generate(by_arn).await.unwrap();
                expected += 1;
            }
            _ => {
                let counted = v1::CountTokensRequest {
                    request: Some(ask("Hello")),
                };
                grpc.count_tokens(counted).await.unwrap();
                expected += 1;
            }
        }
        if host == SimulatedHost::ClaudePlatformAws {
            // A query is part of a signature.
            let models = v1::ListModelsRequest {
                page_size: 3,
                ..v1::ListModelsRequest::default()
            };
            grpc.list_models(models).await.unwrap();
            expected += 1;
        }
        let report = verifier.report().await;
        assert_eq!(
            report["hosts"][host.name()]["accepted"],
            expected,
            "{report}"
        );
        assert_eq!(
            report["hosts"][host.name()]["rejected"],
            serde_json::json!({})
        );
        let log = process.stderr();
        assert!(
            !log.contains(STATIC[1].1) && !log.contains("Signature="),
            "{log}"
        );
    }
}

#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn a_wrong_secret_is_the_services_fault_and_named_so() {
    let verifier = Verifier::start(SimulatedHost::BedrockRuntime, &[]).await;
    let wrong = [STATIC[0], ("AWS_SECRET_ACCESS_KEY", "another secret")];
    let process = serve(&verifier, &wrong).await;
    let mut grpc = client(&process).await;
    let failed = grpc.generate(ask("Hello")).await.unwrap_err();
    assert_eq!(failed.code(), Code::Internal, "{failed:?}");
    assert!(failed.message().contains("own key"), "{failed:?}");
}

/// Credentials of a container that live some seconds, while calls are made all the time.
#[tokio::test]
#[ignore = "needs the clouds' own libraries"]
async fn no_call_fails_when_credentials_expire_under_load() {
    const CALLS_PER_SECOND: u32 = 50;
    let verifier = Verifier::start(SimulatedHost::BedrockMantle, &["--token-lifetime", "4"]).await;
    let source = format!("{}/container-credentials", verifier.url);
    let token = verifier.directory.path().join("container-token");
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*source),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.to_str().unwrap(),
        ),
    ];
    let process = serve(&verifier, &variables).await;
    let grpc = client(&process).await;
    let began = Instant::now();
    let mut calls = JoinSet::new();
    let mut number = 0;
    // Until credentials have been replaced four times.
    while verifier.report().await["tokens_issued"]["aws_container"].as_u64() < Some(5) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "nothing is replaced"
        );
        for _ in 0..CALLS_PER_SECOND / 10 {
            number += 1;
            let (mut grpc, text) = (grpc.clone(), format!("call {number}"));
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
    let counts = &report["hosts"]["bedrock_mantle"];
    assert_eq!(counts["rejected"], serde_json::json!({}), "{report}");
}
