//! What an attack has at hand: connections whose bytes are counted and limited,
//! and a record of what came back.

use super::process::Pod;
use crate::attacker::{GOAWAY, HEADERS, RST_STREAM, begun, shake_hands};
use bytes::Bytes;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::client::TlsStream;
use tonic::Status;

/// Frames are sent in pieces of this size.
const PIECE: usize = 16 * 1024;

/// Where the attacker is.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The attacker: where it attacks, with what, and what it got. Cloning is cheap.
#[derive(Clone)]
pub struct Attacker(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    admin: SocketAddr,
    key: String,
    ca: Option<String>,
    budget: u64,
    sent: AtomicU64,
    stopped: AtomicBool,
    got: Mutex<BTreeMap<String, u64>>,
}

impl Attacker {
    /// An attacker that may send this number of bytes.
    pub fn new(pod: &Pod, budget: u64) -> Attacker {
        Attacker(Arc::new(Shared {
            address: pod.address,
            admin: pod.admin,
            key: pod.keys[1].clone(),
            ca: pod.ca.clone(),
            budget,
            sent: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            got: Mutex::default(),
        }))
    }

    /// The key of a client, for attacks by one that may call.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// Whether to begin anything more.
    pub fn goes_on(&self) -> bool {
        !self.0.stopped.load(Relaxed) && self.sent() < self.0.budget
    }

