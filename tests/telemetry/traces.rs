//! Spans, metrics and log records as a collector receives them.

use crate::{
    collector::{Collector, Protocol, Span},
    service::{Running, ask, read_all, streamed},
};
use claude_grpc::simulator::Behaviour;
use std::{process::Stdio, time::Duration};
use tonic::Request;

const PARENT_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT_SPAN: &str = "00f067aa0ba902b7";

/// What no export may contain.
const CANARY: &str = "the-canary-in-the-prompt";

async fn exporting(collector: &Collector, protocol: Protocol, toml: &str) -> Running {
    let endpoint = collector.endpoint(protocol);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name()),
        ("OTEL_SERVICE_NAME", "under-test"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "300"),
    ];
    Running::start(&variables, toml).await
}

fn of_caller<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{PARENT_TRACE}-{PARENT_SPAN}-{flags}");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", parent.parse().unwrap());
    metadata.insert("tracestate", "vendor=1".parse().unwrap());
    metadata.insert("baggage", "session.id=s-1,user=secret".parse().unwrap());
    request
}

/// A streamed call whose first two attempts fail: the whole tree, value by
/// value.
async fn one_retried_stream(collector: Collector, protocol: Protocol) {
    let toml = "[telemetry]\nbaggage = ['session.id']\n";
    let mut service = exporting(&collector, protocol, toml).await;
    service
        .simulator
        .next([Behaviour::Overloaded, Behaviour::Error(500)]);
    let mut grpc = service.grpc.clone();
    let opened = grpc
        .generate_stream(of_caller(streamed(CANARY), "01"))
        .await;
    read_all(opened.unwrap().into_inner()).await;
    let requests = service.simulator.requests();
    service.stop().await;
    // The real collector writes files at its own pace.
    for _ in 0..50 {
        let logged = collector.records().iter().any(|it| it["body"] == "call");
        let counted = collector.metrics().contains_key("rpc.server.call.duration");
        if collector.spans().len() >= 4 && logged && counted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let spans = collector.spans();
    assert_eq!(spans.len(), 4, "{spans:#?}");
    assert!(spans.iter().all(|span| span.trace == PARENT_TRACE));
    let server = spans.iter().find(|span| span.kind == 2).unwrap();
    let mut attempts: Vec<&Span> = spans.iter().filter(|span| span.kind == 3).collect();
    attempts.sort_by_key(|span| span.began);
    print_tree(server, &attempts);

    assert_eq!(server.parent, PARENT_SPAN);
    assert_eq!(server.name, "claude.v1.ClaudeService/GenerateStream");
    assert!(!server.failed);
    for (attribute, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "claude.v1.ClaudeService/GenerateStream"),
        ("rpc.response.status_code", "OK"),
        ("claude_grpc.client", "anonymous"),
        ("claude_grpc.attempts", "3"),
        ("session.id", "s-1"),
        ("gen_ai.request.model", "claude-sonnet-5-5"),
        ("user", ""),
    ] {
        assert_eq!(server.get(attribute), value, "{attribute}");
    }
    // A machine under load may add waits of its own: they are events from 1 ms on.
    let waits = |event: &&String| event.starts_with("claude_grpc.wait.");
    let events = server.events.iter().filter(|event| !waits(event));
    assert_eq!(events.collect::<Vec<_>>(), ["gen_ai.first_chunk"]);

    let outcomes = [
        ("overloaded_error", "529", "", ""),
        ("api_error", "500", "overloaded_error", "1"),
        ("", "200", "api_error", "2"),
    ];
    for (attempt, (error, status, reason, resent)) in attempts.iter().zip(outcomes) {
        assert_eq!(attempt.parent, server.id);
        assert_eq!(attempt.name, "chat claude-sonnet-5-5");
        assert_eq!(attempt.failed, !error.is_empty());
        let given = ["error.type", "http.response.status_code"].map(|it| attempt.get(it));
        assert_eq!(given, [error, status]);
        assert_eq!(attempt.get("claude_grpc.retry.reason"), reason);
        assert_eq!(attempt.get("http.request.resend_count"), resent);
        assert_eq!(attempt.get("gen_ai.operation.name"), "chat");
        assert_eq!(attempt.get("gen_ai.provider.name"), "anthropic");
        assert_eq!(attempt.get("gen_ai.request.stream"), "true");
        assert_eq!(attempt.get("gen_ai.request.max_tokens"), "256");
        assert_eq!(attempt.get("server.address"), "127.0.0.1");
        assert_eq!(attempt.get("claude_grpc.key"), "key-1");
        assert!(
            attempt
                .get("claude_grpc.upstream.request_id")
                .starts_with("req_")
        );
        assert!(server.began <= attempt.began && attempt.ended <= server.ended);
    }
    for pair in attempts.windows(2) {
        // The backoff that is told is the one that was kept.
        let told: f64 = pair[1].get("claude_grpc.retry.backoff").parse().unwrap();
        let kept = (pair[1].began - pair[0].ended) as f64 / 1e9;
        assert!((told - kept).abs() < 0.02, "{told} {kept}");
    }
    let last = attempts[2];
    assert_eq!(last.get("gen_ai.response.model"), "claude-sonnet-5-5");
    assert_eq!(last.get("gen_ai.response.finish_reasons"), "end_turn");
    assert!(last.get("gen_ai.response.id").starts_with("msg_"));
    let first_chunk: f64 = last
        .get("gen_ai.response.time_to_first_chunk")
        .parse()
        .unwrap();
    assert!((0.01..2.0).contains(&first_chunk), "{first_chunk}");
    for figure in ["input_tokens", "output_tokens"] {
        let tokens: u64 = last.get(&format!("gen_ai.usage.{figure}")).parse().unwrap();
        assert!(tokens > 0);
    }
    assert_eq!(last.get("gen_ai.usage.cache_read.input_tokens"), "0");

    // The trace went on to the API, under the attempt that asked.
    for (request, attempt) in requests.iter().zip(&attempts) {
        let expected = format!("00-{PARENT_TRACE}-{}-01", attempt.id);
        assert_eq!(request.headers["traceparent"], expected);
        assert_eq!(request.headers["tracestate"], "vendor=1");
        assert!(
            request.headers.get("baggage").is_none(),
            "it is not the API's"
        );
    }

    let resource = collector.resource();
    assert_eq!(resource["service.name"], "under-test");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert_eq!(resource["telemetry.sdk.language"], "rust");
    assert_eq!(resource["service.instance.id"].len(), 36, "a UUID");

    let records = collector.records();
    let call = records.iter().find(|it| it["body"] == "call").unwrap();
    assert_eq!(call["trace"], PARENT_TRACE);
    assert_eq!(call["flags"], "1", "it is sampled");
    assert_eq!(call["status"], "OK");
    assert_eq!(call["attempts"], "3");
    let metrics = collector.metrics();
    for name in [
        "rpc.server.call.duration",
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "claude_grpc.upstream.breaker",
    ] {
        assert!(metrics.contains_key(name), "{name}: {:?}", metrics.keys());
    }
    let durations = &metrics["rpc.server.call.duration"]["histogram"]["dataPoints"][0];
    assert_eq!(durations["count"], "1");
    assert_eq!(durations["explicitBounds"].as_array().unwrap().len(), 17);

    let told = format!("{spans:?}{records:?}{metrics:?}{}", service.log());
    assert!(!told.contains(CANARY), "the prompt is told");
    assert!(!told.contains("canary-key"), "the key is told");
}

