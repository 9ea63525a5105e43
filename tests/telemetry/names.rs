//! Rules and dashboards name only what the running service really emits.

use crate::service::{Running, ask, read_all, streamed};
use axum::{Json, Router, routing::post};
use claude_grpc::simulator::Behaviour;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};
use tokio::net::TcpListener;

type Names = BTreeMap<String, BTreeSet<String>>;

/// What an expression names: metrics with the labels that they are selected
/// by, and the labels that it groups by.
#[derive(Debug, Default, PartialEq)]
struct Named {
    selected: Vec<(String, Vec<String>)>,
    grouped: Vec<String>,
}

const KEYWORDS: [&str; 14] = [
    "by",
    "without",
    "on",
    "ignoring",
    "and",
    "or",
    "unless",
    "offset",
    "bool",
    "group_left",
    "group_right",
    "inf",
    "nan",
    "le",
];

/// Reads PromQL as far as names are concerned.
fn named(expression: &str) -> Named {
    let mut named = Named::default();
    // Texts may look like anything: only what is outside of them counts.
    let outside: String = expression.split('"').step_by(2).collect();
    let mut rest = outside.as_str();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    while let Some(c) = rest.chars().next() {
        if c == '[' {
            rest = &rest[rest.find(']').unwrap() + 1..];
            continue;
        }
        if !is_name(c) {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_start();
        rest = after;
        if ["by", "on", "without", "ignoring"].contains(&name) {
            let (list, more) = after[1..].split_once(')').unwrap();
            let labels = list.split(',').map(|label| label.trim().to_owned());
            named.grouped.extend(labels.filter(|label| label != "le"));
            rest = more;
        } else if let Some(selector) = after.strip_prefix('{') {
            let (list, more) = selector.split_once('}').unwrap();
            let found = list
                .split(',')
                .map(|matcher| matcher.split(['=', '!']).next().unwrap().trim().to_owned())
                .collect();
            named.selected.push((name.to_owned(), found));
            rest = more;
        } else if !["(", "by ", "without "]
            .iter()
            .any(|it| after.starts_with(it))
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !KEYWORDS.contains(&name)
        {
            named.selected.push((name.to_owned(), Vec::new()));
        }
    }
    named
}

/// The metrics that the service emits, with the labels of their samples.
fn emitted(metrics: &str) -> Names {
    let mut names = Names::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let labels = names.entry(line[..end].to_owned()).or_default();
        // Prometheus itself adds these.
        labels.extend(["job", "instance"].map(str::to_owned));
        let Some((list, _)) = line[end..]
            .strip_prefix('{')
            .and_then(|it| it.split_once("} "))
        else {
            continue;
        };
        for pair in list.split("\",") {
            labels.insert(pair.split_once('=').unwrap().0.to_owned());
        }
    }
    names
}

fn rules() -> (Vec<String>, Names) {
    let text = fs::read_to_string("deploy/prometheus/rules.yaml").unwrap();
    let values = |key: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key))
            .map(|value| value.trim().to_owned())
            .collect()
    };
    let expressions = values("expr:");
    assert!(expressions.len() > 30, "{}", expressions.len());
    let labels = BTreeSet::from(["job".to_owned()]);
    let recorded = values("record:")
        .into_iter()
        .map(|name| (name, labels.clone()));
    (expressions, recorded.collect())
}

pub fn dashboard() -> Vec<String> {
    let text = fs::read_to_string("deploy/grafana/dashboard.json").unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let expressions: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(expressions.len() > 30, "{}", expressions.len());
    expressions
}

/// An API that gives everyone an access token.
async fn token_endpoint() -> String {
    let token = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 3600});
    let api = Router::new().route("/v1/oauth/token", post(|| async { Json(token) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, api).await });
    format!("http://{address}")
}

#[tokio::test]
async fn rules_and_panels_name_what_is_emitted() {
    // A model without a price, and one that retires; and a host with credentials that
    // expire.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("identity"), "a-token").unwrap();
    let (api, identity) = (token_endpoint().await, folder.path().display());
    let toml = format!(
        "[server]
        max_message_bytes = 10000
        [service.generate]
        model = 'claude-mythos-preview'
        [[upstream.hosts]]
        name = 'claude'
        kind = 'claude'
        [[upstream.hosts]]
        name = 'federated'
        kind = 'claude'
        base_url = '{api}'
        credentials = 'federation'
        federation_rule_id = 'fdrl_1'
        organization_id = '00000000-0000-4000-8000-000000000001'
        identity_token_file = '{identity}/identity'
        [[upstream.routes]]
        targets = [{{ host = 'claude' }}]\n"
    );
    let service = Running::start(&[], &toml).await;
    let mut grpc = service.grpc.clone();
    service.simulator.next([Behaviour::Overloaded]);
    let events = grpc.generate_stream(streamed("hello")).await.unwrap();
    read_all(events.into_inner()).await;
    service.simulator.next([Behaviour::Error(400)]);
    grpc.generate(ask("hello")).await.unwrap_err();
    grpc.generate(ask(&"long ".repeat(3000))).await.unwrap_err();
    let metrics = service.metrics().await;
    let emitted = emitted(&metrics);

    let (rules, recorded) = rules();
    for expression in rules.iter().chain(&dashboard()) {
        let named = named(expression);
        assert!(!named.selected.is_empty(), "{expression}");
        let mut known = BTreeSet::new();
        for (metric, labels) in &named.selected {
            let has = emitted.get(metric).or_else(|| recorded.get(metric));
            let has = has.unwrap_or_else(|| panic!("{metric} in {expression}\n{metrics}"));
            for label in labels {
                assert!(has.contains(label), "{label} of {metric} in {expression}");
            }
            known.extend(has.iter().cloned());
        }
        for label in &named.grouped {
            assert!(known.contains(label), "{label} in {expression}");
        }
    }
}

#[test]
fn names_are_found_in_expressions() {
    let named = named(
        "sum by (job, le) (rate(a_b{c=\"x{\",d!~\"y|z\"}[5m])) / on (job) e_f > 14.4 * 0.005 and g == 1",
    );
    let selected: Vec<(&str, &[String])> = named
        .selected
        .iter()
        .map(|(metric, labels)| (metric.as_str(), labels.as_slice()))
        .collect();
    let labels = ["c".to_owned(), "d".to_owned()];
    assert_eq!(selected, [("a_b", &labels[..]), ("e_f", &[]), ("g", &[])]);
    assert_eq!(named.grouped, ["job", "job"]);
}
