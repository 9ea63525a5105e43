//! What keeps a connection to the API from being made, and the proxies through
//! which it is made: over real sockets.

use crate::support::{ask, dead_address, reason, soon};
use claude_grpc::{
    proto::v1::claude_service_server::ClaudeService,
    secrets::write_private,
    service::{Rpcs, ServiceConfig},
    simulator::{Simulator, SimulatorConfig, SimulatorTlsConfig},
    upstream::{Key, Keys, ProxyVariables, RetryConfig, Upstream, UpstreamConfig},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use secrecy::SecretString;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use tonic::{Request, Status};
use tonic_types::StatusExt;

/// A name that no resolver has (RFC 6761).
const UNKNOWN_NAME: &str = "no-such-name.invalid";

/// Calls a service whose API is at this address.
async fn call(
    base_url: &str,
    ca_file: Option<&Path>,
    variables: &[(&str, String)],
) -> Result<(), Status> {
    let config = UpstreamConfig {
        base_url: base_url.to_owned(),
        ca_file: ca_file.map(Path::to_owned),
        retry: RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        },
        ..UpstreamConfig::default()
    };
    let proxies = ProxyVariables::read(|name| {
        let mut set = variables.iter();
        set.find(|(it, _)| *it == name)
            .map(|(_, value)| value.clone())
    });
    let keys = Keys::new([Key::new("key-1", &SecretString::from("sk-test")).unwrap()]);
    let upstream = Upstream::with(&config, keys, &proxies, None, None).unwrap();
    let service = Rpcs::new(upstream.client, ServiceConfig::default());
    let generated = ClaudeService::generate(&service, Request::new(ask("hello")));
    soon(generated).await.map(drop)
}

/// What the status says about the connection.
async fn failure(base_url: &str, ca_file: Option<&Path>, variables: &[(&str, String)]) -> String {
    let status = call(base_url, ca_file, variables).await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_UNREACHABLE", "{status:?}");
    let mut metadata = status.get_details_error_info().unwrap().metadata;
    let mut failure = metadata.remove("connectFailure").unwrap();
    if let Some(status) = metadata.get("proxyStatus") {
        failure = format!("{failure} {status}");
    }
    assert!(!format!("{status:?}").contains("hush"), "{status:?}");
    failure
}

/// An API over TLS whose certificate is for one name.
struct Api {
    address: SocketAddr,
    ca_file: PathBuf,
    _files: TempDir,
}

impl Api {
    async fn start(name: &str) -> Api {
        let files = tempfile::tempdir().unwrap();
        let [cert, key, ca_file] = ["tls.crt", "tls.key", "ca.crt"].map(|it| files.path().join(it));
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        fs::write(&cert, params.signed_by(&pair, &ca).unwrap().pem()).unwrap();
        write_private(&key, pair.serialize_pem().as_bytes()).unwrap();
        fs::write(&ca_file, ca.pem()).unwrap();
        let simulator = Simulator::bind(SimulatorConfig {
            tls: SimulatorTlsConfig {
                cert_file: Some(cert),
                key_file: Some(key),
                generated_ca_file: None,
            },
            ..SimulatorConfig::default()
        });
        let simulator = simulator.await.unwrap();
        let address = simulator.local_addr().unwrap();
        tokio::spawn(simulator.run());
        Api {
            address,
            ca_file,
            _files: files,
        }
    }
}

/// A proxy. It answers each request with a status, and opens a tunnel to one
/// address, whatever the request names, where that is 200.
struct Proxy {
    address: SocketAddr,
    /// The heads of the requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(status: &'static str, to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
        };
        let heads = Arc::clone(&proxy.heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heads = Arc::clone(&heads);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        stream.read_line(&mut head).await.unwrap();
                    }
                    let is_tunnel = head.starts_with("CONNECT ");
                    heads.lock().await.push(head.clone());
                    if status != "200 OK" {
                        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        return;
                    }
                    let mut api = TcpStream::connect(to).await.unwrap();
                    if is_tunnel {
                        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    } else {
                        api.write_all(head.as_bytes()).await.unwrap();
                    }
                    let _ = copy_bidirectional(&mut stream, &mut api).await;
                });
            }
        });
        proxy
    }

    fn url(&self) -> String {
        format!("http://me:hush@{}", self.address)
    }
}

#[tokio::test]
async fn each_failure_to_connect_is_named() {
    let dead = dead_address();
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://{}", UNKNOWN_NAME);
        assert_eq!(failure(&url, None, &[]).await, "dns");
        let url = format!("{scheme}://{dead}");
        assert_eq!(failure(&url, None, &[]).await, "refused");
    }
    let api = Api::start("api.example.com").await;
    let url = format!("https://{}", api.address);
    assert_eq!(failure(&url, None, &[]).await, "tls_issuer");
    assert_eq!(failure(&url, Some(&api.ca_file), &[]).await, "tls_name");

    let plain = Simulator::bind(SimulatorConfig::default()).await.unwrap();
    let url = format!("https://{}", plain.local_addr().unwrap());
    tokio::spawn(plain.run());
    assert_eq!(failure(&url, None, &[]).await, "tls");

    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", closing.local_addr().unwrap());
    tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    assert_eq!(failure(&url, None, &[]).await, "reset");
}

