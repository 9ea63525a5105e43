//! Access tokens for an identity token of the platform: workload identity federation of
//! the Claude API, which the test plays.

use crate::{
    scripted::answer,
    support::{Grpc, ask, connect, reason},
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use claude_grpc::{
    credentials::Federation,
    proto::v1,
    server::{Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    upstream::{CredentialsKind, HostConfig, HostKeys, Key, Keys, Upstream, UpstreamConfig},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::Code;

/// How long a token counts as fresh, so that it is not replaced again.
const FRESH: Duration = Duration::from_secs(10);

const IDENTITY: &str = "an-identity-token";

/// What the API was asked, and what it answers.
#[derive(Default)]
struct Api {
    exchanges: Vec<(HeaderMap, Value)>,
    calls: Vec<HeaderMap>,
    /// Instead of a token.
    refusal: Option<(u16, Value)>,
    /// The only valid token.
    valid: String,
}

type Shared = Arc<Mutex<Api>>;

struct World {
    grpc: Grpc,
    api: Shared,
    upstream: Upstream,
    identity: tempfile::NamedTempFile,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    async fn start() -> World {
        let api = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .route("/v1/oauth/token", post(exchange))
            .route("/v1/messages", post(messages))
            .with_state(Arc::clone(&api));
        let serving = tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });

        let identity = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(identity.path(), format!("{IDENTITY}\n")).unwrap();
        let host = HostConfig {
            name: "h".to_owned(),
            base_url: Some(url.clone()),
            credentials: CredentialsKind::Federation,
            federation_rule_id: Some("fdrl_1".to_owned()),
            organization_id: Some("org".to_owned()),
            workspace_id: Some("wrkspc_1".to_owned()),
            identity_token_file: Some(identity.path().to_owned()),
            ..HostConfig::default()
        };
        let federation = Federation {
            federation_rule_id: "fdrl_1".to_owned(),
            organization_id: "org".to_owned(),
            service_account_id: None,
            workspace_id: Some("wrkspc_1".to_owned()),
            identity_token_file: identity.path().to_owned(),
        };
        let token = federation.token(reqwest::Client::new(), &url.parse().unwrap());
        let keys = BTreeMap::from([("h".to_owned(), Keys::new([Key::of_token("h", token)]))]);
        let mut config = UpstreamConfig {
            hosts: vec![host],
            betas: vec!["a-beta".to_owned()],
            ..UpstreamConfig::default()
        };
        config.retry.max_retries = 0;
        config.check(&mut |key, problem| panic!("{key} {problem}"));
        let upstream = Upstream::new(&config, HostKeys::new(Keys::new([]), keys)).unwrap();
        let mut service = ServiceConfig::default();
        service.passthrough.workspaces = vec!["wrkspc_1".to_owned(), "wrkspc_2".to_owned()];
        let service = Rpcs::new(upstream.client.clone(), service);
        let server = ServerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            ..ServerConfig::default()
        };
        let server = Server::bind(server, service).await.unwrap();
        let address = server.local_addr().unwrap();
        World {
            grpc: connect(address),
            api,
            upstream,
            identity,
            tasks: vec![serving, tokio::spawn(server.run())],
        }
    }

    async fn call(&self) -> Result<v1::GenerateResponse, tonic::Status> {
        let answered = self.grpc.clone().generate(ask("Hello")).await;
        answered.map(tonic::Response::into_inner)
    }

    fn exchanges(&self) -> usize {
        self.api.lock().unwrap().exchanges.len()
    }

    fn refuse(&self, refusal: Option<(u16, Value)>) {
        self.api.lock().unwrap().refusal = refusal;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn exchange(
    State(api): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    // So that calls come meanwhile.
    tokio::time::sleep(Duration::from_millis(30)).await;
    let mut api = api.lock().unwrap();
    api.exchanges.push((headers, body));
    if let Some((status, body)) = &api.refusal {
        return (StatusCode::from_u16(*status).unwrap(), Json(body.clone()));
    }
    api.valid = format!("access-token-{}", api.exchanges.len());
    let answer = json!({"access_token": api.valid, "expires_in": 600, "token_type": "Bearer"});
    (StatusCode::OK, Json(answer))
}

async fn messages(State(api): State<Shared>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let mut api = api.lock().unwrap();
    let is_valid = headers["authorization"] == format!("Bearer {}", api.valid);
    api.calls.push(headers);
    if is_valid {
        return (StatusCode::OK, Json(answer()));
    }
    let error = json!({"type": "authentication_error", "message": "OAuth token has expired"});
    let body = json!({"type": "error", "error": error});
    (StatusCode::UNAUTHORIZED, Json(body))
}

async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn many_calls_share_one_exchange_as_the_sdk_makes_it() {
    let world = World::start().await;
    let calls = (0..50).map(|_| world.call());
    for answered in futures::future::join_all(calls).await {
        answered.unwrap();
    }
    let api = world.api.lock().unwrap();
    let [(headers, body)] = &api.exchanges[..] else {
        panic!("{} exchanges", api.exchanges.len());
    };
    let betas = "oauth-2025-04-20,oidc-federation-2026-04-01";
    assert_eq!(headers["anthropic-beta"], betas);
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("authorization"));
    let expected = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": IDENTITY,
        "federation_rule_id": "fdrl_1",
        "organization_id": "org",
        "workspace_id": "wrkspc_1",
    });
    assert_eq!(body, &expected);
    assert_eq!(api.calls.len(), 50);
    for call in &api.calls {
        assert_eq!(call["authorization"], "Bearer access-token-1");
        assert_eq!(call["anthropic-beta"], "a-beta,oauth-2025-04-20");
        assert!(!call.contains_key("x-api-key"));
        assert!(!call.contains_key("anthropic-workspace-id"));
    }
    let key = Arc::clone(&world.upstream.hosts[0].keys.current()[0]);
    assert!(key.expiry().is_some());
    assert!(!format!("{key:?}").contains("access-token"));
}

