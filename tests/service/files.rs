//! FileService: files at the API, which requests name by their ids.

use crate::support::{HttpClient, PATIENCE, ask, http_client, reason, soon, user, wrong_fields};
use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use bytes::Bytes;
use claude_grpc::{
    access::Clock,
    batches::{Batches, BatchesConfig},
    files::{Files, FilesConfig, Ownership},
    proto::v1::{
        self, batch_service_client::BatchServiceClient, claude_service_client::ClaudeServiceClient,
        file_service_client::FileServiceClient,
    },
    secrets::Keyring,
    server::{Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{Handle, Simulator, SimulatorConfig},
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use serde_json::json;
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Code, Status};

const DAY: u64 = 24 * 60 * 60;

/// A service with files, in front of an API.
struct FileWorld {
    grpc: FileServiceClient<HttpClient>,
    claude: ClaudeServiceClient<HttpClient>,
    batches: BatchServiceClient<HttpClient>,
    files: Option<Files>,
    /// Seconds by which the clock of the service is ahead.
    ahead: Arc<AtomicU64>,
    serving: JoinHandle<()>,
    _dir: TempDir,
}

impl FileWorld {
    async fn at(base_url: &str, change: impl FnOnce(&mut FilesConfig)) -> FileWorld {
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("key");
        Keyring::create(&key_file).unwrap();
        let mut config = FilesConfig {
            state_file: Some(dir.path().join("files")),
            key_file: Some(key_file),
            ..FilesConfig::default()
        };
        change(&mut config);
        let mut upstream = UpstreamConfig {
            base_url: base_url.to_owned(),
            ..UpstreamConfig::default()
        };
        upstream.retry.initial_backoff = Duration::from_millis(10);
        upstream.retry.max_backoff = Duration::from_millis(20);
        let keys = ["sk-one", "sk-two", "sk-three"];
        let keys = keys.map(|secret| Key::new(secret, &SecretString::from(secret)).unwrap());
        let ahead = Arc::new(AtomicU64::new(0));
        let seconds = Arc::clone(&ahead);
        let clock = Clock::new(move || {
            SystemTime::now() + Duration::from_secs(seconds.load(Ordering::SeqCst))
        });
        let ownership = Ownership::open(&config, None, clock).unwrap();
        let upstream = ownership.guarding(Upstream::new(&upstream, Keys::new(keys)).unwrap());
        let files = Files::new(&config, &upstream, &ownership).unwrap();
        let batches = BatchesConfig {
            state_file: Some(dir.path().join("batches")),
            key_file: config.key_file.clone(),
            ..BatchesConfig::default()
        };
        let batches = Batches::open(&batches, &upstream, None, None).unwrap();
        let rpcs = Rpcs::new(upstream.client, ServiceConfig::default())
            .with_files(files.clone())
            .with_batches(batches);
        let server = ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..ServerConfig::default()
        };
        let server = Server::bind(server, rpcs).await.unwrap();
        let origin = format!("http://{}", server.local_addr().unwrap());
        let origin: http::Uri = origin.parse().unwrap();
        FileWorld {
            grpc: FileServiceClient::with_origin(http_client(), origin.clone()),
            claude: ClaudeServiceClient::with_origin(http_client(), origin.clone()),
            batches: BatchServiceClient::with_origin(http_client(), origin),
            files,
            ahead,
            serving: tokio::spawn(server.run()),
            _dir: dir,
        }
    }

    async fn upload(&mut self, request: v1::UploadFileRequest) -> Result<v1::File, Status> {
        let uploaded = soon(self.grpc.upload_file(request)).await?;
        Ok(uploaded.into_inner().file.unwrap())
    }

    async fn get(&mut self, id: &str) -> Result<v1::File, Status> {
        let request = v1::GetFileRequest { id: id.to_owned() };
        let file = soon(self.grpc.get_file(request)).await?;
        Ok(file.into_inner().file.unwrap())
    }

    async fn delete(&mut self, id: &str) -> Result<(), Status> {
        let request = v1::DeleteFileRequest { id: id.to_owned() };
        soon(self.grpc.delete_file(request)).await.map(drop)
    }

    async fn download(&mut self, id: &str) -> Result<Vec<u8>, Status> {
        let request = v1::DownloadFileRequest { id: id.to_owned() };
        let mut pieces = soon(self.grpc.download_file(request)).await?.into_inner();
        let mut content = Vec::new();
        while let Some(piece) = soon(pieces.message()).await? {
            content.extend_from_slice(&piece.content);
        }
        Ok(content)
    }

    /// The ids of all files, page by page.
    async fn listed(&mut self, page_size: i32) -> Vec<String> {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListFilesRequest {
                page_size,
                page_token,
            };
            let page = soon(self.grpc.list_files(request)).await.unwrap();
            let page = page.into_inner();
            ids.extend(page.files.into_iter().map(|file| file.id));
            if page.next_page_token.is_empty() {
                return ids;
            }
            page_token = page.next_page_token;
        }
    }
}