#[tokio::test]
async fn an_api_is_reached_through_the_proxy_of_the_environment() {
    let api = Api::start("api.example.com").await;
    let proxy = Proxy::start("200 OK", api.address).await;
    let variables = [("HTTPS_PROXY", proxy.url())];
    let call = call(
        "https://api.example.com:8443",
        Some(&api.ca_file),
        &variables,
    );
    call.await.unwrap();
    let heads = proxy.heads.lock().await;
    assert_eq!(heads.len(), 1, "{heads:?}");
    assert!(
        heads[0].starts_with("CONNECT api.example.com:8443 HTTP/1.1\r\n"),
        "{heads:?}"
    );
    let credentials = "proxy-authorization: Basic bWU6aHVzaA==\r\n";
    assert!(
        heads[0]
            .to_lowercase()
            .contains(&credentials.to_lowercase())
    );
    assert!(!heads[0].contains("sk-test"), "{heads:?}");
}

#[tokio::test]
async fn a_plaintext_api_is_asked_for_through_the_proxy() {
    let api = Simulator::bind(SimulatorConfig::default()).await.unwrap();
    let proxy = Proxy::start("200 OK", api.local_addr().unwrap()).await;
    tokio::spawn(api.run());
    let variables = [("ALL_PROXY", proxy.url())];
    call("http://api.example.com", None, &variables)
        .await
        .unwrap();
    let heads = proxy.heads.lock().await;
    assert!(
        heads[0].starts_with("POST http://api.example.com/v1/messages HTTP/1.1\r\n"),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_fails_is_named_with_its_status() {
    let api = Api::start("api.example.com").await;
    let https = "https://api.example.com";
    for (status, seen) in [
        ("407 Proxy Authentication Required", "proxy_rejected 407"),
        ("403 Forbidden", "proxy_rejected 403"),
    ] {
        let proxy = Proxy::start(status, api.address).await;
        let variables = [("HTTPS_PROXY", proxy.url())];
        assert_eq!(failure(https, None, &variables).await, seen);
        if seen.ends_with("407") {
            let variables = [("HTTP_PROXY", proxy.url())];
            assert_eq!(
                failure("http://api.example.com", None, &variables).await,
                seen
            );
        }
    }
    let dead = dead_address();
    for url in [https, "http://api.example.com"] {
        let variables = [("ALL_PROXY", format!("http://{dead}"))];
        assert_eq!(failure(url, None, &variables).await, "proxy_unreachable");
        let variables = [("ALL_PROXY", format!("http://{}", UNKNOWN_NAME))];
        assert_eq!(failure(url, None, &variables).await, "proxy_dns");
    }
    // What the API does wrong is not blamed on the proxy.
    let proxy = Proxy::start("200 OK", api.address).await;
    let variables = [("HTTPS_PROXY", proxy.url())];
    assert_eq!(failure(https, None, &variables).await, "tls_issuer");
}

#[tokio::test]
async fn what_is_on_loopback_or_excluded_is_reached_directly() {
    let dead = dead_address();
    let api = Simulator::bind(SimulatorConfig::default()).await.unwrap();
    let url = api.base_url().unwrap();
    tokio::spawn(api.run());
    let proxy = ("ALL_PROXY", format!("http://{dead}"));
    call(&url, None, std::slice::from_ref(&proxy))
        .await
        .unwrap();
    let url = format!("https://{}", UNKNOWN_NAME);
    let excluded = ("NO_PROXY", ".invalid".to_owned());
    assert_eq!(failure(&url, None, &[proxy, excluded]).await, "dns");
}

#[tokio::test]
async fn an_api_is_reached_through_a_socks_proxy() {
    let api = Api::start("api.example.com").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let to = api.address;
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // RFC 1928: no authentication, then a connection to a name.
        let mut offered = [0; 3];
        stream.read_exact(&mut offered).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.unwrap();
        let mut name = vec![0; usize::from(head[4]) + 2];
        stream.read_exact(&mut name).await.unwrap();
        let granted = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        stream.write_all(&granted).await.unwrap();
        let mut api = TcpStream::connect(to).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut api).await;
        (head[3], name)
    });
    let variables = [("ALL_PROXY", format!("socks5://{address}"))];
    let call = call("https://api.example.com", Some(&api.ca_file), &variables);
    call.await.unwrap();
    let (kind, name) = soon(served).await.unwrap();
    // The proxy resolves the name.
    assert_eq!(
        (kind, &name[..name.len() - 2]),
        (3, &b"api.example.com"[..])
    );
}
