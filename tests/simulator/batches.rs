//! Message Batches of the simulator.

use crate::{Running, body, error_of, json_of, start};
use claude_grpc::simulator::{SimulatorBatchesConfig, SimulatorConfig};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const BATCHES: &str = "/v1/messages/batches";

/// So long that no request of a batch is processed.
const NEVER: Duration = Duration::from_secs(24 * 3600);

async fn started(batches: SimulatorBatchesConfig) -> Running {
    start(SimulatorConfig {
        batches,
        ..SimulatorConfig::default()
    })
    .await
}

/// A simulator whose batches take this time.
async fn taking(duration: Duration) -> Running {
    started(SimulatorBatchesConfig {
        duration,
        ..SimulatorBatchesConfig::default()
    })
    .await
}

/// Valid requests with these custom ids.
fn requests<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    let request = |id: &str| json!({"custom_id": id, "params": body(json!({}))});
    json!({"requests": ids.into_iter().map(request).collect::<Vec<_>>()})
}

fn id_of(batch: &Value) -> &str {
    batch["id"].as_str().unwrap()
}

impl Running {
    async fn get(&self, path: &str) -> Response {
        self.call(Method::GET, path, "key").await
    }

    async fn create(&self, body: &Value) -> Response {
        self.request(BATCHES, body).send().await.unwrap()
    }

    async fn created(&self, body: &Value) -> Value {
        let response = self.create(body).await;
        assert_eq!(response.status(), 200);
        json_of(response).await
    }

