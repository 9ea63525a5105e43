//! Where refused callers come from, in the log.

use crate::service::{Running, ask};
use claude_grpc::access::{self, NewClient};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use secrecy::ExposeSecret;
use tonic::Code;

/// Calls from this address, which is not that of other tests.
const SOURCE: [u8; 4] = [127, 0, 0, 9];

#[tokio::test]
async fn the_address_of_a_refused_caller_is_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let clients = directory.path().join("clients.toml");
    let limited = NewClient {
        name: "counter".to_owned(),
        methods: vec!["CountTokens".to_owned()],
        ..NewClient::default()
    };
    let added = access::add(&clients, None, limited).unwrap();
    let key = added.secret.expose_secret().to_owned();
    let toml = format!("[access]\nclients_file = '{}'\n", clients.display());
    let service = Running::start(&[], &toml).await;

    let mut connector = HttpConnector::new();
    connector.set_local_address(Some(SOURCE.into()));
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    let origin: http::Uri = format!("http://{}", service.address).parse().unwrap();
    let grpc = claude_grpc::proto::v1::claude_service_client::ClaudeServiceClient::with_origin(
        client.clone(),
        origin.clone(),
    );
    for (sent, code, cause) in [
        (None, Code::Unauthenticated, "missing"),
        (Some("cgk_wrong"), Code::Unauthenticated, "wrong_key"),
        (Some(&*key), Code::PermissionDenied, "method"),
    ] {
        let mut request = tonic::Request::new(ask("hello"));
        if let Some(key) = sent {
            request
                .metadata_mut()
                .insert("x-api-key", key.parse().unwrap());
        }
        let status = grpc.clone().generate(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        service
            .until_logged(&format!("\"cause\":\"{cause}\""))
            .await;
        let calls = service.calls();
        let line = calls.last().unwrap();
        assert_eq!(line["peer"], "127.0.0.9", "{line}");
        assert_eq!(line["cause"], cause, "{line}");
    }

    // Reflection has no line of its own.
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    };
    let asked = tokio_stream::iter([ServerReflectionRequest::default()]);
    let mut reflection = ServerReflectionClient::with_origin(client, origin);
    let status = reflection.server_reflection_info(asked).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    service.until_logged("rejected a call").await;
    let log = service.log();
    let line = log
        .lines()
        .find(|it| it.contains("rejected a call"))
        .unwrap();
    assert!(
        line.contains("127.0.0.9") && line.contains("missing"),
        "{line}"
    );
    assert!(!log.contains("cgk_wrong") && !log.contains(&key), "{log}");
}

#[tokio::test]
async fn the_address_of_a_call_that_is_not_refused_is_not_in_the_log() {
    let service = Running::start(&[], "").await;
    service.grpc.clone().generate(ask("hello")).await.unwrap();
    service.until_logged("\"status\":\"OK\"").await;
    let calls = service.calls();
    assert!(
        calls[0].get("peer").is_none() && calls[0].get("cause").is_none(),
        "{calls:?}"
    );
}
