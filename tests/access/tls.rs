//! TLS, certificates of callers, and new certificates without a restart.

use crate::{
    certificates::{self, Ca, Signed},
    harness::{Running, Setup, assert_unauthenticated, prompt},
};
use claude_grpc::{
    access::RejectReason,
    proto::v1::claude_service_client::ClaudeServiceClient,
    secrets::{Reload, Watcher},
    server::TlsConfig,
};
use std::{fs, path::Path, time::Duration};
use tonic::{
    Status,
    transport::{self, Channel, Endpoint},
};

const ID: &str = "spiffe://example.org/ns/reports/sa/default";

const CLIENTS: &str = "
[[clients]]
name = 'reports'
certificates = ['spiffe://example.org/ns/reports/sa/default']
";

/// Writes the server's files; gives their configuration.
fn served(dir: &Path, signed: &Signed, client_ca: Option<&Ca>) -> TlsConfig {
    certificates::write(dir, signed, client_ca);
    TlsConfig {
        cert_file: Some(dir.join("tls.crt")),
        key_file: Some(dir.join("tls.key")),
        client_ca_file: client_ca.map(|_| dir.join("ca.crt")),
        client_cert_required: false,
    }
}

async fn connect(
    server: &Running,
    ca: &Ca,
    caller: Option<&Signed>,
) -> Result<Channel, transport::Error> {
    ca.connect(&server.address.to_string(), caller).await
}

async fn generate(channel: Channel) -> Result<(), Status> {
    let mut client = ClaudeServiceClient::new(channel);
    client.generate(prompt()).await.map(|_| ())
}

#[tokio::test]
async fn the_name_in_a_certificate_stands_for_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let mut setup = Setup::new(CLIENTS);
    setup.server.tls = served(dir.path(), &ca.server(), Some(&ca));
    let server = setup.start().await;

    let known = connect(&server, &ca, Some(&ca.caller(ID))).await.unwrap();
    generate(known).await.unwrap();
    assert_eq!(server.api.calls(), 1);

    let stranger = ca.caller("spiffe://example.org/ns/other/sa/default");
    let stranger = connect(&server, &ca, Some(&stranger)).await.unwrap();
    assert_unauthenticated(&generate(stranger).await.unwrap_err());
    assert_eq!(server.refusals(RejectReason::UnknownCertificate), 1);
    let nameless = connect(&server, &ca, None).await.unwrap();
    assert_unauthenticated(&generate(nameless).await.unwrap_err());
    assert_eq!(server.refusals(RejectReason::Missing), 1);

    // The right name from the wrong CA. TLS 1.3 lets the caller learn of its
    // refusal with the first call only.
    let forged = Ca::new().caller(ID);
    if let Ok(channel) = connect(&server, &ca, Some(&forged)).await {
        generate(channel).await.unwrap_err();
    }
    assert_eq!(server.api.calls(), 1);
}

#[tokio::test]
async fn a_required_certificate_is_required_of_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let mut setup = Setup::new(CLIENTS);
    setup.server.tls = TlsConfig {
        client_cert_required: true,
        ..served(dir.path(), &ca.server(), Some(&ca))
    };
    let server = setup.start().await;
    let known = connect(&server, &ca, Some(&ca.caller(ID))).await.unwrap();
    generate(known).await.unwrap();
    if let Ok(channel) = connect(&server, &ca, None).await {
        generate(channel).await.unwrap_err();
    }
    assert_eq!(server.refusals(RejectReason::Missing), 0);
    assert_eq!(server.api.calls(), 1);
}

#[tokio::test]
async fn plain_text_and_silence_do_not_hold_up_others() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let mut setup = Setup::new(CLIENTS);
    setup.server.tls = served(dir.path(), &ca.server(), Some(&ca));
    let server = setup.start().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = tokio::net::TcpStream::connect(server.address)
            .await
            .unwrap();
        // The first byte of a handshake, and no more.
        tokio::io::AsyncWriteExt::write_all(&mut stream, &[22])
            .await
            .unwrap();
        silent.push(stream);
    }
    let plain = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    if let Ok(channel) = plain.connect().await {
        generate(channel).await.unwrap_err();
    }
    let known = connect(&server, &ca, Some(&ca.caller(ID))).await.unwrap();
    generate(known).await.unwrap();
}

/// Under load, and with a broken pair in between: certificate and key are two
/// files, so there may be a moment at which they do not fit.
#[tokio::test]
async fn a_new_certificate_and_ca_come_into_force_without_a_failed_call() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Ca::new(), Ca::new());
    let mut setup = Setup::new(CLIENTS);
    setup.server.tls = served(dir.path(), &first.server(), Some(&first));
    let server = setup.start().await;
    let tls = server.tls.clone().unwrap();
    let _watcher = Watcher::start(vec![tls.certificates().as_reload()]);
    let mut changes = tls.certificates().subscribe();
    changes.mark_unchanged();

    let channel = connect(&server, &first, Some(&first.caller(ID)))
        .await
        .unwrap();
    let load = tokio::spawn(async move {
        loop {
            generate(channel.clone()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });

    fs::write(dir.path().join("tls.key"), "no key").unwrap();
    while tls.certificates().counts().refused == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let still = connect(&server, &first, Some(&first.caller(ID)))
        .await
        .unwrap();
    generate(still).await.unwrap();

    served(dir.path(), &second.server(), Some(&second));
    // The files may come into force one by one.
    let in_force = async {
        loop {
            let fresh = connect(&server, &second, Some(&second.caller(ID))).await;
            if let Ok(channel) = fresh
                && generate(channel).await.is_ok()
            {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, in_force).await.unwrap();
    assert!(connect(&server, &first, None).await.is_err());
    assert!(!load.is_finished(), "no call has failed");
    load.abort();
    assert!(server.api.calls() > 10);
}