    async fn ended(&self, batch: &Value) -> Value {
        loop {
            let batch = json_of(self.get(&format!("{BATCHES}/{}", id_of(batch))).await).await;
            if batch["processing_status"] == "ended" {
                return batch;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The custom ids in their order, and each result by its custom id.
    async fn results(&self, batch: &Value) -> (Vec<String>, BTreeMap<String, Value>) {
        let url = batch["results_url"].as_str().unwrap();
        let response = self.get(url.strip_prefix(&self.base).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-jsonl");
        let text = response.text().await.unwrap();
        let lines = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let id = line["custom_id"].as_str().unwrap().to_owned();
            (id, line["result"].take())
        });
        let lines: Vec<(String, Value)> = lines.collect();
        let order = lines.iter().map(|(id, _)| id.clone()).collect();
        (order, lines.into_iter().collect())
    }
}

#[tokio::test]
async fn a_batch_is_processed_and_its_results_are_read() {
    let simulator = taking(Duration::from_millis(20)).await;
    let mut body = requests(["a", "b", "c", "d", "e"]);
    body["requests"][1]["params"]["model"] = json!("claude-nothing");
    body["requests"][2]["params"]["stream"] = json!(true);
    body["requests"][3]["params"] = json!([]);
    let batch = simulator.created(&body).await;
    assert_eq!(batch["type"], "message_batch");
    assert_eq!(batch["processing_status"], "in_progress");
    assert_eq!(batch["request_counts"]["processing"], 5);
    for absent in [
        "ended_at",
        "results_url",
        "cancel_initiated_at",
        "archived_at",
    ] {
        assert_eq!(batch[absent], Value::Null, "{absent}");
    }
    let time = |name: &str| humantime::parse_rfc3339(batch[name].as_str().unwrap()).unwrap();
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(time("expires_at"), time("created_at") + day);

    let ended = simulator.ended(&batch).await;
    let counts = json!({
        "processing": 0, "succeeded": 2, "errored": 3, "canceled": 0, "expired": 0,
    });
    assert_eq!(ended["request_counts"], counts);
    assert!(ended["ended_at"].as_str() > ended["created_at"].as_str());
    let (order, results) = simulator.results(&ended).await;
    for (place, id) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        assert_ne!(order[place], *id, "{order:?}");
    }
    for succeeded in ["a", "e"] {
        assert_eq!(results[succeeded]["type"], "succeeded");
        let message = &results[succeeded]["message"];
        let text = message["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("[simulated]"), "{text}");
        assert_eq!(message["usage"]["service_tier"], "batch");
    }
    assert_ne!(results["a"]["message"]["id"], results["e"]["message"]["id"]);
    for (id, kind) in [
        ("b", "not_found_error"),
        ("c", "invalid_request_error"),
        ("d", "invalid_request_error"),
    ] {
        assert_eq!(results[id]["type"], "errored");
        assert_eq!(results[id]["error"]["type"], "error");
        assert_eq!(results[id]["error"]["error"]["type"], kind, "{id}");
    }
    assert_eq!(simulator.results(&ended).await, (order, results));
}

#[tokio::test]
async fn what_is_left_of_a_canceled_batch_is_canceled() {
    let simulator = taking(NEVER).await;
    let ids: Vec<String> = (0..10).map(|index| format!("id-{index}")).collect();
    let batch = simulator
        .created(&requests(ids.iter().map(String::as_str)))
        .await;
    let path = format!("{BATCHES}/{}", id_of(&batch));

    let error = error_of(simulator.get(&format!("{path}/results")).await).await;
    assert_eq!((error.0, error.1.as_str()), (404, "not_found_error"));
    let error = error_of(simulator.call(Method::DELETE, &path, "key").await).await;
    assert_eq!((error.0, error.1.as_str()), (400, "invalid_request_error"));

    let cancel = format!("{path}/cancel");
    let canceling = json_of(simulator.call(Method::POST, &cancel, "key").await).await;
    assert_eq!(canceling["processing_status"], "canceling");
    assert_eq!(canceling["request_counts"]["processing"], 10);
    let ended = simulator.ended(&batch).await;
    assert_eq!(ended["request_counts"]["canceled"], 10);
    assert_eq!(
        ended["cancel_initiated_at"],
        canceling["cancel_initiated_at"]
    );
    let (_, results) = simulator.results(&ended).await;
    assert!(
        results
            .values()
            .all(|result| *result == json!({"type": "canceled"}))
    );

    // It stays as it is when it is canceled again.
    let again = json_of(simulator.call(Method::POST, &cancel, "key").await).await;
    assert_eq!(again, ended);
    let deleted = json_of(simulator.call(Method::DELETE, &path, "key").await).await;
    assert_eq!(
        deleted,
        json!({"id": id_of(&batch), "type": "message_batch_deleted"})
    );
    assert_eq!(simulator.get(&path).await.status(), 404);
    assert_eq!(
        simulator.call(Method::DELETE, &path, "key").await.status(),
        404
    );
}

#[tokio::test]
async fn requests_whose_time_has_not_come_expire_with_their_batch() {
    let simulator = started(SimulatorBatchesConfig {
        duration: Duration::from_millis(20),
        expires_after: Duration::from_millis(15),
        ..SimulatorBatchesConfig::default()
    })
    .await;
    let batch = simulator.created(&requests(["a", "b"])).await;
    let ended = simulator.ended(&batch).await;
    assert_eq!(ended["request_counts"]["succeeded"], 1);
    assert_eq!(ended["request_counts"]["expired"], 1);
    let (_, results) = simulator.results(&ended).await;
    assert_eq!(results["a"]["type"], "succeeded");
    assert_eq!(results["b"], json!({"type": "expired"}));
}

#[tokio::test]
async fn another_key_sees_nothing_of_a_batch() {
    let simulator = taking(Duration::ZERO).await;
    let batch = simulator.created(&requests(["a"])).await;
    simulator.ended(&batch).await;
    let path = format!("{BATCHES}/{}", id_of(&batch));
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/cancel")),
        (Method::GET, format!("{path}/results")),
    ] {
        let error = error_of(simulator.call(method, &path, "other").await).await;
        assert_eq!(
            (error.0, error.1.as_str()),
            (404, "not_found_error"),
            "{path}"
        );
    }
    let listed = json_of(simulator.call(Method::GET, BATCHES, "other").await).await;
    assert_eq!(listed["data"], json!([]));
    assert_eq!(simulator.get(&path).await.status(), 200);
}

#[tokio::test]
async fn batches_are_listed_newest_first() {
    let simulator = taking(NEVER).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, simulator.created(&requests(["a"])).await["id"].clone());
    }
    let page = async |query: &str| {
        let page = json_of(simulator.get(&format!("{BATCHES}?{query}")).await).await;
        let data = page["data"].as_array().unwrap().iter();
        let data: Vec<Value> = data.map(|batch| batch["id"].clone()).collect();
        assert_eq!(page["first_id"], data[0]);
        assert_eq!(page["last_id"], *data.last().unwrap());
        (data, page["has_more"].as_bool().unwrap())
    };
    let at = |index: usize| ids[index].as_str().unwrap();
    assert_eq!(page("beta=true").await, (ids.clone(), false));
    let after = format!("limit=2&after_id={}", at(0));
    assert_eq!(page(&after).await, (ids[1..3].to_vec(), true));
    let before = format!("limit=2&before_id={}", at(4));
    assert_eq!(page(&before).await, (ids[2..4].to_vec(), true));
    for wrong in ["limit=0", "after_id=nobody", "colour=red"] {
        assert_eq!(
            simulator.get(&format!("{BATCHES}?{wrong}")).await.status(),
            400
        );
    }
}

