//! Pages that make their visitor's browser call: nothing runs, over HTTP/2 with TLS,
//! without access control and with the visitor's certificate.

use crate::{
    certificates::{self, Ca, Signed},
    harness::{self, Running},
    support::{World, ask, soon},
    visitor::{Pages, Visitor},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use claude_grpc::{
    proto::v1::claude_service_client::ClaudeServiceClient,
    server::{ServerConfig, TlsConfig},
};
use prost::Message;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path};

const FORMS: &str = include_str!("forms.js");

/// A call over gRPC-Web, as its JavaScript library sends it.
const WEB_CALL: &str = "
    const [url, encoded, done] = arguments;
    const body = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
    const headers = { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' };
    fetch(url, { method: 'POST', headers, body })
        .then((response) => done(response.status), (error) => done(error.name));
";

const ID: &str = "spiffe://example.org/ns/reports/sa/default";

const CLIENTS: &str = "
[[clients]]
name = 'reports'
certificates = ['spiffe://example.org/ns/reports/sa/default']
";

/// What a foreign page learns of each form: most were answered, which they would not
/// be without the certificate where one is required.
fn answered() -> Value {
    json!({
        "plain": "opaque",
        "untyped": "opaque",
        "urlencoded": "opaque",
        "multipart": "opaque",
        "grpc": "opaque",
        "web": "opaque",
        "kept_alive": "opaque",
        "redirected": "opaque",
        "xhr": "status 0",
        "beacon": "finished",
        "nowhere": "opaque",
        "form_plain": "loaded",
        "form_urlencoded": "loaded",
        "form_multipart": "loaded",
        "img": "failed",
        "script": "failed",
        "asked_grpc": "TypeError",
        "asked_web": "TypeError",
    })
}

fn generate_at(address: SocketAddr) -> String {
    let port = address.port();
    format!("https://localhost:{port}/claude.v1.ClaudeService/Generate")
}

/// A complete call, in Base64.
fn message() -> String {
    let message = ask("hello").encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    BASE64_STANDARD.encode([&[0], &length[..], &message].concat())
}

/// Files of a server in a folder, and their configuration.
fn served(folder: &Path, ca: &Ca, client_cert_required: bool) -> TlsConfig {
    certificates::write(folder, &ca.server(), Some(ca));
    TlsConfig {
        cert_file: Some(folder.join("tls.crt")),
        key_file: Some(folder.join("tls.key")),
        client_ca_file: client_cert_required.then(|| folder.join("ca.crt")),
        client_cert_required,
    }
}

/// Opens a page of another origin, which tries every form. Returns what it learns.
async fn visit(visitor: &Visitor, page: &str, url: &str) -> Value {
    visitor.open(page).await;
    visitor.run(FORMS, &[url, &message()]).await
}

/// Opens a page of the service's own origin, as a name that resolves to another
/// address now (DNS rebinding) makes any page one, and calls.
async fn call_from_itself(visitor: &Visitor, url: &str) -> Value {
    visitor.open(url).await;
    visitor.run(WEB_CALL, &[url, &message()]).await
}

/// Calls as no browser does.
async fn call(ca: &Ca, address: SocketAddr, user: Option<&Signed>) {
    let channel = ca.connect(&address.to_string(), user).await.unwrap();
    let mut client = ClaudeServiceClient::new(channel);
    soon(client.generate(ask("hello"))).await.unwrap();
}

fn web(config: &mut ServerConfig, grpc_web: bool, origins: &[&str]) {
    config.grpc_web = grpc_web;
    config.cors_origins = origins.iter().map(|it| (*it).to_owned()).collect();
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and the tools of NSS"]
async fn a_foreign_page_runs_nothing() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let visitor = Visitor::with_certificate(&ca, &ca.caller(ID)).await;
    let pages = Pages::serve().await;
    for grpc_web in [false, true] {
        let world = World::with(|setup| {
            setup.server.tls = served(folder.path(), &ca, false);
            web(&mut setup.server, grpc_web, &[]);
        })
        .await;
        let url = generate_at(world.address);
        let learned = visit(&visitor, &pages.origin, &url).await;
        assert_eq!(world.attempts(), 0);
        assert_eq!(learned, answered());
        assert_eq!(call_from_itself(&visitor, &url).await, 403);
        call(&ca, world.address, None).await;
        assert_eq!(world.attempts(), 1);
    }
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and the tools of NSS"]
async fn a_page_of_a_configured_origin_calls_and_one_of_another_does_not() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let visitor = Visitor::with_certificate(&ca, &ca.caller(ID)).await;
    let pages = Pages::serve().await;
    let world = World::with(|setup| {
        setup.server.tls = served(folder.path(), &ca, false);
        web(&mut setup.server, true, &[&pages.origin]);
    })
    .await;
    let url = generate_at(world.address);
    let learned = visit(&visitor, &pages.other_origin, &url).await;
    assert_eq!(world.attempts(), 0);
    assert_eq!(learned, answered());
    visitor.open(&pages.origin).await;
    assert_eq!(visitor.run(WEB_CALL, &[&url, &message()]).await, 200);
    assert_eq!(world.attempts(), 1);
}

async fn mutual(folder: &Path, ca: &Ca, grpc_web: bool, origins: &[&str]) -> Running {
    let mut setup = harness::Setup::new(CLIENTS);
    setup.server.tls = served(folder, ca, true);
    web(&mut setup.server, grpc_web, origins);
    setup.start().await
}

#[tokio::test]
#[ignore = "needs chromium, chromedriver and the tools of NSS"]
async fn a_foreign_page_runs_nothing_with_its_visitors_certificate() {
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let user = ca.caller(ID);
    let visitor = Visitor::with_certificate(&ca, &user).await;
    let pages = Pages::serve().await;
    for grpc_web in [false, true] {
        let server = mutual(folder.path(), &ca, grpc_web, &[]).await;
        let url = generate_at(server.address);
        let learned = visit(&visitor, &pages.origin, &url).await;
        assert_eq!(server.api.calls(), 0);
        assert_eq!(learned, answered());
        assert_eq!(call_from_itself(&visitor, &url).await, 403);
        call(&ca, server.address, Some(&user)).await;
        assert_eq!(server.api.calls(), 1);
    }
    // The browser presents the certificate, and a page that may call does.
    let server = mutual(folder.path(), &ca, true, &["*"]).await;
    let url = generate_at(server.address);
    assert_eq!(call_from_itself(&visitor, &url).await, 200);
    assert_eq!(server.api.calls(), 1);
}
