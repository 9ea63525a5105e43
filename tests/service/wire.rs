//! An API that answers with bytes of the test's own, and a service in front of
//! it.

use crate::support::soon;
use claude_grpc::{
    proto::v1::{self, claude_service_server::ClaudeService},
    service::{Rpcs, ServiceConfig},
    upstream::{Key, Keys, Upstream, UpstreamConfig},
};
use secrecy::SecretString;
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_stream::StreamExt;
use tonic::{Request, Status};

/// A response: its content type and its body.
pub type WireAnswer = (&'static str, Vec<u8>);

pub fn json(body: &str) -> WireAnswer {
    ("application/json", body.as_bytes().to_owned())
}

pub fn events(body: &str) -> WireAnswer {
    ("text/event-stream", body.as_bytes().to_owned())
}

/// A service whose API gives the same answer to every request.
pub struct Wire {
    pub service: Rpcs,
    bodies: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Wire {
    pub async fn answering(status: u16, answer: WireAnswer) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&bodies);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (received, answer) = (Arc::clone(&received), answer.clone());
                tokio::spawn(serve(stream, status, answer, received));
            }
        });
        let config = UpstreamConfig {
            base_url,
            ..UpstreamConfig::default()
        };
        let key = Key::new("key-1", &SecretString::from("sk-test")).unwrap();
        let upstream = Upstream::new(&config, Keys::new([key])).unwrap();
        Wire {
            service: Rpcs::new(upstream.client, ServiceConfig::default()),
            bodies,
            serving,
        }
    }

    /// Bodies of the requests so far.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }

    pub async fn generate(
        &self,
        request: v1::GenerateRequest,
    ) -> Result<v1::GenerateResponse, Status> {
        let call = ClaudeService::generate(&self.service, Request::new(request));
        soon(call).await.map(tonic::Response::into_inner)
    }

    /// All events, and how the stream ended.
    pub async fn stream(
        &self,
        request: v1::GenerateRequest,
    ) -> (Vec<v1::generate_stream_response::Event>, Result<(), Status>) {
        let request = Request::new(crate::support::streamed(request));
        let mut events = Vec::new();
        let stream = soon(ClaudeService::generate_stream(&self.service, request)).await;
        let mut stream = match stream {
            Ok(response) => response.into_inner(),
            Err(status) => return (events, Err(status)),
        };
        while let Some(event) = soon(stream.next()).await {
            match event {
                Ok(event) => events.extend(event.event),
                Err(status) => return (events, Err(status)),
            }
        }
        (events, Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    status: u16,
    (kind, body): WireAnswer,
    bodies: Arc<Mutex<Vec<String>>>,
) {
    let mut read = Vec::new();
    loop {
        let Some((head, rest)) = split(&read) else {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.trim().parse().unwrap());
        let mut request = rest;
        while request.len() < length {
            stream.read_buf(&mut request).await.unwrap();
        }
        read = request.split_off(length);
        bodies
            .lock()
            .unwrap()
            .push(String::from_utf8(request).unwrap());
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\nrequest-id: req_wire\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    }
}

/// The head of a request and what follows it.
fn split(read: &[u8]) -> Option<(String, Vec<u8>)> {
    let end = read.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8(read[..end].to_owned()).unwrap();
    Some((head, read[end + 4..].to_owned()))
}
