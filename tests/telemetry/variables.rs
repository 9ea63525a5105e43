//! The `OTEL_*` variables, seen by what a collector gets.

use crate::{
    collector::{Collector, Protocol},
    service::{Running, ask},
};
use claude_grpc::secrets::write_private;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};

/// A collector that takes connections and never answers.
async fn hanging() -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (format!("http://{address}"), task)
}

/// How many items of a signal had this fate.
fn exported(metrics: &str, signal: &str, fate: &str) -> f64 {
    let start = format!(
        "claude_grpc_export_items_total{{claude_grpc_signal=\"{signal}\",claude_grpc_outcome=\"{fate}\"}} "
    );
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap().parse().unwrap()
}

async fn until_exported(service: &Running, signal: &str, fate: &str) {
    for _ in 0..400 {
        if exported(&service.metrics().await, signal, fate) > 0.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no item of {signal} was {fate}");
}

#[tokio::test]
async fn a_collector_that_is_gone_costs_no_call_and_is_counted() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5"),
    ];
    let service = Running::start(&variables, "").await;
    let mut grpc = service.grpc.clone();
    for _ in 0..200 {
        grpc.generate(ask("hello")).await.unwrap();
    }
    let metrics = service.metrics().await;
    let count = |outcome: &str| {
        let start = format!(
            "claude_grpc_export_items_total{{claude_grpc_signal=\"traces\",claude_grpc_outcome=\"{outcome}\"}} "
        );
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(count("sent"), 0.0);
    assert!(count("dropped") + count("failed") > 100.0, "{metrics}");
}

#[tokio::test]
async fn an_export_is_given_up_after_its_time() {
    let (endpoint, _hanging) = hanging().await;
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "100"),
        // This one alone would let it hang for longer than the test waits.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
    ];
    let service = Running::start(&variables, "").await;
    service.grpc.clone().generate(ask("hello")).await.unwrap();
    until_exported(&service, "traces", "failed").await;
}

#[tokio::test]
async fn a_collector_of_traces_that_hangs_does_not_keep_the_last_logs_and_figures() {
    let (hangs, _hanging) = hanging().await;
    let collector = Collector::start().await;
    let endpoint = collector.endpoint(Protocol::Http);
    let traces = format!("{hangs}/v1/traces");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str()),
        // So that nothing goes before the end.
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "600000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "600000"),
    ];
    let mut service = Running::start(&variables, "").await;
    service.grpc.clone().generate(ask("hello")).await.unwrap();
    assert!(collector.records().is_empty() && collector.metrics().is_empty());
    service.stop().await;
    assert!(collector.records().iter().any(|it| it["body"] == "call"));
    assert!(collector.metrics().contains_key("rpc.server.call.duration"));
}

#[tokio::test]
async fn calls_that_are_not_traced_are_exemplars_when_asked_for() {
    let exemplars = |filter: &'static str| async move {
        let service = Running::start(&[("OTEL_METRICS_EXEMPLAR_FILTER", filter)], "").await;
        service.grpc.clone().generate(ask("hello")).await.unwrap();
        service.metrics().await.contains("# {trace_id=")
    };
    assert!(!exemplars("trace_based").await, "nothing is traced");
    assert!(exemplars("always_on").await);
}

#[tokio::test]
async fn what_is_not_known_is_told() {
    let variables = [
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_TRACES_SAMPLER", "some"),
    ];
    let service = Running::start(&variables, "").await;
    for variable in ["OTEL_PROPAGATORS", "OTEL_TRACES_SAMPLER"] {
        service.until_logged(variable).await;
    }
}

#[tokio::test]
async fn limits_cut_what_is_exported() {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint(Protocol::Grpc);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "6"),
    ];
    let mut service = Running::start(&variables, "").await;
    service.grpc.clone().generate(ask("hello")).await.unwrap();
    service.stop().await;
    let spans = collector.spans();
    let server = spans.iter().find(|span| span.kind == 2).unwrap();
    assert_eq!(server.attributes.len(), 3, "{server:?}");
    assert_eq!(server.get("rpc.method"), "claude.v1");
    let records = collector.records();
    let call = records.iter().find(|it| it["body"] == "call").unwrap();
    assert_eq!(call["rpc"], "claude.v1");
    assert!(!call.contains_key("status"), "it comes later: {call:?}");
    assert_eq!(call["trace"], server.trace, "it is no attribute");
}

#[tokio::test]
async fn a_command_can_show_its_spans_on_the_console() {
    let service = Running::start(&[], "").await;
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_claude-grpc"))
        .args(["generate", "--addr", &service.address, "hello"])
        .env_clear()
        .stdin(Stdio::null())
        .env("OTEL_TRACES_EXPORTER", "console")
        .output();
    let output = output.await.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("[simulated]"), "{shown}");
    assert!(shown.contains("claude-grpc generate"), "{shown}");
}

/// Certificates of a collector and of the service, by one authority.
fn certificates(directory: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
    write("ca.pem", authority.pem());
    for name in ["collector", "service"] {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        write(
            &format!("{name}.pem"),
            params.signed_by(&key, &authority).unwrap().pem(),
        );
        let file = directory.join(format!("{name}.key"));
        write_private(&file, key.serialize_pem().as_bytes()).unwrap();
    }
}

#[tokio::test]
#[ignore = "needs the OpenTelemetry Collector, named in OTELCOL"]
async fn the_real_collector_is_reached_over_tls_by_the_certificates_of_the_variables() {
    let binary = std::env::var("OTELCOL").expect("OTELCOL names the collector");
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let file = |name: &str| directory.path().join(name).display().to_string();
    let tls = format!(
        "        tls: {{cert_file: {}, key_file: {}, client_ca_file: {}}}\n",
        file("collector.pem"),
        file("collector.key"),
        file("ca.pem")
    );
    let (ca, cert, key) = (file("ca.pem"), file("service.pem"), file("service.key"));
    for protocol in [Protocol::Grpc, Protocol::Http, Protocol::Json] {
        let collector = Collector::start_real_with(&binary, &tls).await;
        let port = collector.endpoint(protocol);
        let port = port.rsplit(':').next().unwrap();
        let endpoint = format!("https://localhost:{port}");
        let shared = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.name()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.as_str()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ];
        // Without a certificate of ours the collector lets nothing in.
        let service = Running::start(&shared, "").await;
        service.grpc.clone().generate(ask("hello")).await.unwrap();
        until_exported(&service, "traces", "failed").await;
        drop(service);
        assert!(collector.spans().is_empty());

        let more = [
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", cert.as_str()),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key.as_str()),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,place=caf%C3%A9"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "base2_exponential_bucket_histogram",
            ),
        ];
        let mut service = Running::start(&[&shared[..], &more[..]].concat(), "").await;
        service.grpc.clone().generate(ask("hello")).await.unwrap();
        service.stop().await;
        for _ in 0..100 {
            let logged = collector.records().iter().any(|it| it["body"] == "call");
            if logged && collector.spans().len() == 2 && !collector.metrics().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(collector.spans().len(), 2, "{}", collector.log());
        let resource = collector.resource();
        assert_eq!(
            (resource["team"].as_str(), resource["place"].as_str()),
            ("a,b", "café")
        );
        let metrics = collector.metrics();
        let durations = &metrics["rpc.server.call.duration"]["exponentialHistogram"];
        assert_eq!(durations["aggregationTemporality"], 1, "delta");
        assert_eq!(durations["dataPoints"][0]["count"], "1");
        assert!(collector.records().iter().any(|it| it["body"] == "call"));
    }
}