    /// Whether it must end.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Relaxed)
    }

    pub fn stop(&self) {
        self.0.stopped.store(true, Relaxed);
    }

    /// Bytes sent so far, TLS included.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Relaxed)
    }

    /// Records what came back.
    pub fn note(&self, what: impl Into<String>) {
        let mut got = self.0.got.lock().unwrap();
        *got.entry(what.into()).or_default() += 1;
    }

    /// What came back, with how often it did.
    pub fn got(&self) -> BTreeMap<String, u64> {
        self.0.got.lock().unwrap().clone()
    }

    /// A connection to the port, from another address than the good client's.
    pub async fn connect(&self) -> io::Result<Counted> {
        self.connect_from(ADDRESS).await
    }

    /// A connection to the port from this address.
    pub async fn connect_from(&self, source: Ipv4Addr) -> io::Result<Counted> {
        self.connect_to(self.0.address, source, None).await
    }

    /// The same with room for only a few responses.
    pub async fn connect_with_a_small_buffer(&self, source: Ipv4Addr) -> io::Result<Counted> {
        self.connect_to(self.0.address, source, Some(2_048)).await
    }

    /// A connection to the admin port.
    pub async fn connect_to_admin(&self) -> io::Result<Counted> {
        self.connect_to(self.0.admin, ADDRESS, None).await
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        source: Ipv4Addr,
        buffer: Option<u32>,
    ) -> io::Result<Counted> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind((source, 0).into())?;
        // Its ports are free again at once.
        socket.set_zero_linger()?;
        let io = socket.connect(address).await;
        if io.is_err() {
            self.note("refused");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Counted {
            io: io?,
            attacker: self.clone(),
        })
    }

    /// A connection after the TLS handshake.
    pub async fn connect_tls(&self) -> io::Result<TlsStream<Counted>> {
        let ca = self.0.ca.as_deref().expect("a pod with TLS");
        let shaken = shake_hands(self.connect().await?, ca).await;
        if shaken.is_err() {
            self.note("closed");
        }
        shaken
    }

    /// Sends the beginning of HTTP/2 and then frames until the peer closes, nothing
    /// is left, or it may send no more. Then it closes, and waits for the peer to.
    pub async fn flood(&self, frames: impl Iterator<Item = Vec<u8>>) {
        let Ok(io) = self.connect().await else { return };
        let (reader, mut writer) = tokio::io::split(io);
        let attacker = self.clone();
        let reading = tokio::spawn(async move { attacker.read_frames(reader).await });
        let mut piece = begun();
        for frame in frames {
            piece.extend(frame);
            if piece.len() < PIECE {
                continue;
            }
            let written = writer.write_all(&piece).await;
            piece.clear();
            if written.is_err() || reading.is_finished() || !self.goes_on() {
                break;
            }
        }
        let _ = writer.write_all(&piece).await;
        let _ = writer.shutdown().await;
        reading.await.unwrap();
    }

    /// Reads frames until the connection ends, and records those that end a call or
    /// the connection.
    async fn read_frames(&self, mut reader: impl AsyncRead + Unpin) {
        let mut payload = Vec::new();
        loop {
            let mut head = [0; 9];
            if reader.read_exact(&mut head).await.is_err() {
                break self.note("closed");
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            payload.resize(length, 0);
            if reader.read_exact(&mut payload).await.is_err() {
                break self.note("closed");
            }
            let reason = |at: usize| {
                let code = payload[at..at + 4].try_into().unwrap();
                format!("{:?}", Reason::from(u32::from_be_bytes(code)))
            };
            match head[3] {
                GOAWAY => self.note(format!("GOAWAY {}", reason(4))),
                RST_STREAM => self.note(format!("RST_STREAM {}", reason(0))),
                HEADERS => self.note("response"),
                _ => {}
            }
        }
    }

    /// HTTP/2 with streams that do what they like, and the window of each stream
    /// for what comes back. That of the connection is large: its library would close one
    /// on which many small frames wait.
    pub async fn http2(&self, window: u32) -> Option<SendRequest<Bytes>> {
        let io = self.connect().await.ok()?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        builder.initial_connection_window_size(16 << 20);
        let Ok((sender, connection)) = builder.handshake(io).await else {
            self.note("closed");
            return None;
        };
        let attacker = self.clone();
        tokio::spawn(async move {
            if connection.await.is_err() {
                attacker.note("connection closed");
            }
        });
        Some(sender)
    }

    /// Begins a call with the key of a client, and sends a part of its body.
    pub async fn begin(
        &self,
        sender: &SendRequest<Bytes>,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<(ResponseFuture, h2::SendStream<Bytes>), h2::Error> {
        let mut sender = sender.clone().ready().await?;
        let mut request = http::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("x-api-key", self.key());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, mut stream) = sender.send_request(request.body(()).unwrap(), false)?;
        if !body.is_empty() {
            stream.send_data(body, false)?;
        }
        Ok((response, stream))
    }

    /// A whole call, until its status is there. Returns whether it could begin: not
    /// when its connection has ended.
    pub async fn call(
        &self,
        sender: &SendRequest<Bytes>,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> bool {
        match self.begin(sender, path, headers, body).await {
            Err(error) => {
                self.note(ended_by(&error));
                false
            }
            Ok((response, mut stream)) => {
                let _ = stream.send_data(Bytes::new(), true);
                self.end(response).await;
                true
            }
        }
    }

    /// Reads a response to its end, and records its status.
    pub async fn end(&self, response: ResponseFuture) {
        let what = match status_of(response).await {
            Ok(status) => format!("{:?}", status.code()),
            Err(error) => ended_by(&error),
        };
        self.note(what);
    }
}

async fn status_of(response: ResponseFuture) -> Result<Status, h2::Error> {
    let response = response.await?;
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Ok(status);
    }
    let http = response.status();
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let length = data?.len();
        let _ = body.flow_control().release_capacity(length);
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    let unknown = || Status::unknown(format!("HTTP {http}"));
    Ok(Status::from_header_map(&trailers).unwrap_or_else(unknown))
}

fn ended_by(error: &h2::Error) -> String {
    match error.reason() {
        Some(reason) if error.is_reset() => format!("RST_STREAM {reason:?}"),
        Some(reason) => format!("GOAWAY {reason:?}"),
        None => "closed".to_owned(),
    }
}

/// A connection whose sent bytes count.
pub struct Counted {
    io: TcpStream,
    attacker: Attacker,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let left = self.attacker.0.budget.saturating_sub(self.attacker.sent());
        if left == 0 {
            return Poll::Ready(Err(io::Error::other("the attacker may send no more")));
        }
        let bytes = &bytes[..bytes.len().min(left as usize)];
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.attacker.0.sent.fetch_add(*count as u64, Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
