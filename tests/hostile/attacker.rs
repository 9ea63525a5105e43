//! The attackers: functions over a stream of bytes, in plaintext or TLS.

use crate::{
    certificates::{self, Ca},
    support::{World, ask, soon},
};
use bytes::Bytes;
use claude_grpc::server::TlsConfig;
use h2::client::{ResponseFuture, SendRequest};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, pem::PemObject},
    },
};
use tonic::Status;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Frame types and flags of RFC 9113.
pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PUSH_PROMISE: u8 = 0x5;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;

pub const CHECK: &str = "/grpc.health.v1.Health/Check";
pub const WATCH: &str = "/grpc.health.v1.Health/Watch";
pub const GENERATE: &str = "/claude.v1.ClaudeService/Generate";
pub const CLASSIFY: &str = "/claude.v1.ClaudeService/Classify";
pub const PROCESS_ITEMS: &str = "/claude.v1.ClaudeService/ProcessItems";
pub const SUBMIT_BATCH: &str = "/claude.v1.BatchService/SubmitBatch";
pub const SUMMARIZE_DOCUMENT: &str = "/claude.v1.DocumentService/SummarizeDocument";
pub const GENERATE_STREAM: &str = "/claude.v1.ClaudeService/GenerateStream";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The preface and empty SETTINGS.
pub fn begun() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// The headers of a gRPC call in HPACK, without indexing, and further ones.
pub fn request_headers(path: &str, further: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // :method POST, :scheme http
    let usual = [
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in usual.iter().chain(further) {
        block.push(0x00); // literal, new name, not indexed
        block.extend(hpack_text(name));
        block.extend(hpack_text(value));
    }
    block
}

/// A text in HPACK, without Huffman coding.
pub fn hpack_text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => bytes.push(length),
        _ => {
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            bytes.push(rest as u8);
        }
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Odd stream ids, as clients use them.
pub fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|index| 2 * index + 1)
}

/// A connection from an address of its own, so that the peer is not that of the
/// good client.
pub async fn connect(address: SocketAddr) -> TcpStream {
    connect_from(Ipv4Addr::new(127, 0, 0, 2), address).await
}

/// A connection from this address.
pub async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// The same, after the TLS handshake.
pub async fn connect_tls(address: SocketAddr, ca: &str) -> TlsStream<TcpStream> {
    shake_hands(connect(address).await, ca).await.unwrap()
}

/// The TLS of a server with a new certificate of `ca`, whose files are in `directory`.
pub fn tls_of(ca: &Ca, directory: &Path) -> TlsConfig {
    certificates::write(directory, &ca.server(), None);
    TlsConfig {
        cert_file: Some(directory.join("tls.crt")),
        key_file: Some(directory.join("tls.key")),
        ..TlsConfig::default()
    }
}

/// TLS with a server of this CA over any connection.
pub async fn shake_hands<I>(io: I, ca: &str) -> io::Result<TlsStream<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let name = "localhost".try_into().unwrap();
    connector.connect(name, io).await
}

/// Sends the start, then the pieces with a pause after each, until the peer
/// closes or nothing is left; then waits for the end of the connection.
pub async fn dribble<I>(io: I, start: &[u8], pieces: impl Iterator<Item = Vec<u8>>)
where
    I: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(io);
    let reading = tokio::spawn(async move {
        // A reset instead of an end is an end as well.
        let _ = reader.read_to_end(&mut Vec::new()).await;
    });
    let _ = writer.write_all(start).await;
    for piece in pieces {
        if reading.is_finished() || writer.write_all(&piece).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    soon(reading).await.unwrap();
}

/// Waits until the peer closes a connection on which nothing is sent.
pub async fn closed(mut stream: TcpStream) {
    let _ = soon(stream.read_to_end(&mut Vec::new())).await;
}

/// HTTP/2 with streams that do what they like.
pub async fn http2(address: SocketAddr) -> SendRequest<Bytes> {
    http2_over(connect(address).await).await
}

/// The same over a connection.
pub async fn http2_over(stream: TcpStream) -> SendRequest<Bytes> {
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends the head of a call, and the bytes of a body that does not end. Gives
/// the response, and the stream, which ends when it is dropped.
pub async fn half_open(
    sender: &SendRequest<Bytes>,
    path: &str,
    body: &'static [u8],
) -> (ResponseFuture, h2::SendStream<Bytes>) {
    let mut sender = soon(sender.clone().ready()).await.unwrap();
    let request = http::Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut stream) = sender.send_request(request, false).unwrap();
    stream.send_data(Bytes::from_static(body), false).unwrap();
    (response, stream)
}

/// The status of a call, in its headers or its trailers.
pub async fn status(response: ResponseFuture) -> Status {
    let response = soon(response).await.unwrap();
    if let Some(status) = Status::from_header_map(response.headers()) {
        return status;
    }
    let mut body = response.into_body();
    while let Some(data) = soon(body.data()).await {
        let _ = body.flow_control().release_capacity(data.unwrap().len());
    }
    let trailers = soon(body.trailers()).await.unwrap().unwrap();
    Status::from_header_map(&trailers).unwrap()
}

pub async fn others_notice_nothing(world: &World) {
    let mut grpc = crate::support::connect(world.address);
    soon(grpc.generate(ask("hello"))).await.unwrap();
    assert_eq!(world.upstream.hosts[0].concurrency_limit.in_use(), 0);
}