#[tokio::test]
async fn wrong_calls_are_refused() {
    let simulator = taking(NEVER).await;
    for (body, named) in [
        (json!({"requests": []}), "requests"),
        (requests(["a", "b", "a"]), "requests.2.custom_id"),
        (requests(["a b"]), "requests.0.custom_id"),
        (json!({"requests": [], "metadata": {}}), "metadata"),
    ] {
        let (status, kind, message) = error_of(simulator.create(&body).await).await;
        assert_eq!((status, kind.as_str()), (400, "invalid_request_error"));
        assert!(message.contains(named), "{message}");
    }
    for (method, path, status) in [
        (Method::PUT, BATCHES.to_owned(), 405),
        (Method::POST, format!("{BATCHES}/x"), 405),
        (Method::GET, format!("{BATCHES}/x/cancel"), 405),
        (Method::GET, format!("{BATCHES}/x"), 404),
        (Method::GET, format!("{BATCHES}/x/nothing"), 404),
        (Method::POST, BATCHES.to_owned(), 400),
    ] {
        let response = simulator.call(method, &path, "key").await;
        assert_eq!(response.status(), status, "{path}");
    }
    assert_eq!(simulator.call(Method::GET, BATCHES, "").await.status(), 401);
}

#[tokio::test]
async fn the_oldest_ended_batch_makes_room_for_a_new_one() {
    let simulator = started(SimulatorBatchesConfig {
        max_batches: 2,
        duration: Duration::ZERO,
        ..SimulatorBatchesConfig::default()
    })
    .await;
    let mut batches = Vec::new();
    for _ in 0..3 {
        let batch = simulator.created(&requests(["a"])).await;
        batches.push(simulator.ended(&batch).await);
    }
    let listed = json_of(simulator.get(BATCHES).await).await;
    assert_eq!(listed["data"], json!([batches[2], batches[1]]));
}

#[tokio::test]
async fn batches_in_progress_are_never_forgotten() {
    let one = requests(["a"]);
    for config in [
        SimulatorBatchesConfig {
            max_batches: 1,
            duration: NEVER,
            ..SimulatorBatchesConfig::default()
        },
        SimulatorBatchesConfig {
            max_bytes: one.to_string().len() * 3 / 2,
            duration: NEVER,
            ..SimulatorBatchesConfig::default()
        },
    ] {
        let simulator = started(config).await;
        let batch = simulator.created(&one).await;
        let refused = simulator.create(&one).await;
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(error_of(refused).await.1, "rate_limit_error");
        let cancel = format!("{BATCHES}/{}/cancel", id_of(&batch));
        simulator.call(Method::POST, &cancel, "key").await;
        simulator.ended(&batch).await;
        simulator.created(&one).await;
    }
}

#[tokio::test]
async fn a_batch_of_many_requests_has_a_result_for_each() {
    let simulator = taking(Duration::ZERO).await;
    let ids: Vec<String> = (0..2000).map(|index| index.to_string()).collect();
    let batch = simulator
        .created(&requests(ids.iter().map(String::as_str)))
        .await;
    let ended = simulator.ended(&batch).await;
    assert_eq!(ended["request_counts"]["succeeded"], 2000);
    let (order, results) = simulator.results(&ended).await;
    assert_eq!((order.len(), results.len()), (2000, 2000));
}

/// A hundred requests are processed at the same time, so that many write what they have in
/// common.
#[tokio::test]
async fn what_requests_have_in_common_is_read_once_an_answer_that_writes_it_has_begun() {
    let ids: Vec<String> = (0..250).map(|index| index.to_string()).collect();
    let mut body = requests(ids.iter().map(String::as_str));
    let mark = json!({"type": "ephemeral"});
    let system = json!([{"type": "text", "text": "word ".repeat(2000), "cache_control": mark}]);
    for request in body["requests"].as_array_mut().unwrap() {
        request["params"]["system"] = system.clone();
    }
    for duration in [Duration::ZERO, Duration::from_millis(50)] {
        let simulator = taking(duration).await;
        let batch = simulator.created(&body).await;
        let ended = simulator.ended(&batch).await;
        let (_, results) = simulator.results(&ended).await;
        let tokens = |of: &Value, name: &str| of["message"]["usage"][name].as_u64().unwrap();
        for (id, result) in &results {
            let is_written = id.parse::<usize>().unwrap() < 100;
            let expected = if is_written { (2500, 0) } else { (0, 2500) };
            let written = tokens(result, "cache_creation_input_tokens");
            let read = tokens(result, "cache_read_input_tokens");
            assert_eq!((written, read), expected, "{id}");
        }
    }
}
