//! The connections of the simulator: TLS, HTTP/2, and how they end.

use crate::{Running, body, events, start};
use claude_grpc::simulator::{
    Behaviour, ConnectionsConfig, Simulator, SimulatorConfig, SimulatorTlsConfig,
};
use reqwest::{Certificate, Client, Version};
use serde_json::json;
use std::{error::Error, fs, path::Path, time::Duration};
use tokio::net::TcpStream;

/// A simulator with TLS, and a client that trusts it.
async fn start_tls(connections: ConnectionsConfig) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.crt");
    let mut running = start(SimulatorConfig {
        tls: generated(&ca_file),
        connections,
        ..SimulatorConfig::default()
    })
    .await;
    let ca = Certificate::from_pem(&fs::read(ca_file).unwrap()).unwrap();
    // Without the retries that the client makes of its own after a refused stream.
    let client = Client::builder().retry(reqwest::retry::never());
    let client = client.tls_certs_only([ca]);
    running.client = client.build().unwrap();
    running
}

fn generated(ca_file: &Path) -> SimulatorTlsConfig {
    SimulatorTlsConfig {
        generated_ca_file: Some(ca_file.to_owned()),
        ..SimulatorTlsConfig::default()
    }
}

/// The code of the reset that ended a request.
fn reset(error: &reqwest::Error) -> Option<h2::Reason> {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut causes = causes.filter_map(|cause| cause.downcast_ref::<h2::Error>());
    causes.find_map(h2::Error::reason)
}

#[tokio::test]
async fn a_client_that_trusts_the_ca_chooses_the_version() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.crt");
    let mut simulator = start(SimulatorConfig {
        tls: generated(&ca_file),
        ..SimulatorConfig::default()
    })
    .await;
    assert!(simulator.base.starts_with("https://"));
    simulator.ask(json!({})).await.unwrap_err();

    let ca = fs::read(ca_file).unwrap();
    for version in [Version::HTTP_2, Version::HTTP_11] {
        let ca = Certificate::from_pem(&ca).unwrap();
        let mut client = Client::builder().tls_certs_only([ca]);
        if version == Version::HTTP_11 {
            client = client.http1_only();
        }
        simulator.client = client.build().unwrap();
        let response = simulator.ask(json!({"stream": true})).await.unwrap();
        assert_eq!(response.version(), version);
        assert!(events(response).await.1);
    }
}

#[tokio::test]
async fn a_certificate_of_files_is_served_and_a_wrong_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let [cert, key] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
    let names = vec!["127.0.0.1".to_owned()];
    let signed = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(&cert, signed.cert.pem()).unwrap();
    let pem = signed.signing_key.serialize_pem();
    claude_grpc::secrets::write_private(&key, pem.as_bytes()).unwrap();
    let config = |cert: &Path| SimulatorConfig {
        tls: SimulatorTlsConfig {
            cert_file: Some(cert.to_owned()),
            key_file: Some(key.clone()),
            generated_ca_file: None,
        },
        ..SimulatorConfig::default()
    };
    let mut simulator = start(config(&cert)).await;
    let trusted = Certificate::from_pem(signed.cert.pem().as_bytes()).unwrap();
    simulator.client = Client::builder().tls_certs_only([trusted]).build().unwrap();
    simulator.answer(json!({})).await;

    let missing = directory.path().join("missing.crt");
    let error = Simulator::bind(config(&missing)).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("missing.crt"), "{error}");
}

#[tokio::test]
async fn a_connection_states_how_many_streams_it_takes() {
    let simulator = start(SimulatorConfig {
        connections: ConnectionsConfig {
            max_concurrent_streams: 7,
            ..ConnectionsConfig::default()
        },
        ..SimulatorConfig::default()
    })
    .await;
    let address = simulator.base.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // The answer comes after the settings.
    let request = http::Request::get(format!("{}/nothing", simulator.base));
    let (answer, _) = sender
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    answer.await.unwrap();
    assert_eq!(sender.current_max_send_streams(), 7);
}

#[tokio::test]
async fn what_a_draining_connection_has_accepted_goes_on() {
    let simulator = start_tls(ConnectionsConfig {
        max_requests: 2,
        ..ConnectionsConfig::default()
    })
    .await;
    let slow = Duration::from_millis(20);
    simulator.handle.next([Behaviour::SlowBody { delay: slow }]);
    let streamed = simulator.ask(json!({"stream": true})).await.unwrap();
    for _ in 0..4 {
        simulator.answer(json!({})).await;
    }
    let (events, whole) = events(streamed).await;
    assert!(whole);
    assert_eq!(events.last().unwrap().0, "message_stop");
    let counts = simulator.handle.counts();
    assert_eq!((counts.requests, counts.connections_accepted), (5, 3));
}

#[tokio::test]
async fn a_connection_is_closed_at_its_age() {
    let simulator = start_tls(ConnectionsConfig {
        max_age: Duration::from_millis(50),
        ..ConnectionsConfig::default()
    })
    .await;
    simulator.answer(json!({})).await;
    simulator
        .handle
        .until(|counts| counts.connections_open == 0)
        .await;
    simulator.answer(json!({})).await;
    assert_eq!(simulator.handle.counts().connections_accepted, 2);
}

#[tokio::test]
async fn each_fault_of_the_transport_ends_what_it_should() {
    let simulator = start_tls(ConnectionsConfig::default()).await;
    simulator.handle.next([Behaviour::HangAfter { events: 1 }]);
    let mut held = simulator.ask(json!({"stream": true})).await.unwrap();
    held.chunk().await.unwrap().unwrap();

    // Streams end alone …
    for (behaviour, code) in [
        (Behaviour::RefusedStream, h2::Reason::REFUSED_STREAM),
        (Behaviour::Drop, h2::Reason::INTERNAL_ERROR),
    ] {
        simulator.handle.next([behaviour]);
        let error = simulator.ask(json!({})).await.unwrap_err();
        assert_eq!(reset(&error), Some(code), "{error:?}");
    }
    simulator.handle.next([Behaviour::GoAway]);
    simulator.answer(json!({})).await;
    assert_eq!(simulator.handle.counts().connections_open, 1);
    simulator.answer(json!({})).await;
    assert_eq!(simulator.handle.counts().connections_accepted, 2);

    // … connections with all their streams.
    simulator
        .handle
        .next([Behaviour::HangAfter { events: 1 }, Behaviour::Disconnect]);
    let mut cut = simulator.ask(json!({"stream": true})).await.unwrap();
    cut.chunk().await.unwrap().unwrap();
    let request = simulator.request("/v1/messages", &body(json!({})));
    request.send().await.unwrap_err();
    cut.chunk().await.unwrap_err();
    assert_eq!(simulator.handle.counts().in_flight, 1);
}