impl Drop for FileWorld {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn simulated(change: impl FnOnce(&mut FilesConfig)) -> (FileWorld, Handle) {
    let config = SimulatorConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        record: true,
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::bind(config).await.unwrap();
    let (base_url, handle) = (simulator.base_url().unwrap(), simulator.handle());
    tokio::spawn(simulator.run());
    (FileWorld::at(&base_url, change).await, handle)
}

/// The address at which an API of the test's own is served.
async fn served(api: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, api).await });
    base_url
}

fn note(filename: &str) -> v1::UploadFileRequest {
    v1::UploadFileRequest {
        filename: filename.to_owned(),
        mime_type: "text/plain".to_owned(),
        content: Bytes::from_static(b"--boundary\r\nThe harvest was good.\r\n"),
        keep_for: None,
    }
}

/// A question about a file.
fn about(file_id: &str) -> v1::GenerateRequest {
    let document = v1::DocumentBlock {
        source: Some(v1::document_block::Source::FileId(file_id.to_owned())),
        ..v1::DocumentBlock::default()
    };
    let mut message = user("");
    message.content = vec![v1::ContentBlock {
        block: Some(v1::content_block::Block::Document(document)),
        ..v1::ContentBlock::default()
    }];
    v1::GenerateRequest {
        messages: vec![message],
        ..v1::GenerateRequest::default()
    }
}

#[tokio::test]
async fn a_file_is_uploaded_named_listed_and_deleted() {
    let (mut world, simulator) = simulated(|_| {}).await;
    let file = world.upload(note("Überblick 2026.txt")).await.unwrap();
    assert_eq!(file.filename, "Überblick 2026.txt");
    assert_eq!(file.mime_type, "text/plain");
    assert_eq!(file.size_bytes, note("").content.len() as i64);
    assert!(!file.downloadable);
    let kept = file.expire_time.unwrap().seconds - file.create_time.unwrap().seconds;
    assert_eq!(kept, 30 * DAY as i64);
    assert_eq!(world.get(&file.id).await.unwrap(), file);

    // All files of a tenant are where its first one is: one request can name all.
    let mut ids = vec![file.id.clone()];
    for name in ["a", "b", "c", "d"] {
        ids.push(world.upload(note(name)).await.unwrap().id);
    }
    for id in &ids {
        soon(world.claude.generate(about(id))).await.unwrap();
    }
    let requests = simulator.requests().into_iter();
    let keys = requests.filter_map(|it| it.headers.get("authorization").cloned());
    let keys: HashSet<_> = keys.collect();
    assert_eq!(keys.len(), 1, "{keys:?}");

    ids.sort();
    let mut listed = world.listed(2).await;
    listed.sort();
    assert_eq!(listed, ids);
    world.delete(&file.id).await.unwrap();
    assert_eq!(world.listed(0).await.len(), 4);
    let status = world.delete(&file.id).await.unwrap_err();
    assert_eq!(reason(&status), "FILE_UNKNOWN");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn what_was_uploaded_cannot_be_downloaded_and_the_api_says_so() {
    let (mut world, _simulator) = simulated(|_| {}).await;
    let file = world.upload(note("a")).await.unwrap();
    let status = world.download(&file.id).await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_INVALID_REQUEST");
}

#[tokio::test]
async fn an_upload_that_may_have_arrived_is_not_repeated() {
    let answers = [500, 529, 200].map(|status| StatusCode::from_u16(status).unwrap());
    let uploads = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&uploads);
    let api = Router::new().route(
        "/v1/files",
        post(move || async move {
            let status = answers[count.fetch_add(1, Ordering::SeqCst)];
            (status, Json(json!({"id": "file_1"})))
        }),
    );
    let mut world = FileWorld::at(&served(api).await, |_| {}).await;
    let status = world.upload(note("a")).await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_ERROR");
    assert_eq!(uploads.load(Ordering::SeqCst), 1);
    // One that was rejected before it was read is.
    world.upload(note("a")).await.unwrap();
    assert_eq!(uploads.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_limits_of_a_tenant_hold_until_it_deletes_some() {
    let size = note("").content.len() as u64;
    let (mut world, simulator) = simulated(|config| {
        config.max_per_tenant = 2;
        config.max_bytes_per_tenant = 3 * size - 1;
    })
    .await;
    let first = world.upload(note("a")).await.unwrap();
    world.upload(note("b")).await.unwrap();
    let status = world.upload(note("c")).await.unwrap_err();
    assert_eq!(reason(&status), "TOO_MANY_FILES");
    assert!(status.message().contains("max_per_tenant"), "{status:?}");
    world.delete(&first.id).await.unwrap();
    let before = simulator.counts().requests;
    let mut large = note("c");
    large.content = Bytes::from(vec![b'x'; 2 * size as usize]);
    let status = world.upload(large).await.unwrap_err();
    assert!(status.message().contains("max_bytes"), "{status:?}");
    assert_eq!(simulator.counts().requests, before);
    world.upload(note("c")).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_is_sent() {
    let (mut world, simulator) = simulated(|_| {}).await;
    let wrong = v1::UploadFileRequest {
        mime_type: "a\nb".to_owned(),
        ..v1::UploadFileRequest::default()
    };
    let status = world.upload(wrong).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["filename", "mime_type", "content"]);
    let request = v1::ListFilesRequest {
        page_size: -1,
        page_token: "x".to_owned(),
    };
    let status = soon(world.grpc.list_files(request)).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["page_size", "page_token"]);
    for id in ["", "file_1", "../models"] {
        let status = world.get(id).await.unwrap_err();
        assert_eq!(reason(&status), "FILE_UNKNOWN", "{id}");
    }
    assert_eq!(simulator.counts().requests, 0);
}

#[tokio::test]
async fn without_a_state_file_all_calls_are_rejected() {
    let (mut world, _simulator) = simulated(|config| config.state_file = None).await;
    let status = world.upload(note("a")).await.unwrap_err();
    assert_eq!(reason(&status), "FILES_DISABLED");
    assert_eq!(status.code(), Code::FailedPrecondition);
}

/// What a tool makes: an answer of the documented form, which no simulator here writes.
fn answer_with_a_file() -> serde_json::Value {
    let output = json!({"type": "bash_code_execution_output", "file_id": "file_made"});
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {
                "type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1",
                "content": {
                    "type": "bash_code_execution_result", "stdout": "", "stderr": "",
                    "return_code": 0, "content": [output],
                },
            },
            {"type": "text", "text": "done"},
        ],
        "container": {"id": "container_1", "expires_at": "2099-01-01T00:00:00Z"},
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
    })
}

