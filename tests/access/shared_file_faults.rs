//! What replicas share of files, with an API or a Redis that does what it rarely does.

use crate::{
    file_world::{Caller, FileWorld, assert_reason, dump, until},
    redis_server::RedisServer,
};
use axum::{
    Json, Router,
    http::StatusCode,
    routing::{delete, post},
};
use claude_grpc::proto::v1;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, sync::Notify};
use tonic::Status;

/// The address at which an API of the test's own is served.
async fn served(api: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, api).await });
    base_url
}

/// An API that gives everybody the same container and thread.
async fn one_for_all() -> String {
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "done"}],
        "container": {"id": "container_1", "expires_at": "2099-01-01T00:00:00Z"},
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    let answer = post(|| async { Json(answer) });
    served(Router::new().route("/v1/messages", answer)).await
}

/// Begins a thread, or continues one.
async fn thread(caller: &mut Caller, previous: Option<&str>) -> Result<(), Status> {
    let thread = match previous {
        None => json!({"type": "create"}),
        Some(id) => json!({"type": "continue", "previous_message_id": id}),
    };
    let request = v1::GenerateRequest {
        extra_json: json!({ "thread": thread }).to_string(),
        ..crate::harness::prompt()
    };
    caller.generate(request).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn the_first_owner_of_an_id_keeps_it_at_all_replicas() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let api = one_for_all().await;
    let fields = [("CLAUDE_GRPC_SERVICE__PASSTHROUGH__FIELDS", "*")];
    let (mut here, mut there) = (
        world.replica_of(&api, &fields),
        world.replica_of(&api, &fields),
    );
    thread(&mut here.one, None).await.unwrap();
    let made = here.one.run("").await.unwrap();
    // The other tenant gets the same ids at both replicas, and owns them at none.
    for replica in [&mut here, &mut there] {
        thread(&mut replica.two, None).await.unwrap();
        assert_eq!(replica.two.run("").await.unwrap(), made);
        let status = replica.two.run(&made).await.unwrap_err();
        assert_reason(&status, "CONTAINER_UNKNOWN");
        let status = thread(&mut replica.two, Some("msg_1")).await.unwrap_err();
        assert_reason(&status, "THREAD_UNKNOWN");
    }
    for replica in [&mut here, &mut there] {
        replica.one.run(&made).await.unwrap();
        thread(&mut replica.one, Some("msg_1")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_redis_that_hangs_holds_up_one_answer_and_not_for_long() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let mut replica = world.replica(&[]);
    replica.one.run("").await.unwrap();
    redis.hang();
    let began = Instant::now();
    let made = replica.one.run("").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{began:?}");
    let began = Instant::now();
    for _ in 0..10 {
        replica.one.run(&made).await.unwrap();
        replica.one.run("").await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{began:?}");
    redis.wake();
    let mut other = world.replica(&[]);
    until(async || other.one.run(&made).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn an_upload_that_cannot_be_noted_is_deleted_at_the_api() {
    let mut redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let deleted: Arc<Mutex<Vec<String>>> = Arc::default();
    let (seen, held, noted) = (arrived.clone(), go_on.clone(), deleted.clone());
    let upload = post(move || async move {
        seen.notify_one();
        held.notified().await;
        Json(json!({"id": "file_1", "filename": "a", "mime_type": "text/plain"}))
    });
    let removed = delete(|path: axum::extract::Path<String>| async move {
        noted.lock().unwrap().push(path.0);
        StatusCode::OK
    });
    let api = Router::new()
        .route("/v1/files", upload)
        .route("/v1/files/{id}", removed);
    let mut replica = world.replica_of(&served(api).await, &[]);
    let mut caller = replica.one.impatient();
    let uploading = tokio::spawn(async move { caller.upload(1).await });
    arrived.notified().await;
    redis.stop();
    go_on.notify_one();
    let status = uploading.await.unwrap().unwrap_err();
    assert_reason(&status, "FILE_STATE_UNAVAILABLE");
    assert_eq!(*deleted.lock().unwrap(), ["file_1"]);
    redis.run().await;
    let status = replica.one.get("file_1").await.unwrap_err();
    assert_reason(&status, "FILE_UNKNOWN");
    let mut other = world.replica(&[]);
    let status = other.one.get("file_1").await.unwrap_err();
    assert_reason(&status, "FILE_UNKNOWN");
    assert_eq!(other.one.list().await, [""; 0]);
    assert!(!dump(&redis).contains(":owned"));
}
