//! Files of the simulator.

use crate::{Running, error_of, json_of, start, started};
use claude_grpc::simulator::{SimulatorConfig, SimulatorFilesConfig};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

const FILES: &str = "/v1/files";

/// A part of a form: its name with more parameters, the rest of its head, its content.
type Part<'a> = (&'a str, &'a str, &'a str);

const HELLO: Part<'_> = (
    "file\"; filename=\"hello.txt",
    "content-type: text/plain",
    "hello",
);

fn form(parts: &[Part<'_>]) -> String {
    let part = |(name, head, content): &Part<'_>| {
        let head = if head.is_empty() {
            String::new()
        } else {
            format!("{head}\r\n")
        };
        format!(
            "--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n{head}\r\n{content}\r\n"
        )
    };
    let parts: String = parts.iter().map(part).collect();
    format!("{parts}--edge--\r\n")
}

impl Running {
    async fn post_form(&self, body: String) -> Response {
        let request = self.client.post(format!("{}{FILES}", self.base));
        let request = request.header("x-api-key", "key");
        let request = request.header("anthropic-version", "2026-10-21");
        let request = request.header("content-type", "multipart/form-data; boundary=edge");
        request.body(body).send().await.unwrap()
    }

    async fn uploaded(&self, parts: &[Part<'_>]) -> Value {
        let response = self.post_form(form(parts)).await;
        let status = response.status();
        let file = json_of(response).await;
        assert_eq!(status, 200, "{file}");
        file
    }

    async fn refused_upload(&self, body: String) -> (u16, String) {
        let (status, _, message) = error_of(self.post_form(body).await).await;
        (status, message)
    }
}

fn error_code(error: &Value) -> &str {
    error["error"]["details"]["error_code"].as_str().unwrap()
}

#[tokio::test]
async fn a_file_is_uploaded_described_and_deleted() {
    let simulator = started().await;
    let file = simulator
        .uploaded(&[HELLO, ("expires_in_seconds", "", "3600")])
        .await;
    assert_eq!(file["type"], "file");
    assert_eq!(file["filename"], "hello.txt");
    assert_eq!(file["mime_type"], "text/plain");
    assert_eq!(file["size_bytes"], 5);
    assert_eq!(file["downloadable"], false);
    let time = |name: &str| humantime::parse_rfc3339(file[name].as_str().unwrap()).unwrap();
    assert_eq!(
        time("expires_at"),
        time("created_at") + Duration::from_secs(3600)
    );

    let path = format!("{FILES}/{}", file["id"].as_str().unwrap());
    assert_eq!(
        json_of(simulator.call(Method::GET, &path, "key").await).await,
        file
    );
    let content = format!("{path}/content");
    let refused = simulator.call(Method::GET, &content, "key").await;
    assert_eq!(refused.status(), 400);
    assert_eq!(error_code(&json_of(refused).await), "file_not_downloadable");

    let listed = json_of(simulator.call(Method::GET, FILES, "key").await).await;
    assert_eq!(listed, json!({"data": [file], "next_page": null}));
    let deleted = json_of(simulator.call(Method::DELETE, &path, "key").await).await;
    assert_eq!(deleted, json!({"id": file["id"], "type": "file_deleted"}));
    for path in [&path, &content] {
        let error = error_of(simulator.call(Method::GET, path, "key").await).await;
        assert_eq!((error.0, error.1.as_str()), (404, "not_found_error"));
    }
}

#[tokio::test]
async fn another_key_sees_nothing_of_a_file() {
    let simulator = started().await;
    let file = simulator.uploaded(&[HELLO]).await;
    let path = format!("{FILES}/{}", file["id"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::GET, format!("{path}/content")),
    ] {
        assert_eq!(simulator.call(method, &path, "other").await.status(), 404);
    }
    let listed = json_of(simulator.call(Method::GET, FILES, "other").await).await;
    assert_eq!(listed["data"], json!([]));
    assert_eq!(
        simulator.call(Method::GET, &path, "key").await.status(),
        200
    );
}

#[tokio::test]
async fn the_name_and_the_type_of_a_file_are_completed() {
    let simulator = started().await;
    for (name, head, filename, mime_type) in [
        ("file\"; filename=\"a/b.pdf", "", "b.pdf", "application/pdf"),
        (
            "file\"; filename=\"x.JSON",
            "",
            "x.JSON",
            "application/json",
        ),
        (
            "file",
            "content-type: text/plain; charset=utf-8",
            "unnamed.txt",
            "text/plain",
        ),
        (
            "file\"; filename=\"",
            "",
            "unnamed",
            "application/octet-stream",
        ),
    ] {
        let file = simulator.uploaded(&[(name, head, "")]).await;
        assert_eq!(file["filename"], filename);
        assert_eq!(file["mime_type"], mime_type);
    }
}

#[tokio::test]
async fn files_are_listed_by_page_and_by_id() {
    let simulator = started().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, simulator.uploaded(&[HELLO]).await["id"].clone());
    }
    let page = async |query: &str| {
        let path = format!("{FILES}?{query}");
        let page = json_of(simulator.call(Method::GET, &path, "key").await).await;
        let data = page["data"].as_array().unwrap().iter();
        let data: Vec<Value> = data.map(|file| file["id"].clone()).collect();
        (data, page["next_page"].as_str().map(str::to_owned))
    };
    let mut listed = Vec::new();
    let mut query = "beta=true&limit=2".to_owned();
    loop {
        let (data, next) = page(&query).await;
        listed.extend(data);
        let Some(next) = next else { break };
        assert!(next.starts_with("page_"));
        query = format!("limit=2&page={next}");
    }
    assert_eq!(listed, ids);
    let asked = format!("ids[]={}&ids%5B%5D=file_nothing", ids[3].as_str().unwrap());
    assert_eq!(page(&asked).await, (vec![ids[3].clone()], None));
    assert_eq!(page("scope_id=session").await, (Vec::new(), None));
    for wrong in [
        "limit=0",
        "page=x",
        "page=page_x",
        "ids[]=a&limit=1",
        "colour=red",
    ] {
        let path = format!("{FILES}?{wrong}");
        let response = simulator.call(Method::GET, &path, "key").await;
        assert_eq!(response.status(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_wrong_upload_is_refused() {
    let simulator = started().await;
    let expires = |value: &'static str| form(&[HELLO, ("expires_in_seconds", "", value)]);
    let long = format!("file\"; filename=\"{}", "x".repeat(256));
    for (body, named) in [
        (form(&[]), "file"),
        (form(&[HELLO, HELLO]), "file"),
        (form(&[HELLO, ("purpose", "", "x")]), "purpose"),
        (form(&[("file\"; filename=\"a<b", "", "")]), "filename"),
        (form(&[(&long, "", "")]), "filename"),
        (expires("3599"), "expires_in_seconds"),
        (expires("7776001"), "expires_in_seconds"),
        (expires("x"), "expires_in_seconds"),
        (form(&[HELLO]).replace("--edge--", ""), "form"),
        (String::new(), "form"),
    ] {
        let (status, message) = simulator.refused_upload(body).await;
        assert_eq!(status, 400);
        assert!(message.contains(named), "{named}: {message}");
    }
    let json = simulator.request(FILES, &json!({})).send().await.unwrap();
    assert_eq!(json.status(), 400);
    for (method, path, status) in [
        (Method::PUT, FILES.to_owned(), 405),
        (Method::POST, format!("{FILES}/x"), 405),
        (Method::DELETE, format!("{FILES}/x/content"), 405),
        (Method::DELETE, format!("{FILES}/x"), 404),
        (Method::GET, format!("{FILES}/x/nothing"), 404),
    ] {
        let response = simulator.call(method, &path, "key").await;
        assert_eq!(response.status(), status, "{path}");
    }
}

#[tokio::test]
async fn files_have_the_room_that_is_configured() {
    let files = SimulatorFilesConfig {
        max_files: 2,
        max_bytes: 8,
        max_file_bytes: 5,
    };
    let simulator = start(SimulatorConfig {
        files,
        ..SimulatorConfig::default()
    })
    .await;
    fn sized(content: &str) -> String {
        form(&[("file\"; filename=\"a", "", content)])
    }
    assert_eq!(simulator.refused_upload(sized("123456")).await.0, 413);
    let (status, _) = simulator.refused_upload(sized(&"x".repeat(100_000))).await;
    assert_eq!(status, 413);
    simulator.uploaded(&[HELLO]).await;
    let refused = simulator.post_form(sized("1234")).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(
        error_code(&json_of(refused).await),
        "storage_quota_exceeded"
    );
    assert_eq!(simulator.post_form(sized("12")).await.status(), 200);
    // A third file, though it takes no room.
    assert_eq!(simulator.refused_upload(sized("")).await.0, 400);
}
