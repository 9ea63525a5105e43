//! What strangers may do with the admin port, which authenticates nobody.

use crate::service::{Running, ask};
use claude_grpc::proto::v1::claude_service_client::ClaudeServiceClient;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// File descriptors of the service, and silent connections that would use them up.
const FILES: usize = 256;
const SILENT: usize = 300;

async fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn silent_connections_stop_neither_port() {
    let service = Running::start(&[], "").await;
    service.limit_files(FILES);
    let admin = service.admin_address();
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(connect_from("127.0.0.2", admin).await);
    }
    // A connection that the gRPC port has yet to accept.
    let called = async {
        let url = format!("http://{}", service.address);
        let mut grpc = ClaudeServiceClient::connect(url).await.unwrap();
        grpc.generate(ask("hello")).await.unwrap();
    };
    timeout(PATIENCE, called).await.unwrap();
    let (status, _) = timeout(PATIENCE, service.get("/livez")).await.unwrap();
    assert_eq!(status, 200);
    service.until_logged("admin.max_connections").await;
    assert!(service.log().contains("127.0.0.2"), "{}", service.log());
}

/// Whether the peer closes the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = stream.read(&mut byte);
    matches!(timeout(PATIENCE, read).await, Ok(Ok(0) | Err(_)))
}

async fn livez(stream: &mut TcpStream) -> String {
    let request = b"GET /livez HTTP/1.0\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    timeout(PATIENCE, read).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn a_scraper_finds_room_among_silent_connections_of_all_peers() {
    let service = Running::start_with_admin(&[], "max_connections = 8\n", "").await;
    let admin = service.admin_address();
    let mut silent = Vec::new();
    for index in 0..8 {
        let source = format!("127.0.0.{}", 2 + index / 2);
        silent.push(connect_from(&source, admin).await);
    }
    // The last one is accepted once the first one has made room.
    for round in 0..4 {
        let mut scraper = connect_from("127.0.0.9", admin).await;
        let answer = livez(&mut scraper).await;
        assert!(answer.starts_with("HTTP/1.0 200"), "{round}: {answer}");
    }
    assert!(is_closed(&mut silent[0]).await);
    service
        .until_logged("closed the oldest idle connection")
        .await;
}

#[tokio::test]
async fn what_finds_no_room_is_closed() {
    let service = Running::start_with_admin(&[], "max_connections = 2\n", "").await;
    let admin = service.admin_address();
    let begun = b"PUT /log-level HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\
                  expect: 100-continue\r\n\r\n";
    let mut busy = Vec::new();
    for source in ["127.0.0.2", "127.0.0.3"] {
        let mut stream = connect_from(source, admin).await;
        stream.write_all(begun).await.unwrap();
        // It waits for the body.
        let mut answer = [0; 21];
        let read = stream.read_exact(&mut answer);
        timeout(PATIENCE, read).await.unwrap().unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 100"));
        busy.push(stream);
    }
    let mut third = connect_from("127.0.0.4", admin).await;
    assert!(is_closed(&mut third).await);
    drop(busy);
    // A place is free once the service has seen that.
    let free = async {
        loop {
            let mut stream = connect_from("127.0.0.4", admin).await;
            let _ = stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").await;
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            if answer.starts_with("HTTP/1.0 200") {
                break;
            }
        }
    };
    timeout(PATIENCE, free).await.unwrap();
}

/// DNS rebinding: a page whose name resolves to this address now.
#[tokio::test]
async fn only_hosts_of_its_own_are_answered() {
    let allowed = "allowed_hosts = ['metrics.example.com']\n";
    let service = Running::start_with_admin(&[], allowed, "").await;
    let client = reqwest::Client::new();
    let status = async |host: &str, path: &str| {
        let request = client.get(format!("{}{path}", service.admin));
        let response = request.header("host", host).send().await.unwrap();
        response.status().as_u16()
    };
    for path in [
        "/metrics",
        "/livez",
        "/readyz",
        "/status",
        "/log-level",
        "/no",
    ] {
        assert_eq!(status("evil.example", path).await, 421, "{path}");
        assert_eq!(status("evil.example:9464", path).await, 421, "{path}");
    }
    for host in [
        "10.1.2.3:9464",
        "[2001:db8::1]:9464",
        "localhost",
        "localhost:9464",
        "metrics.example.com",
        "Metrics.example.com:80",
    ] {
        assert_eq!(status(host, "/metrics").await, 200, "{host}");
    }
    let changed = client
        .put(format!("{}/log-level", service.admin))
        .header("host", "evil.example")
        .body("trace")
        .send();
    assert_eq!(changed.await.unwrap().status().as_u16(), 421);
}

/// As a health check over HTTP/1.0 asks, and as a proxy is asked.
#[tokio::test]
async fn a_request_without_a_host_is_answered_and_one_for_another_is_not() {
    let service = Running::start(&[], "").await;
    let admin = service.admin_address();
    for (head, expected) in [
        ("GET /livez HTTP/1.0\r\n", "200"),
        (
            "GET http://evil.example/livez HTTP/1.1\r\nhost: localhost\r\n",
            "421",
        ),
        (
            "GET /livez HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n",
            "421",
        ),
        ("GET /livez HTTP/1.1\r\nhost: \u{e9}\r\n", "421"),
    ] {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        let request = format!("{head}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        timeout(PATIENCE, read).await.unwrap().unwrap();
        assert!(
            answer.contains(&format!(" {expected} ")),
            "{head}: {answer}"
        );
    }
}