#[tokio::test]
async fn a_token_that_expires_early_is_replaced_without_a_failed_call() {
    let world = World::start().await;
    world.call().await.unwrap();
    pass(FRESH).await;
    std::fs::write(world.identity.path(), "another-identity-token").unwrap();
    world.api.lock().unwrap().valid = "revoked".to_owned();
    let calls = (0..50).map(|_| world.call());
    for answered in futures::future::join_all(calls).await {
        answered.unwrap();
    }
    let api = world.api.lock().unwrap();
    assert_eq!(api.exchanges.len(), 2);
    // The platform has replaced the file meanwhile.
    assert_eq!(api.exchanges[1].1["assertion"], "another-identity-token");
}

#[tokio::test]
async fn a_token_that_is_never_accepted_fails_the_call_and_is_not_replaced_at_once() {
    let world = World::start().await;
    world.call().await.unwrap();
    world.api.lock().unwrap().valid = "revoked".to_owned();
    for _ in 0..5 {
        let failed = world.call().await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal);
        assert_eq!(reason(&failed), "UPSTREAM_AUTH");
    }
    assert_eq!(world.exchanges(), 1);
}

#[tokio::test]
async fn a_refused_exchange_is_the_services_fault_and_repeated_after_a_while() {
    let world = World::start().await;
    let secret = "the identity token is eyJhbGciOi";
    world.refuse(Some((
        401,
        json!({"error": "invalid_grant", "error_description": secret}),
    )));
    for _ in 0..5 {
        let failed = world.call().await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal);
        assert_eq!(reason(&failed), "UPSTREAM_AUTH");
        let text = "no valid credentials for the host";
        assert!(failed.message().contains(text), "{failed:?}");
        assert!(!failed.message().contains("eyJ"), "{failed:?}");
    }
    assert_eq!(world.exchanges(), 1);
    world.refuse(None);
    while world.exchanges() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while world.call().await.is_err() {}
    assert_eq!(world.exchanges(), 2);
}

#[tokio::test]
async fn without_an_identity_token_nothing_is_asked() {
    let world = World::start().await;
    std::fs::remove_file(world.identity.path()).unwrap();
    let failed = world.call().await.unwrap_err();
    assert_eq!(reason(&failed), "UPSTREAM_AUTH");
    assert_eq!(world.exchanges(), 0);
    // As large as no token is, and as none is either.
    for text in ["x".repeat(16 * 1024 + 1), " \n".to_owned()] {
        std::fs::write(world.identity.path(), text).unwrap();
        pass(Duration::from_secs(60)).await;
        assert!(world.call().await.is_err());
        assert_eq!(world.exchanges(), 0);
    }
}

#[tokio::test]
async fn a_call_cannot_choose_another_workspace() {
    let world = World::start().await;
    let of = |workspace: &str| {
        let mut request = tonic::Request::new(ask("Hello"));
        let metadata = request.metadata_mut();
        metadata.insert("anthropic-workspace-id", workspace.parse().unwrap());
        request
    };
    let mut grpc = world.grpc.clone();
    grpc.generate(of("wrkspc_1")).await.unwrap();
    let refused = grpc.generate(of("wrkspc_2")).await.unwrap_err();
    assert_eq!(reason(&refused), "HOST_UNAVAILABLE");
    assert_eq!(world.api.lock().unwrap().calls.len(), 1);
}