#[tokio::test]
async fn a_file_that_a_tool_made_is_downloaded_and_deleted_when_it_ends() {
    let deleted: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&deleted);
    let content = vec![7_u8; 3 << 20];
    let whole = content.clone();
    let described = json!({"id": "file_made", "type": "file", "filename": "chart.png",
        "mime_type": "image/png", "size_bytes": content.len(), "downloadable": true});
    let of_file = get(|| async { Json(described) }).delete(|Path(id): Path<String>| async move {
        noted.lock().unwrap().push(id);
        // The first attempt fails.
        match noted.lock().unwrap().len() {
            1 => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        }
    });
    let api = Router::new()
        .route(
            "/v1/messages",
            post(|| async { Json(answer_with_a_file()) }),
        )
        .route("/v1/files/{id}", of_file)
        .route("/v1/files/{id}/content", get(|| async { whole }));
    let mut world = FileWorld::at(&served(api).await, |_| {}).await;

    assert_eq!(world.listed(0).await, [""; 0]);
    let mut request = ask("Draw a chart.");
    request.tools = vec![code_execution()];
    soon(world.claude.generate(request)).await.unwrap();
    assert_eq!(world.listed(0).await, ["file_made"]);
    let file = world.get("file_made").await.unwrap();
    assert_eq!(file.filename, "chart.png");
    assert!(file.downloadable);
    assert_eq!(world.download("file_made").await.unwrap(), content);

    let files = world.files.clone().unwrap();
    files.sweep().await;
    assert_eq!(world.listed(0).await, ["file_made"]);
    world.ahead.store(30 * DAY + 60, Ordering::SeqCst);
    let began = std::time::Instant::now();
    while !world.listed(0).await.is_empty() {
        files.sweep().await;
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(deleted.lock().unwrap().len(), 2, "{deleted:?}");
}

fn code_execution() -> v1::Tool {
    v1::Tool {
        defined: Some(v1::tool::Defined::CodeExecution(
            v1::CodeExecutionTool::default(),
        )),
        ..v1::Tool::default()
    }
}

/// Each batch chooses a key by its id, unless its requests name something.
#[tokio::test]
async fn a_batch_is_sent_with_the_key_that_has_what_its_requests_name() {
    let (mut world, simulator) = simulated(|_| {}).await;
    let file = world.upload(note("a")).await.unwrap();
    let submit = |request: v1::GenerateRequest| v1::SubmitBatchRequest {
        items: vec![v1::BatchItem {
            id: "a".to_owned(),
            request: Some(v1::batch_item::Request::Generate(request)),
        }],
        ..v1::SubmitBatchRequest::default()
    };
    for _ in 0..8 {
        let named = submit(about(&file.id));
        soon(world.batches.submit_batch(named)).await.unwrap();
    }
    let keys = |path: &str| -> HashSet<_> {
        let requests = simulator.requests().into_iter();
        let requests = requests.filter(|it| it.path.starts_with(path));
        let keys = requests.filter_map(|it| it.headers.get("authorization").cloned());
        keys.collect()
    };
    assert_eq!(keys("/v1/messages/batches"), keys("/v1/files"));
    assert_eq!(keys("/v1/files").len(), 1);

    for _ in 0..16 {
        soon(world.batches.submit_batch(submit(ask("Hello"))))
            .await
            .unwrap();
    }
    assert!(keys("/v1/messages/batches").len() > 1);
}
