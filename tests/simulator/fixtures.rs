//! What exists in the simulator from the start.

use crate::{Running, json_of, start};
use claude_grpc::simulator::{Simulator, SimulatorConfig};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, io};

const FIXTURES: &str = r#"
[[models]]
id = "model_id"
like = "claude-haiku-5-5"

[[batches]]
id = "message_batch_id"

[[batches.requests]]
custom_id = "right"
params = { model = "claude-haiku-5-5", max_tokens = 10, messages = [{ role = "user", content = "x" }] }

[[batches.requests]]
custom_id = "wrong"
params = {}

[[files]]
id = "file_id"
filename = "result.csv"
mime_type = "text/csv"
content = "a,b"
downloadable = true
"#;

fn config(directory: &tempfile::TempDir, fixtures: &str) -> SimulatorConfig {
    let file = directory.path().join("fixtures.toml");
    fs::write(&file, fixtures).unwrap();
    SimulatorConfig {
        fixtures_file: Some(file),
        ..SimulatorConfig::default()
    }
}

async fn listed(simulator: &Running, path: &str) -> Value {
    let list = json_of(simulator.call(Method::GET, path, "any key").await).await;
    list["data"].as_array().unwrap().last().unwrap()["id"].clone()
}

#[tokio::test]
async fn fixtures_belong_to_all_keys_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start(config(&directory, FIXTURES)).await;
    for path in ["/v1/messages/batches/message_batch_id", "/v1/files/file_id"] {
        for key in ["one", "another"] {
            let before = json_of(simulator.call(Method::GET, path, key).await).await;
            let deleted = simulator.call(Method::DELETE, path, key).await;
            assert_eq!(deleted.status(), 200, "{path}");
            let after = json_of(simulator.call(Method::GET, path, key).await).await;
            assert_eq!(before, after);
        }
        let (list, id) = path.rsplit_once('/').unwrap();
        assert_eq!(listed(&simulator, list).await, json!(id));
    }
    assert_eq!(
        listed(&simulator, "/v1/models?limit=1000").await,
        json!("model_id")
    );
    let model = simulator
        .call(Method::GET, "/v1/models/model_id", "key")
        .await;
    assert_eq!(json_of(model).await["max_tokens"], 128_000);
}

#[tokio::test]
async fn a_fixture_has_what_the_api_has() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start(config(&directory, FIXTURES)).await;
    let batch = "/v1/messages/batches/message_batch_id";
    let canceled = simulator
        .call(Method::POST, &format!("{batch}/cancel"), "key")
        .await;
    let canceled = json_of(canceled).await;
    assert_eq!(canceled["processing_status"], "ended");
    let counts = &canceled["request_counts"];
    assert_eq!(
        (&counts["succeeded"], &counts["errored"]),
        (&json!(1), &json!(1))
    );
    let results = simulator
        .call(Method::GET, &format!("{batch}/results"), "key")
        .await;
    assert_eq!(results.text().await.unwrap().lines().count(), 2);

    let content = simulator
        .call(Method::GET, "/v1/files/file_id/content", "key")
        .await;
    assert_eq!(content.headers()["content-type"], "text/csv");
    assert_eq!(content.text().await.unwrap(), "a,b");
}

#[tokio::test]
async fn a_wrong_file_stops_the_start_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let fails = async |config: SimulatorConfig, named: &str| {
        let error = Simulator::bind(config).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        for named in ["fixtures_file", "fixtures.toml", named] {
            assert!(error.to_string().contains(named), "{named}: {error}");
        }
    };
    for (fixtures, named) in [
        ("[[colours]]\nid = 'red'\n", "colours"),
        (
            "[[models]]\nid = 'a'\nlike = 'claude-nothing'\n",
            "claude-nothing",
        ),
        (
            "[[batches]]\nid = 'empty_one'\nrequests = []\n",
            "empty_one",
        ),
    ] {
        fails(config(&directory, fixtures), named).await;
    }
    let missing = config(&directory, "");
    fs::remove_file(missing.fixtures_file.as_ref().unwrap()).unwrap();
    fails(missing, "No such file").await;
}
