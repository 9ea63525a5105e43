//! A peer whose every byte is the test's own, with the service in front of it.

use crate::support::{Grpc, connect, soon};
use claude_grpc::{
    access::Access,
    server::{Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    upstream::{Key, KeyScheme, Keys, ProxyVariables, RetryConfig, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::JoinHandle,
};

/// A request that reached the peer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The API key.
    pub key: String,
    /// The JSON body.
    pub body: Value,
}

impl Asked {
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    pub fn text(&self) -> &str {
        let content = &self.body["messages"][0]["content"];
        let block = &content[0]["text"];
        content.as_str().or(block.as_str()).unwrap_or_default()
    }
}

/// What the peer answers.
#[derive(Debug, Clone)]
pub struct Script {
    pub bytes: Vec<u8>,
    pub after: Duration,
    /// Closes the connection after the bytes.
    pub hangs_up: bool,
}

impl Script {
    /// An answer with a length.
    pub fn http(status: u16, headers: &[(&str, &str)], body: &str) -> Script {
        let length = body.len();
        let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        Script {
            bytes: format!("{text}\r\n{body}").into_bytes(),
            after: Duration::ZERO,
            hangs_up: false,
        }
    }

    /// An answer of the model, or an error of the API.
    pub fn json(status: u16, body: &Value) -> Script {
        let headers = [("content-type", "application/json")];
        Script::http(status, &headers, &body.to_string())
    }

    /// An error of the API.
    pub fn error(status: u16, kind: &str) -> Script {
        let error = json!({"type": kind, "message": "about the account"});
        Script::json(status, &json!({"type": "error", "error": error}))
    }

    /// Server-sent events, with `message_stop` or cut off before it.
    pub fn events(events: &[Value]) -> Script {
        let mut text = String::from("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        for event in events {
            let name = event["type"].as_str().unwrap_or_default();
            text.push_str(&format!("event: {name}\ndata: {event}\n\n"));
        }
        Script {
            bytes: text.into_bytes(),
            after: Duration::ZERO,
            hangs_up: true,
        }
    }

    /// A short answer, whole or streamed as the request asks.
    pub fn answer(asked: &Asked) -> Script {
        if asked.body["stream"] != true {
            return Script::json(200, &answer());
        }
        Script::events(&[
            json!({"type": "message_start", "message": started()}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ])
    }
}

/// A whole answer.
pub fn answer() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 7, "output_tokens": 9},
    })
}

/// The message of `message_start`.
pub fn started() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 7, "output_tokens": 1},
    })
}

type Reply = dyn Fn(&Asked) -> Script + Send + Sync;

/// The peer, with the service in front of it.
pub struct ScriptedWorld {
    pub grpc: Grpc,
    pub upstream: Upstream,
    asked: Arc<Mutex<Vec<Asked>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl ScriptedWorld {
    /// With one key, and retries that do not wait.
    pub async fn start(reply: impl Fn(&Asked) -> Script + Send + Sync + 'static) -> Self {
        ScriptedWorld::with(&["sk-1"], |_| {}, reply).await
    }

    pub async fn with(
        keys: &[&str],
        change: impl FnOnce(&mut UpstreamConfig),
        reply: impl Fn(&Asked) -> Script + Send + Sync + 'static,
    ) -> Self {
        ScriptedWorld::with_access(keys, change, None, reply).await
    }

    /// With a store in which the usage of clients is counted.
    pub async fn with_access(
        keys: &[&str],
        change: impl FnOnce(&mut UpstreamConfig),
        access: Option<&Access>,
        reply: impl Fn(&Asked) -> Script + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = UpstreamConfig {
            base_url: format!("http://{}", listener.local_addr().unwrap()),
            retry: RetryConfig {
                initial_backoff: Duration::from_millis(10),
                max_backoff: Duration::from_millis(20),
                ..RetryConfig::default()
            },
            ..UpstreamConfig::default()
        };
        change(&mut config);
        let asked = Arc::default();
        let peer = tokio::spawn(serve(listener, Arc::new(reply), Arc::clone(&asked)));
        let secrets: Vec<_> = keys.iter().map(|key| SecretString::from(*key)).collect();
        let keys = Keys::new(Key::numbered(KeyScheme::Bearer, &secrets).unwrap());
        let upstream =
            Upstream::with(&config, keys, &ProxyVariables::default(), None, access).unwrap();
        let service = Rpcs::new(upstream.client.clone(), ServiceConfig::default());
        let any_port = ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..ServerConfig::default()
        };
        let server = Server::bind(any_port, service).await.unwrap();
        let grpc = connect(server.local_addr().unwrap());
        ScriptedWorld {
            grpc,
            upstream,
            asked,
            tasks: vec![peer, tokio::spawn(server.run())],
        }
    }

    /// The requests so far.
    pub async fn asked(&self) -> Vec<Asked> {
        self.asked.lock().await.clone()
    }
}

impl Drop for ScriptedWorld {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn serve(listener: TcpListener, reply: Arc<Reply>, asked: Arc<Mutex<Vec<Asked>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, Arc::clone(&reply), Arc::clone(&asked)));
    }
}

async fn converse(mut stream: TcpStream, reply: Arc<Reply>, all: Arc<Mutex<Vec<Asked>>>) {
    let mut read = Vec::new();
    while let Some(asked) = request(&mut stream, &mut read).await {
        let script = reply(&asked);
        all.lock().await.push(asked);
        tokio::time::sleep(script.after).await;
        if stream.write_all(&script.bytes).await.is_err() || script.hangs_up {
            return;
        }
    }
}

/// The next request; `None` at the end of the connection.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some((asked, length)) = parsed(read) {
            read.drain(..length);
            return Some(asked);
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
}

fn parsed(read: &[u8]) -> Option<(Asked, usize)> {
    let end = read.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&read[..end]);
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(one, _)| one.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    };
    let length = header("content-length").map_or(0, |it| it.parse().unwrap());
    let body = read.get(end..end + length)?;
    let asked = Asked {
        key: header("authorization")?.replace("Bearer ", ""),
        body: serde_json::from_slice(body).unwrap_or_default(),
    };
    Some((asked, end + length))
}

/// Makes a call; the error's reason, or `ok`.
pub async fn outcome(
    world: &ScriptedWorld,
    request: impl tonic::IntoRequest<claude_grpc::proto::v1::GenerateRequest>,
) -> String {
    match soon(world.grpc.clone().generate(request)).await {
        Ok(_) => "ok".to_owned(),
        Err(status) => crate::support::reason(&status),
    }
}
