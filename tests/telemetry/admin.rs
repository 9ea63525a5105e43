//! The admin port.

use crate::service::{Running, ask, read_all, streamed};
use claude_grpc::{
    proto::v1::{self, batch_service_client::BatchServiceClient},
    secrets::Keyring,
    simulator::Behaviour,
};
use std::{process::Command, time::Duration};

/// The sample of a metric whose line contains all of these.
fn sample(metrics: &str, parts: &[&str]) -> f64 {
    let found = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find(|line| parts.iter().all(|part| line.contains(part)));
    let line = found.unwrap_or_else(|| panic!("no sample with {parts:?} in\n{metrics}"));
    let value = line.split(" # ").next().unwrap().rsplit(' ').next();
    value.unwrap().parse().unwrap()
}

#[tokio::test]
async fn calls_are_counted_by_what_they_are() {
    let service = Running::start(&[], "").await;
    let mut grpc = service.grpc.clone();
    grpc.generate(ask("hello")).await.unwrap();
    service.simulator.next([Behaviour::Overloaded]);
    let events = grpc.generate_stream(streamed("hello")).await.unwrap();
    read_all(events.into_inner()).await;
    service.simulator.next([Behaviour::Error(400)]);
    grpc.generate(ask("hello")).await.unwrap_err();
    let mut unknown = ask("hello");
    unknown.model = "not-a-model-of-the-api".to_owned();
    let _ = grpc.generate(unknown).await;

    let metrics = service.metrics().await;
    let of = |parts: &[&str]| sample(&metrics, parts);
    let calls = "rpc_server_call_duration_seconds_count";
    let model = "gen_ai_request_model=\"claude-sonnet-5-5\"";
    assert_eq!(of(&[calls, "/Generate\"", model, "\"OK\""]), 1.0);
    assert_eq!(of(&[calls, "/GenerateStream\"", model, "\"OK\""]), 1.0);
    assert_eq!(of(&[calls, "\"INVALID_ARGUMENT\""]), 1.0);
    assert_eq!(
        of(&["call_failures_total", "UPSTREAM_INVALID_REQUEST"]),
        1.0
    );
    assert_eq!(of(&["upstream_retries_total", "overloaded_error"]), 1.0);
    let attempts = "gen_ai_client_operation_duration_seconds_count";
    assert_eq!(of(&[attempts, "overloaded_error", "\"529\""]), 1.0);
    assert_eq!(of(&["time_to_first_chunk_seconds_count", "Stream"]), 1.0);
    assert!(of(&["time_per_output_chunk_seconds_count", "Stream"]) > 1.0);
    assert!(
        of(&[
            "claude_grpc_tokens_total",
            "/Generate\"",
            model,
            "\"output\""
        ]) > 0.0
    );
    assert!(of(&["claude_grpc_cost_usd_total", "/Generate\"", model]) > 0.0);
    assert_eq!(
        of(&["breaker{claude_grpc_host=\"claude\",claude_grpc_state=\"closed\"}"]),
        1.0
    );
    assert_eq!(of(&["call_in_flight"]), 0.0);
    assert!(
        !metrics.contains("not-a-model"),
        "a caller's word is a label"
    );
    let own = of(&["overhead_duration_seconds_sum", "/Generate\"", model]);
    assert!(own < 0.5, "{own}");
}

#[tokio::test]
async fn the_attempts_of_batches_are_those_of_their_calls() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    Keyring::create(&directory.path().join("key")).unwrap();
    let toml = format!("[batches]\nstate_file = '{at}/state'\nkey_file = '{at}/key'\n");
    let service = Running::start(&[], &toml).await;
    let address = format!("http://{}", service.address);
    let mut batches = BatchServiceClient::connect(address).await.unwrap();
    let request = v1::SubmitBatchRequest {
        items: vec![v1::BatchItem {
            id: "a".to_owned(),
            request: Some(v1::batch_item::Request::Generate(ask("hello"))),
        }],
        ..v1::SubmitBatchRequest::default()
    };
    batches.submit_batch(request).await.unwrap();
    let metrics = service.metrics().await;
    let attempts = "gen_ai_client_operation_duration_seconds_count";
    assert_eq!(sample(&metrics, &[attempts, "\"create_batch\""]), 1.0);
    let calls = "rpc_server_call_duration_seconds_count";
    assert_eq!(sample(&metrics, &[calls, "/SubmitBatch\"", "\"OK\""]), 1.0);
}

#[tokio::test]
async fn a_wait_that_leads_to_no_attempt_is_counted() {
    let toml = "[upstream]\nmax_in_flight = 1\nacquire_timeout = '100ms'\n";
    let service = Running::start(&[], toml).await;
    service.simulator.next([Behaviour::Hang]);
    let mut grpc = service.grpc.clone();
    let hanging = tokio::spawn(async move { grpc.generate(ask("hello")).await });
    service.simulator.until(|counts| counts.requests == 1).await;
    let shed = service.grpc.clone().generate(ask("hello")).await;
    assert_eq!(shed.unwrap_err().code(), tonic::Code::Unavailable);
    let metrics = service.metrics().await;
    let waited = sample(&metrics, &["upstream_wait_seconds_total", "\"permit\""]);
    assert!((0.1..5.0).contains(&waited), "{waited}");
    hanging.abort();
}

