//! What calls used that did not succeed: in their log lines and metrics.

use crate::service::{Running, ask};
use claude_grpc::{proto::v1, simulator::Behaviour};
use serde_json::Value;

/// A call whose answer is gathered from events.
fn gathered() -> v1::GenerateRequest {
    v1::GenerateRequest {
        max_tokens: Some(64_000),
        ..ask("hello")
    }
}

/// The log line of a call that got these answers.
async fn logged(service: &Running, answers: Vec<Behaviour>) -> Value {
    let before = service.calls().len();
    service.simulator.next(answers);
    let _ = service.grpc.clone().generate(gathered()).await;
    for _ in 0..200 {
        if let Some(line) = service.calls().get(before) {
            return line.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no log line of the call: {}", service.log());
}

/// The sum of the samples of a metric.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    let samples = lines.filter(|line| line.contains(label));
    let values = samples.map(|line| line.split(" # ").next().unwrap());
    values
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

#[tokio::test]
async fn what_failed_attempts_used_is_in_the_log_line_and_the_metrics() {
    use Behaviour::{Cut, ErrorEvent, Overloaded};
    let service = Running::start(&[], "").await;
    let field = |line: &Value, name: &str| line[name].as_f64().unwrap_or(0.0);
    let whole = logged(&service, vec![]).await;
    let input = field(&whole, "input_tokens");
    assert!(input > 0.0, "{whole}");
    let error = || ErrorEvent { after_events: 4 };
    let cut = || Cut { after_events: 4 };
    let rows = [
        // Nothing was used.
        (vec![Overloaded; 4], 0.0, "UPSTREAM_OVERLOADED"),
        // After content came, the call is repeated once.
        (vec![error(), error()], 2.0, "UPSTREAM_OVERLOADED"),
        (vec![cut(), cut()], 2.0, "UPSTREAM_CONNECTION_BROKEN"),
        (vec![cut(), Overloaded], 2.0, ""),
    ];
    let mut calls = 1.0;
    for (answers, attempts_that_used, reason) in rows {
        let line = logged(&service, answers).await;
        assert_eq!(line["reason"].as_str().unwrap_or(""), reason, "{line}");
        let used = field(&line, "input_tokens");
        assert_eq!(used, attempts_that_used * input, "{line}");
        let has_used = attempts_that_used > 0.0;
        assert_eq!(field(&line, "output_tokens") > 0.0, has_used, "{line}");
        assert_eq!(field(&line, "cost_usd") > 0.0, has_used, "{line}");
        calls += attempts_that_used;
    }
    let metrics = service.metrics().await;
    let counted = sum(&metrics, "claude_grpc_tokens_total", "type=\"input\"");
    assert_eq!(counted, calls * input);
}

#[tokio::test]
async fn a_model_without_a_price_adds_tokens_and_no_cost() {
    let service = Running::start(&[], "").await;
    let of_model = |model: &str| v1::GenerateRequest {
        model: model.to_owned(),
        ..ask("hello")
    };
    let mut grpc = service.grpc.clone();
    for model in ["claude-mythos-preview", "claude-opus-5"] {
        grpc.generate(of_model(model)).await.unwrap();
    }
    let metrics = service.metrics().await;
    let of = |name: &str, model: &str| sum(&metrics, name, &format!("model=\"{model}\""));
    let (cost, tokens) = ("claude_grpc_cost_usd_total", "claude_grpc_tokens_total");
    let unpriced = "claude_grpc_tokens_unpriced_total";
    assert_eq!(of(cost, "claude-mythos-preview"), 0.0);
    let used = of(tokens, "claude-mythos-preview");
    assert!(used > 0.0);
    assert_eq!(of(unpriced, "claude-mythos-preview"), used);
    assert!(of(cost, "claude-opus-5") > 0.0);
    assert_eq!(of(unpriced, "claude-opus-5"), 0.0);
}

#[tokio::test]
async fn a_model_that_retires_is_in_the_log_and_the_metrics() {
    let configured = "[service.generate]\nmodel = 'claude-sonnet-4-5'\n";
    let service = Running::start(&[], configured).await;
    let retirement = "claude_grpc_model_retirement_time_seconds";
    let times = async |model: &str| {
        let label = format!("model=\"{model}\"");
        sum(&service.metrics().await, retirement, &label)
    };
    let warnings = |model: &str| {
        let log = service.log();
        let lines = log.lines().filter(|line| line.contains("\"WARN\""));
        let of_model = lines.filter(|line| line.contains(&format!("\"model\":\"{model}\"")));
        of_model.map(str::to_owned).collect::<Vec<String>>()
    };
    // What is configured is named from the start.
    assert_eq!(times("claude-sonnet-4-5").await, 1_795_996_800.0);
    let warned = warnings("claude-sonnet-4-5");
    assert_eq!(warned.len(), 1, "{warned:?}");
    let names = |part: &str| warned[0].contains(part);
    assert!(names("\"retires\":\"2026-11-30\"") && names("claude-sonnet-5-5"));

    let mut grpc = service.grpc.clone();
    assert_eq!(times("claude-opus-4-5").await, 0.0);
    for _ in 0..3 {
        let request = v1::GenerateRequest {
            model: "claude-opus-4-5-20251101".to_owned(),
            ..ask("hello")
        };
        grpc.generate(request).await.unwrap();
    }
    assert_eq!(times("claude-opus-4-5").await, 1_800_576_000.0);
    service.until_logged("claude-opus-4-5").await;
    assert_eq!(warnings("claude-opus-4-5").len(), 1);
}
