//! The Claude API: the simulator, behind a front that knows which keys it
//! takes, and that is as talkative as an API could be.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use claude_grpc::simulator::{Handle, Simulator, SimulatorConfig};
use http::{HeaderMap, StatusCode};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request with this word in it is answered with an error that quotes it.
pub const ECHO: &str = "quote-me-as-an-error";

/// The running API.
pub struct Api {
    pub url: String,
    pub simulator: Handle,
    front: Arc<Front>,
    tasks: [JoinHandle<()>; 2],
}

struct Front {
    api: String,
    client: reqwest::Client,
    keys: Mutex<BTreeSet<String>>,
    /// Those that were shown and taken.
    used: Mutex<BTreeSet<String>>,
    refused: AtomicU64,
}

impl Api {
    /// Takes these keys.
    pub async fn start(keys: &[&str]) -> Api {
        let simulator = Simulator::bind(SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            time_to_first_token: Duration::ZERO,
            retry_after: Duration::from_millis(1),
            record: true,
            ..SimulatorConfig::default()
        });
        let simulator = simulator.await.unwrap();
        let front = Arc::new(Front {
            api: format!("http://{}", simulator.local_addr().unwrap()),
            client: reqwest::Client::new(),
            keys: Mutex::default(),
            used: Mutex::default(),
            refused: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&front));
        let handle = simulator.handle();
        let api = Api {
            url,
            simulator: handle,
            front,
            tasks: [
                tokio::spawn(simulator.run()),
                tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }),
            ],
        };
        api.take(keys);
        api
    }

    /// From now on, takes these keys and no others.
    pub fn take(&self, keys: &[&str]) {
        *self.front.keys.lock().unwrap() = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    /// Whether a key has been shown.
    pub fn used(&self, key: &str) -> bool {
        self.front.used.lock().unwrap().contains(key)
    }

    /// How many requests had another key.
    pub fn refused(&self) -> u64 {
        self.front.refused.load(Ordering::SeqCst)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn answer(State(front): State<Arc<Front>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let shown = key(&parts.headers);
    if !front.keys.lock().unwrap().contains(&shown) {
        front.refused.fetch_add(1, Ordering::SeqCst);
        let message = format!("invalid x-api-key: {shown}");
        return error(401, "authentication_error", &message);
    }
    front.used.lock().unwrap().insert(shown);
    let text = String::from_utf8_lossy(&body);
    if text.contains(ECHO) {
        return error(400, "invalid_request_error", &text);
    }
    front
        .pass(parts.method, parts.uri.path(), parts.headers, body)
        .await
}

fn key(headers: &HeaderMap) -> String {
    let bearer = headers.get("authorization").and_then(|it| it.to_str().ok());
    let plain = headers.get("x-api-key").and_then(|it| it.to_str().ok());
    let key = bearer.map(|it| it.trim_start_matches("Bearer "));
    key.or(plain).unwrap_or_default().to_owned()
}

fn error(status: u16, kind: &str, message: &str) -> Response {
    let body = serde_json::json!({
        "type": "error",
        "error": {"type": kind, "message": message},
    });
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("request-id", "req_front")
        .body(Body::from(body.to_string()))
        .unwrap()
}

impl Front {
    async fn pass(
        &self,
        method: http::Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let mut headers = headers;
        headers.remove("host");
        headers.remove("content-length");
        let request = self
            .client
            .request(method, format!("{}{path}", self.api))
            .headers(headers)
            .body(body);
        let Ok(answer) = request.send().await else {
            return error(StatusCode::BAD_GATEWAY.as_u16(), "api_error", "gone");
        };
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if name != "transfer-encoding" {
                response = response.header(name, value);
            }
        }
        response
            .body(Body::from_stream(answer.bytes_stream()))
            .unwrap()
    }
}
