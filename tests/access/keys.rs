//! Client keys.

use crate::harness::{GENERATE, START, Setup, assert_unauthenticated, prompt};
use claude_grpc::{
    access::{self, Clients, ClientsFile, NewClient, RejectReason},
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
};
use secrecy::ExposeSecret;
use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tonic::Code;
use tonic_types::StatusExt;

fn add(path: &Path, new: NewClient) -> String {
    let added = access::add(path, None, new).unwrap();
    added.secret.expose_secret().to_owned()
}

fn named(name: &str) -> NewClient {
    NewClient {
        name: name.to_owned(),
        ..NewClient::default()
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn setup(path: &Path) -> Setup {
    Setup::of(access::list(path, None).unwrap())
}

#[tokio::test]
async fn a_key_lets_in_in_either_header_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clients.toml");
    let key = add(&path, named("a"));
    let expired = add(
        &path,
        NewClient {
            expires: Some(at(START - 1)),
            ..named("b")
        },
    );
    let server = setup(&path).start().await;
    server
        .generate("authorization", &format!("Bearer {key}"))
        .await
        .unwrap();
    server.generate("x-api-key", &key).await.unwrap();
    assert_eq!(server.api.calls(), 2);

    let (start, last) = key.split_at(key.len() - 1);
    let wrong = format!("{start}{}", if last == "A" { "B" } else { "A" });
    let unknown = key.replacen("cgk_", "cgk_0", 1);
    let table = [
        ("", "", RejectReason::Missing),
        ("authorization", key.as_str(), RejectReason::Malformed),
        ("authorization", "Basic abc", RejectReason::Malformed),
        ("x-signature", "t=1,n=2,k=3,v1=4", RejectReason::Malformed),
        ("x-api-key", &wrong, RejectReason::WrongKey),
        ("x-api-key", &unknown, RejectReason::WrongKey),
        ("x-api-key", "sk-ant-something", RejectReason::WrongKey),
        ("x-api-key", "", RejectReason::WrongKey),
        ("x-api-key", &expired, RejectReason::ExpiredClient),
    ];
    for (header, value, cause) in table {
        let before = server.refusals(cause);
        let refused = server.generate(header, value).await.unwrap_err();
        assert_unauthenticated(&refused);
        assert_eq!(server.refusals(cause), before + 1, "{header} {cause:?}");
    }
    assert_eq!(server.api.calls(), 2, "nothing reaches the API");
}

#[tokio::test]
async fn two_keys_are_valid_during_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clients.toml");
    let old = add(&path, named("a"));
    let overlap = Duration::from_secs(60);
    let new = access::rotate(&path, None, "a", overlap, at(START)).unwrap();
    let new = new.secret.expose_secret();
    let server = setup(&path).start().await;
    server.hands.set(START + 60);
    server.generate("x-api-key", &old).await.unwrap();
    server.generate("x-api-key", new).await.unwrap();
    server.hands.set(START + 61);
    assert_unauthenticated(&server.generate("x-api-key", &old).await.unwrap_err());
    server.generate("x-api-key", new).await.unwrap();
    assert_eq!(server.refusals(RejectReason::ExpiredKey), 1);
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_denied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clients.toml");
    let key = add(
        &path,
        NewClient {
            methods: vec!["Classify".to_owned()],
            ..named("a")
        },
    );
    let server = setup(&path).start().await;
    let denied = server.generate("x-api-key", &key).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied, "{GENERATE}");
    let details = denied.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "PERMISSION_DENIED");
    assert_eq!(server.refusals(RejectReason::Method), 1);
    assert_eq!(server.api.calls(), 0);
}

#[tokio::test]
async fn streams_need_a_key_too() {
    let server = Setup::new("").start().await;
    let mut client = ClaudeServiceClient::new(server.channel().await);
    let request = v1::GenerateStreamRequest {
        request: Some(prompt()),
    };
    assert_unauthenticated(&client.generate_stream(request).await.unwrap_err());
    assert_eq!(server.api.calls(), 0);
}

#[tokio::test]
async fn health_needs_no_credentials_and_reflection_does() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest,
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clients.toml");
    let key = add(&path, named("a"));
    let server = setup(&path).start().await;
    let channel = server.channel().await;
    let mut health = HealthClient::new(channel.clone());
    health.check(HealthCheckRequest::default()).await.unwrap();

    let mut reflection = ServerReflectionClient::new(channel);
    let ask = || {
        futures::stream::iter([ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        }])
    };
    let refused = reflection.server_reflection_info(ask()).await.unwrap_err();
    assert_unauthenticated(&refused);
    let mut request = tonic::Request::new(ask());
    request
        .metadata_mut()
        .insert("x-api-key", key.parse().unwrap());
    reflection.server_reflection_info(request).await.unwrap();
}

/// A client that is added to the file gets in within seconds, a revoked one
/// does not any more, and a broken file changes nothing.
#[tokio::test]
async fn the_clients_file_is_reloaded() {
    use claude_grpc::secrets::{Reload, Watcher};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clients.toml");
    let first = add(&path, named("a"));
    let clients = Clients::load(path.clone(), None).await.unwrap();
    let _watcher = Watcher::start(vec![clients.as_reload()]);
    let mut changes = clients.subscribe();

    let second = add(&path, named("b"));
    let now = SystemTime::now();
    changes
        .wait_for(|it| it.by_key(&second, now).is_ok())
        .await
        .unwrap();
    access::revoke(&path, None, "a").unwrap();
    changes
        .wait_for(|it| it.by_key(&first, now).is_err())
        .await
        .unwrap();

    std::fs::write(&path, "clients = 'broken'").unwrap();
    while clients.counts().refused == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(clients.current().by_key(&second, now).is_ok());
    ClientsFile::read(&path, None).unwrap_err();
}
