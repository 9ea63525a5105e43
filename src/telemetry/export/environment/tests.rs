use super::*;
use crate::telemetry::context::new_trace_id;
use std::time::Duration;

fn read(variables: &[(&str, &str)]) -> OtelSettings {
    OtelSettings::read(&|name| {
        let found = variables.iter().find(|(one, _)| *one == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn otlp(target: Option<ExportTarget>) -> OtlpTarget {
    match target {
        Some(ExportTarget::Otlp(otlp)) => otlp,
        other => panic!("{other:?}"),
    }
}

const TRACES: (&str, &str) = ("OTEL_TRACES_EXPORTER", "otlp");

#[test]
fn nothing_is_exported_unasked() {
    let settings = read(&[]);
    assert!(settings.traces.is_none() && settings.logs.is_none());
    assert_eq!(settings.span_queue, 2048);
    assert_eq!(settings.span_limits.attributes, 128);
    assert_eq!(settings.exemplars, ExemplarFilter::TraceBased);
    assert!(settings.ignored.is_empty());
}

#[test]
fn a_protocol_is_chosen() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC");
    let protocol = |variables: &[(&str, &str)]| otlp(read(variables).traces).protocol;
    assert_eq!(protocol(&[TRACES]), OtlpProtocol::HttpBinary);
    assert_eq!(
        protocol(&[TRACES, grpc]),
        OtlpProtocol::Grpc,
        "case is free"
    );
    let own = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
    assert_eq!(protocol(&[TRACES, grpc, own]), OtlpProtocol::HttpJson);
}

#[test]
fn signals_are_chosen_one_by_one() {
    let settings = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "prometheus, otlp"),
    ]);
    assert!(settings.logs.is_none());
    assert!(settings.metrics.is_some() && settings.traces.is_some());
    let settings = read(&[("OTEL_METRICS_EXPORTER", "prometheus")]);
    assert!(settings.metrics.is_none() && settings.ignored.is_empty());
    let settings = read(&[("OTEL_LOGS_EXPORTER", "console")]);
    assert_eq!(settings.logs, Some(ExportTarget::Console));
    let disabled = read(&[TRACES, ("OTEL_SDK_DISABLED", "true")]);
    assert!(disabled.traces.is_none());
}

#[test]
fn an_export_takes_no_longer_than_either_limit() {
    let timeout = |variables: &[(&str, &str)]| {
        let mut all = vec![TRACES];
        all.extend(variables);
        otlp(read(&all).traces).timeout
    };
    let general = ("OTEL_EXPORTER_OTLP_TIMEOUT", "9000");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250");
    let batch = ("OTEL_BSP_EXPORT_TIMEOUT", "100");
    assert_eq!(timeout(&[]), Duration::from_secs(10));
    assert_eq!(timeout(&[general]), Duration::from_secs(9));
    assert_eq!(timeout(&[general, own]), Duration::from_millis(250));
    assert_eq!(timeout(&[general, own, batch]), Duration::from_millis(100));
    let none = ("OTEL_EXPORTER_OTLP_TIMEOUT", "0");
    assert_eq!(timeout(&[none]), Duration::from_secs(30), "0 is no limit");
}

#[test]
fn an_endpoint_over_grpc_has_a_scheme() {
    let endpoint = |variables: &[(&str, &str)]| {
        let mut all = vec![TRACES];
        all.extend(variables);
        otlp(read(&all).traces).grpc_endpoint
    };
    let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    assert_eq!(endpoint(&[]), "http://localhost:4317");
    assert_eq!(endpoint(&[bare]), "https://collector:4317");
    assert_eq!(endpoint(&[bare, insecure]), "http://collector:4317");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces:1");
    assert_eq!(endpoint(&[bare, insecure, own]), "https://traces:1");
}

#[test]
fn a_resource_is_percent_encoded() {
    let attributes = |text: &str| {
        let settings = read(&[("OTEL_RESOURCE_ATTRIBUTES", text)]);
        (settings.resource, settings.ignored.len())
    };
    let (given, ignored) = attributes("team=a%2Cb%20c, where=caf%C3%A9 ,x=y=z");
    let pairs = [("team", "a,b c"), ("where", "café"), ("x", "y=z")];
    let expected = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!((given.as_slice(), ignored), (expected.as_slice(), 0));
    for wrong in ["team", "=x", "a=b,c", "a=100%", "a=%ff", "a=%+1"] {
        assert_eq!(attributes(wrong), (Vec::new(), 1), "{wrong}");
    }
    let settings = read(&[
        ("OTEL_SERVICE_NAME", "mine"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=theirs"),
    ]);
    let name = settings.resource.last().unwrap();
    assert_eq!(name.1, "mine", "the name has its own variable");
}

#[test]
fn limits_of_a_signal_go_before_those_of_all() {
    let settings = read(&[
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "20"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "7"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
    ]);
    let spans = settings.span_limits;
    assert_eq!(
        (spans.attributes, spans.value, spans.links),
        (5, Some(20), 3)
    );
    let logs = settings.log_limits;
    assert_eq!((logs.attributes, logs.value), (10, Some(7)));
}

#[test]
fn exemplars_are_filtered() {
    let filter = |value| read(&[("OTEL_METRICS_EXEMPLAR_FILTER", value)]).exemplars;
    assert!(!filter("trace_based").accepts(false) && filter("trace_based").accepts(true));
    assert!(filter("Always_On").accepts(false));
    assert!(!filter("always_off").accepts(true));
}

#[test]
fn what_cannot_be_used_is_told_and_ignored() {
    let settings = read(&[
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "most"),
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "some"),
        ("OTEL_CONFIG_FILE", "/etc/otel.yaml"),
        ("OTEL_LOG_LEVEL", "debug"),
    ]);
    assert_eq!(settings.ignored.len(), 8, "{:?}", settings.ignored);
    assert!(settings.sampler.samples(new_trace_id(), None));
    assert!(settings.accepts_context && !settings.accepts_baggage);
    let none = read(&[("OTEL_PROPAGATORS", "none")]);
    assert!(!none.accepts_context && none.ignored.is_empty());
}
