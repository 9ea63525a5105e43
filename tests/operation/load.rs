//! Callers of every kind that never stop, and count each failure.

use crate::certificates::{self, Signed};
use claude_grpc::{
    access::signature::{Signer, SigningLayer},
    proto::v1::{self, claude_service_client::ClaudeServiceClient},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{Request, Status, transport::Channel};

/// How many calls a caller makes over one connection.
const CALLS_OF_A_CONNECTION: usize = 5;

/// What callers show, and whom they trust, from their next call on.
#[derive(Clone)]
pub struct Shown {
    pub key: String,
    pub signing: (String, String),
    pub roots: String,
    pub certificate: Signed,
}

/// How a caller calls.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Keyed,
    Streamed,
    Signed,
    Certified,
}

const CALLERS: [Kind; 6] = [
    Kind::Keyed,
    Kind::Keyed,
    Kind::Streamed,
    Kind::Streamed,
    Kind::Signed,
    Kind::Certified,
];

/// The callers.
pub struct Load {
    pub shown: Arc<Mutex<Shown>>,
    calls: Arc<[AtomicU64; CALLERS.len()]>,
    failures: Arc<Mutex<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn start(address: SocketAddr, shown: Shown) -> Load {
        let mut load = Load {
            shown: Arc::new(Mutex::new(shown)),
            calls: Arc::default(),
            failures: Arc::default(),
            tasks: Vec::new(),
        };
        for (number, kind) in CALLERS.into_iter().enumerate() {
            let shown = Arc::clone(&load.shown);
            let (calls, failures) = (Arc::clone(&load.calls), Arc::clone(&load.failures));
            load.tasks.push(tokio::spawn(async move {
                loop {
                    if let Err(failure) = connection(address, kind, &shown, &calls[number]).await {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{kind:?}: {failure}"));
                        sleep(Duration::from_millis(50)).await;
                    }
                }
            }));
        }
        load
    }

    /// Waits until every caller has begun and ended a call from now on, so that
    /// none is under way that began before; and that no call has failed.
    pub async fn goes_on(&self) {
        let counts = || self.calls.each_ref().map(|it| it.load(Ordering::SeqCst));
        let before = counts();
        let past = async {
            while !before.iter().zip(counts()).all(|(one, now)| now >= one + 2) {
                self.assert_no_failure();
                sleep(Duration::from_millis(5)).await;
            }
        };
        let past = timeout(Duration::from_secs(60), past).await;
        past.expect("every caller goes on");
        self.assert_no_failure();
    }

    pub fn calls(&self) -> u64 {
        self.calls.iter().map(|it| it.load(Ordering::SeqCst)).sum()
    }

    fn assert_no_failure(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:#?}");
    }

    /// What they show from now on.
    pub fn show(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock().unwrap());
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Some calls over a new connection.
async fn connection(
    address: SocketAddr,
    kind: Kind,
    shown: &Mutex<Shown>,
    calls: &AtomicU64,
) -> Result<(), String> {
    let now = shown.lock().unwrap().clone();
    let certificate = matches!(kind, Kind::Certified).then_some(&now.certificate);
    let channel = certificates::connect(&address.to_string(), &now.roots, certificate).await;
    let channel = channel.map_err(|error| format!("{error:?}"))?;
    for _ in 0..CALLS_OF_A_CONNECTION {
        let now = shown.lock().unwrap().clone();
        call(channel.clone(), kind, &now)
            .await
            .map_err(|status| format!("{status:?}"))?;
        calls.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn call(channel: Channel, kind: Kind, shown: &Shown) -> Result<(), Status> {
    let mut grpc = ClaudeServiceClient::new(channel.clone());
    match kind {
        Kind::Certified => grpc.generate(prompt()).await.map(|_| ()),
        Kind::Keyed => keyed(channel, &shown.key).await,
        Kind::Signed => signed(channel, &shown.signing).await,
        Kind::Streamed => {
            let mut request = Request::new(v1::GenerateStreamRequest {
                request: Some(prompt()),
            });
            request
                .metadata_mut()
                .insert("x-api-key", shown.key.parse().unwrap());
            let mut events = grpc.generate_stream(request).await?.into_inner();
            while events.message().await?.is_some() {}
            Ok(())
        }
    }
}

/// One call with a key.
pub async fn keyed(channel: Channel, key: &str) -> Result<(), Status> {
    let mut request = Request::new(prompt());
    request
        .metadata_mut()
        .insert("x-api-key", key.parse().unwrap());
    let answer = ClaudeServiceClient::new(channel).generate(request).await;
    answer.map(|_| ())
}

/// One call that is signed.
pub async fn signed(channel: Channel, signing: &(String, String)) -> Result<(), Status> {
    let (id, secret) = signing.clone();
    let layer = SigningLayer::new(Signer::new(id, secret.into()));
    let signed = tower::ServiceBuilder::new().layer(layer).service(channel);
    let answer = ClaudeServiceClient::new(signed).generate(prompt()).await;
    answer.map(|_| ())
}

fn prompt() -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: "Name three rivers.".to_owned(),
            ..v1::Message::default()
        }],
        ..v1::GenerateRequest::default()
    }
}