/// The tree as text, for people.
fn print_tree(server: &Span, attempts: &[&Span]) {
    let line = |span: &Span, indent: &str, shown: &[&str]| {
        let from = (span.began - server.began) as f64 / 1e6;
        let to = (span.ended - server.began) as f64 / 1e6;
        println!("{indent}{}  {from:.1}–{to:.1} ms", span.name);
        for name in shown {
            let value = span.get(name);
            if !value.is_empty() {
                println!("{indent}    {name} = {value}");
            }
        }
    };
    let of_server = [
        "rpc.response.status_code",
        "claude_grpc.attempts",
        "claude_grpc.cost",
    ];
    line(server, "", &of_server);
    let of_attempts = [
        "claude_grpc.retry.reason",
        "claude_grpc.retry.backoff",
        "http.response.status_code",
        "error.type",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.response.finish_reasons",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    ];
    for attempt in attempts {
        line(attempt, "├─ ", &of_attempts);
    }
}

#[tokio::test]
async fn a_retried_stream_is_a_tree_over_grpc() {
    one_retried_stream(Collector::start().await, Protocol::Grpc).await;
}

#[tokio::test]
async fn a_retried_stream_is_a_tree_over_http() {
    one_retried_stream(Collector::start().await, Protocol::Http).await;
}

#[tokio::test]
#[ignore = "needs the OpenTelemetry Collector, named in OTELCOL"]
async fn the_real_collector_receives_it_over_all() {
    let binary = std::env::var("OTELCOL").expect("OTELCOL names the collector");
    for protocol in [Protocol::Grpc, Protocol::Http, Protocol::Json] {
        one_retried_stream(Collector::start_real(&binary).await, protocol).await;
    }
}

#[tokio::test]
async fn callers_decide_whether_their_calls_are_traced() {
    let collector = Collector::start().await;
    let mut service = exporting(&collector, Protocol::Http, "").await;
    let mut grpc = service.grpc.clone();
    grpc.generate(of_caller(ask("hello"), "00")).await.unwrap();
    let requests = service.simulator.requests();
    let parent = requests[0].headers["traceparent"].to_str().unwrap();
    assert!(parent.starts_with(&format!("00-{PARENT_TRACE}-")));
    assert!(parent.ends_with("-00"));
    service.stop().await;
    assert!(collector.spans().is_empty());
    assert_eq!(service.calls()[0]["trace_id"], PARENT_TRACE);
}

#[tokio::test]
async fn a_shared_answer_is_linked() {
    let collector = Collector::start().await;
    let mut service = exporting(&collector, Protocol::Http, "").await;
    let call = |within: u64| {
        let mut request = Request::new(ask("the same"));
        // Only who stops waiting before the other does may join it.
        request.set_timeout(Duration::from_secs(within));
        let metadata = request.metadata_mut();
        metadata.insert("claude-coalesce", "true".parse().unwrap());
        let mut grpc = service.grpc.clone();
        async move { grpc.generate(request).await.unwrap() }
    };
    service.simulator.next([Behaviour::SlowBody {
        delay: Duration::from_millis(50),
    }]);
    let second = async {
        service.simulator.until(|counts| counts.requests == 1).await;
        call(10).await
    };
    tokio::join!(call(20), second);
    assert_eq!(service.simulator.counts().requests, 1);
    service.stop().await;
    let spans = collector.spans();
    let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
    let joined: Vec<&Span> = spans.iter().filter(|it| !it.links.is_empty()).collect();
    let [joined] = joined[..] else {
        panic!("{spans:#?}");
    };
    assert_eq!(
        joined.links[0],
        (attempt.trace.clone(), attempt.parent.clone())
    );
    assert_eq!(joined.get("claude_grpc.coalesced"), "true");
    // Waiting for another's answer is no time of ours.
    let own: f64 = joined.get("claude_grpc.overhead.duration").parse().unwrap();
    let whole = (joined.ended - joined.began) as f64 / 1e9;
    assert!(own < whole / 2.0, "{own} of {whole}");
}

#[tokio::test]
async fn texts_are_shown_only_when_asked_for() {
    let collector = Collector::start().await;
    let toml = "[telemetry]\ncapture_content = true\n";
    let mut service = exporting(&collector, Protocol::Grpc, toml).await;
    service
        .simulator
        .next([Behaviour::Text("an answer".to_owned())]);
    let mut grpc = service.grpc.clone();
    let opened = grpc.generate_stream(streamed("a question")).await;
    read_all(opened.unwrap().into_inner()).await;
    service.stop().await;
    let spans = collector.spans();
    let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
    assert!(attempt.get("gen_ai.input.messages").contains("a question"));
    assert!(attempt.get("gen_ai.output.messages").contains("an answer"));
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_seen() {
    let collector = Collector::start().await;
    let mut service = exporting(&collector, Protocol::Http, "").await;
    service.simulator.next([Behaviour::Hang]);
    let mut grpc = service.grpc.clone();
    let call = grpc.generate(ask("hello"));
    let _ = tokio::time::timeout(Duration::from_millis(300), call).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    service.stop().await;
    let spans = collector.spans();
    let server = spans.iter().find(|span| span.kind == 2).unwrap();
    assert_eq!(server.get("rpc.response.status_code"), "CANCELLED");
    let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
    assert_eq!(attempt.get("error.type"), "cancelled");
    assert_eq!(service.calls()[0]["status"], "CANCELLED");
}

#[tokio::test]
async fn what_the_service_does_besides_is_traced_as_well() {
    let collector = Collector::start().await;
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    claude_grpc::secrets::write_private(&keys, b"sk-one-of-two\nsk-two-of-two\n").unwrap();
    let toml = format!("[upstream]\napi_key_file = '{}'\n", keys.display());
    let endpoint = collector.endpoint(Protocol::Grpc);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        // The file goes after the variables.
        ("ANTHROPIC_API_KEY", ""),
    ];
    let mut service = Running::start(&variables, &toml).await;
    service.simulator.next([Behaviour::Error(401)]);
    service.grpc.clone().generate(ask("hello")).await.unwrap();
    service.signal("HUP");
    service.until_logged("\"message\":\"reloaded\"").await;
    service.stop().await;
    let spans = collector.all_spans();
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(find("start").events, ["serving"]);
    assert_eq!(find("reload").events, ["reloaded"]);
    assert!(find("key quarantined").failed);
    assert_eq!(find("drain").events, ["draining", "drained"]);
}

#[tokio::test]
async fn a_command_is_the_root_of_its_calls() {
    let collector = Collector::start().await;
    let mut service = exporting(&collector, Protocol::Grpc, "").await;
    let parent = format!("00-{PARENT_TRACE}-{PARENT_SPAN}-01");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
        .args(["generate", "--addr", &service.address, "hello"])
        .env_clear()
        .stdin(Stdio::null())
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            collector.endpoint(Protocol::Http),
        )
        .env("TRACEPARENT", parent)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    service.stop().await;
    let spans = collector.all_spans();
    let find = |name: &str, kind: i64| {
        let mut all = spans.iter();
        let found = all.find(|span| span.name == name && span.kind == kind);
        found.unwrap_or_else(|| panic!("{name}: {spans:#?}"))
    };
    let method = "claude.v1.ClaudeService/GenerateStream";
    let command = find("claude-grpc generate", 1);
    let call = find(method, 3);
    let served = find(method, 2);
    assert_eq!(command.parent, PARENT_SPAN);
    assert_eq!(call.parent, command.id);
    assert_eq!(served.parent, call.id);
    assert_eq!(served.trace, PARENT_TRACE);
}
