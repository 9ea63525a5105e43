//! An upstream that costs next to nothing: bytes made beforehand, written as
//! soon as a request is read, with the headers and the forms that the Claude
//! API sends.

use super::{any_port, idle::Idle};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Deltas of a streamed answer, unless a script says otherwise.
pub const DELTAS: usize = 18;

const WORDS: [&str; 6] = ["Hi", " it", " is", " good", " to", " hear"];

const HEADERS: &str = "HTTP/1.1 200 OK\r\n\
    date: Tue, 24 Nov 2026 12:00:00 GMT\r\n\
    request-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n\
    anthropic-organization-id: a1b2c3\r\n\
    anthropic-ratelimit-requests-limit: 100000000\r\n\
    anthropic-ratelimit-requests-remaining: 99999999\r\n\
    anthropic-ratelimit-requests-reset: 2026-11-24T12:00:00Z\r\n\
    anthropic-ratelimit-input-tokens-limit: 100000000000\r\n\
    anthropic-ratelimit-input-tokens-remaining: 99999999000\r\n\
    anthropic-ratelimit-input-tokens-reset: 2026-11-24T12:00:00Z\r\n\
    anthropic-ratelimit-output-tokens-limit: 100000000000\r\n\
    anthropic-ratelimit-output-tokens-remaining: 99999999000\r\n\
    anthropic-ratelimit-output-tokens-reset: 2026-11-24T12:00:00Z\r\n";

const CHOICE: &str =
    r#"{\"label\":\"bug\",\"confidences\":{\"label_1\":0.04,\"label_2\":0.95,\"label_3\":0.01}}"#;

/// How it answers.
#[derive(Clone, Copy)]
pub struct Script {
    /// Deltas of a streamed answer.
    pub deltas: usize,
    /// Whether each delta waits for [`Upstream::send_next`]. Otherwise a
    /// streamed answer is written in one piece.
    pub one_by_one: bool,
}

/// A running upstream.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    /// Before it writes, it waits for the process that is watched here.
    pub idle: Idle,
    permits: Arc<Semaphore>,
}

impl Upstream {
    /// Starts it on a port of its own.
    pub async fn start(script: Script) -> Upstream {
        let listener = TcpListener::bind(any_port()).await.expect("a free port");
        let upstream = Upstream {
            address: listener.local_addr().expect("its address"),
            idle: Idle::default(),
            permits: Arc::new(Semaphore::new(0)),
        };
        let answers = Arc::new(Answers::new(script));
        let this = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(this.clone().serve(stream, answers.clone()));
            }
        });
        upstream
    }

    /// Lets it write the next delta, or after the last one the end.
    pub fn send_next(&self) {
        self.permits.add_permits(1);
    }

    /// Answers the requests of one connection until it is closed.
    async fn serve(self, mut stream: TcpStream, answers: Arc<Answers>) {
        let mut buffer = Vec::new();
        while let Some(body) = read(&mut stream, &mut buffer).await {
            let is_stream = has(&body, br#""stream":true"#);
            let has_schema = has(&body, br#""json_schema""#);
            self.idle.wait().await;
            let written = match (is_stream, has_schema) {
                (true, _) if answers.is_one_by_one => {
                    self.one_by_one(&mut stream, &answers.streamed).await
                }
                (true, _) => stream.write_all(&answers.streamed.concat()).await,
                (false, true) => stream.write_all(&answers.classified).await,
                (false, false) => stream.write_all(&answers.generated).await,
            };
            if written.is_err() {
                break;
            }
        }
    }

    async fn one_by_one(&self, stream: &mut TcpStream, parts: &[Vec<u8>]) -> io::Result<()> {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.permits
                    .acquire()
                    .await
                    .expect("it stays open")
                    .forget();
                self.idle.wait().await;
            }
            stream.write_all(part).await?;
        }
        Ok(())
    }
}

/// The bytes of each answer.
struct Answers {
    is_one_by_one: bool,
    generated: Vec<u8>,
    classified: Vec<u8>,
    /// The beginning of a stream, each delta, the end.
    streamed: Vec<Vec<u8>>,
}

impl Answers {
    fn new(script: Script) -> Answers {
        Answers {
            is_one_by_one: script.one_by_one,
            generated: whole(&text(script.deltas), script.deltas),
            classified: whole(CHOICE, DELTAS),
            streamed: streamed(script.deltas),
        }
    }
}

fn text(deltas: usize) -> String {
    WORDS.into_iter().cycle().take(deltas).collect()
}

fn message(content: &str, stop_reason: &str, output_tokens: usize) -> String {
    format!(
        r#"{{"id":"msg_013Zva2CMHLNnXjNJJKqJ2EF","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[{content}],"stop_reason":{stop_reason},"stop_sequence":null,"stop_details":null,"usage":{{"input_tokens":9,"output_tokens":{output_tokens},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},"service_tier":"standard"}}}}"#
    )
}

fn whole(text: &str, output_tokens: usize) -> Vec<u8> {
    let block = format!(r#"{{"type":"text","text":"{text}","citations":null}}"#);
    let body = message(&block, r#""end_turn""#, output_tokens);
    let length = body.len();
    format!("{HEADERS}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn streamed(deltas: usize) -> Vec<Vec<u8>> {
    let start = message("", "null", 1);
    let start = format!(r#"{{"type":"message_start","message":{start}}}"#);
    let mut first =
        format!("{HEADERS}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    first += &event("message_start", &start);
    first += &event(
        "content_block_start",
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    );
    first += &event("ping", r#"{"type":"ping"}"#);
    let words = WORDS.into_iter().cycle().take(deltas);
    let deltas_sent = words.map(|word| {
        let delta = format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{word}"}}}}"#
        );
        event("content_block_delta", &delta)
    });
    let mut last = event(
        "content_block_stop",
        r#"{"type":"content_block_stop","index":0}"#,
    );
    let end = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{deltas}}}}}"#
    );
    last += &event("message_delta", &end);
    last += &event("message_stop", r#"{"type":"message_stop"}"#);
    last += "0\r\n\r\n";
    let parts = std::iter::once(first).chain(deltas_sent).chain([last]);
    parts.map(String::into_bytes).collect()
}

/// One event as one chunk.
fn event(name: &str, data: &str) -> String {
    let event = format!("event: {name}\ndata: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

/// Reads one request and returns its body; `None` at the end.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let total = end + 4 + length(&buffer[..end]);
            if buffer.len() >= total {
                let body = buffer[end + 4..total].to_vec();
                buffer.drain(..total);
                return Some(body);
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let lines = head.lines();
    let length = lines
        .filter_map(|it| it.strip_prefix("content-length:"))
        .next();
    let length = length.expect("a request with a length");
    length.trim().parse().expect("a number")
}

fn has(body: &[u8], needle: &[u8]) -> bool {
    body.windows(needle.len()).any(|it| it == needle)
}