#[tokio::test]
async fn clients_are_told_apart_by_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let clients = directory.path().join("clients.toml");
    let mut keys = Vec::new();
    for name in ["reports", "mail"] {
        let added = Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
            .args(["clients", "add", name, "--file"])
            .arg(&clients)
            .output()
            .unwrap();
        assert!(added.status.success(), "{added:?}");
        let shown = String::from_utf8(added.stdout).unwrap();
        let key = shown.split_whitespace().find(|it| it.starts_with("cgk_"));
        keys.push(key.unwrap().to_owned());
    }
    let toml = format!("[access]\nclients_file = '{}'\n", clients.display());
    let service = Running::start(&[], &toml).await;
    for (key, calls) in keys.iter().zip([1, 2]) {
        for _ in 0..calls {
            let mut request = tonic::Request::new(ask("hello"));
            let metadata = request.metadata_mut();
            metadata.insert("x-api-key", key.parse().unwrap());
            service.grpc.clone().generate(request).await.unwrap();
        }
    }
    service
        .grpc
        .clone()
        .generate(ask("hello"))
        .await
        .unwrap_err();
    let metrics = service.metrics().await;
    let of = |client: &str, status: &str| {
        let calls = "rpc_server_call_duration_seconds_count";
        let client = format!("claude_grpc_client=\"{client}\"");
        sample(&metrics, &[calls, &client, status])
    };
    assert_eq!(of("reports", "\"OK\""), 1.0);
    assert_eq!(of("mail", "\"OK\""), 2.0);
    assert_eq!(of("anonymous", "\"UNAUTHENTICATED\""), 1.0);
    let tokens = |client: &str| {
        let client = format!("claude_grpc_client=\"{client}\"");
        sample(
            &metrics,
            &["claude_grpc_tokens_total", &client, "\"output\""],
        )
    };
    assert_eq!(tokens("mail"), 2.0 * tokens("reports"));
    for key in &keys {
        assert!(!metrics.contains(key) && !service.log().contains(key));
    }
}

#[tokio::test]
async fn readiness_has_its_reason() {
    let service = Running::start(&[], "").await;
    assert_eq!(service.get("/livez").await.0, 200);
    assert_eq!(service.get("/readyz").await, (200, "ok\n".to_owned()));
    service.simulator.next([Behaviour::Error(401)]);
    service
        .grpc
        .clone()
        .generate(ask("hello"))
        .await
        .unwrap_err();
    let (status, reason) = service.get("/readyz").await;
    assert_eq!(
        (status, reason.as_str()),
        (503, "not ready: no usable API key\n")
    );
    assert_eq!(service.get("/livez").await.0, 200);
}

#[tokio::test]
async fn the_level_of_the_logs_changes_at_run_time() {
    let service = Running::start(&[], "").await;
    let put = |level: &'static str| {
        let url = format!("{}/log-level", service.admin);
        async move {
            let request = reqwest::Client::new().put(url).body(level);
            request.send().await.unwrap().status().as_u16()
        }
    };
    let mut grpc = service.grpc.clone();
    grpc.generate(ask("one")).await.unwrap();
    assert_eq!(put("error").await, 200);
    grpc.generate(ask("two")).await.unwrap();
    assert_eq!(put("nonsense").await, 400);
    assert_eq!(service.get("/log-level").await.1, "error\n");
    assert_eq!(put("warn,claude_grpc=debug").await, 200);
    grpc.generate(ask("three")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let calls = service.calls();
    assert_eq!(calls.len(), 2, "{}", service.log());
    for call in &calls {
        assert_eq!(call["rpc"], "claude.v1.ClaudeService/Generate");
        assert_eq!(call["status"], "OK");
        assert_eq!(call["client"], "anonymous");
        assert_eq!(call["attempts"], 1);
        assert!(call["duration_ms"].as_f64().unwrap() > 0.0);
        assert!(call["output_tokens"].as_u64().unwrap() > 0);
    }
}

#[tokio::test]
async fn the_page_shows_failures_without_their_text() {
    let service = Running::start(&[], "").await;
    service.simulator.next([Behaviour::Error(400)]);
    let mut grpc = service.grpc.clone();
    grpc.generate(ask("a secret question")).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let trace = service.calls()[0]["trace_id"].as_str().unwrap().to_owned();
    let (status, page) = service.get("/status").await;
    assert_eq!(status, 200);
    for part in [
        "UPSTREAM_INVALID_REQUEST",
        "INVALID_ARGUMENT",
        &trace,
        "<script>",
        "prefers-color-scheme",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let (_, part) = service.get("/status?part=true").await;
    assert!(part.starts_with("<header>"));
    assert!(!page.contains("secret question"));
}
