//! A real Prometheus: it scrapes the service, and every panel has data.

use crate::{
    names::dashboard,
    service::{Running, ask, read_all, streamed},
};
use claude_grpc::simulator::Behaviour;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// How long the service is under load.
const LOAD: Duration = Duration::from_secs(20);

struct Prometheus {
    process: Child,
    address: String,
}

impl Prometheus {
    async fn start(directory: &Path, target: &str) -> Prometheus {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let rules = fs::canonicalize("deploy/prometheus/rules.yaml").unwrap();
        let config = directory.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 2s}}\n\
             rule_files: ['{}']\nscrape_configs:\n  - job_name: claude-grpc\n    \
             static_configs: [{{targets: ['{target}']}}]\n",
            rules.display()
        );
        fs::write(&config, text).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("prometheus.log")).unwrap())
            .spawn()
            .expect("prometheus is installed");
        Prometheus { process, address }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let base = format!("http://{}/api/v1/{path}", self.address);
        let url = reqwest::Url::parse_with_params(&base, query).unwrap();
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{query:?}: {text}");
        answer["data"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "needs prometheus"]
async fn every_panel_has_data_after_a_load_run() {
    let toml = "[server]\nmax_message_bytes = 10000\n";
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    let service = Running::start(&endpoint, toml).await;
    let target = service.admin.strip_prefix("http://").unwrap();
    let prometheus = Prometheus::start(service.directory.path(), target).await;
    let mut grpc = service.grpc.clone();
    let began = Instant::now();
    let mut round = 0;
    while began.elapsed() < LOAD {
        round += 1;
        match round % 10 {
            3 => service.simulator.next([Behaviour::Overloaded]),
            6 => service.simulator.next([Behaviour::Error(400)]),
            _ => {}
        }
        let length = if round % 9 == 0 { 3_000 } else { 1 };
        let _ = grpc.generate(ask(&"word ".repeat(length))).await;
        if let Ok(events) = grpc.generate_stream(streamed("hello")).await {
            read_all(events.into_inner()).await;
        }
    }
    for expression in dashboard() {
        let query = expression
            .replace("$__rate_interval", "15s")
            .replace("$job", ".*")
            .replace("$instance", ".*");
        let data = prometheus.get("query", &[("query", &query)]).await;
        let points = data["result"].as_array().unwrap();
        assert!(!points.is_empty(), "no data: {query}");
        let is_number = |point: &Value| point["value"][1] != "NaN";
        assert!(points.iter().any(is_number), "no number: {query}");
    }
    let ratio = "job:claude_grpc_call_errors:ratio_rate5m";
    let mut recorded = 0;
    for _ in 0..60 {
        let data = prometheus.get("query", &[("query", ratio)]).await;
        recorded = data["result"].as_array().unwrap().len();
        if recorded > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(recorded, 1);
    let rules = prometheus.get("rules", &[]).await;
    let groups = rules["groups"].as_array().unwrap();
    for rule in groups.iter().flat_map(|it| it["rules"].as_array().unwrap()) {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let start = began.elapsed().as_secs() + 5;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let exemplars = prometheus
        .get(
            "query_exemplars",
            &[
                ("query", "rpc_server_call_duration_seconds_bucket"),
                ("start", &(now - start).to_string()),
                ("end", &now.to_string()),
            ],
        )
        .await;
    let first = &exemplars[0]["exemplars"][0]["labels"];
    assert_eq!(first["trace_id"].as_str().unwrap().len(), 32, "{exemplars}");
}
