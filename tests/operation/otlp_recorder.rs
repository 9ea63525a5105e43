//! A collector that keeps every byte it gets.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri},
};
use std::sync::{Arc, Mutex};
use tokio::{net::TcpListener, task::JoinHandle};

/// Path, and what was sent there.
type Kept = Arc<Mutex<Vec<(String, Bytes)>>>;

/// The running collector.
pub struct Sink {
    pub url: String,
    kept: Kept,
    task: JoinHandle<()>,
}

impl Sink {
    pub async fn start() -> Sink {
        let kept = Kept::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(keep).with_state(Arc::clone(&kept));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Sink { url, kept, task }
    }

    /// All that was sent to a path.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        let kept = self.kept.lock().unwrap();
        let sent = kept.iter().filter(|(to, _)| to == path);
        sent.flat_map(|(_, bytes)| bytes.to_vec()).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(State(kept): State<Kept>, uri: Uri, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    // What is compressed cannot be searched.
    assert!(!headers.contains_key("content-encoding"));
    kept.lock().unwrap().push((uri.path().to_owned(), body));
    Vec::new()
}
