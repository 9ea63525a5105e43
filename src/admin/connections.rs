//! The connections of the admin port, and what bounds them.
//!
//! The port authenticates nobody. Without bounds, silent connections could use up
//! the file descriptors of the process, and the gRPC port would accept no more.

use crate::server::{ConnectionPlace, LimitedListener, NewConnection, OpenRequests};
use axum::Router;
use http::Request;
use hyper::{body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{pin::pin, time::Duration};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tower::ServiceExt;

/// How long a peer may take for the head of a request, the time before its first
/// byte included. Longer than most scrape intervals, so that scrapers keep their
/// connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Age at which a connection is closed, so that a peer that sends a body or reads
/// a response slowly holds it no longer.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);

/// How long the last request on a connection may take.
const GRACE: Duration = Duration::from_secs(10);

/// Maximum size of the head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Serves connections until dropped.
pub async fn serve(listener: LimitedListener, routes: Router) {
    loop {
        let NewConnection { stream, place } = listener.accept().await;
        tokio::spawn(serve_connection(stream, place, routes.clone()));
    }
}

async fn serve_connection(stream: TcpStream, place: ConnectionPlace, routes: Router) {
    let requests = place.requests().clone();
    place.run(serve_http(stream, requests, routes)).await;
}

async fn serve_http(stream: TcpStream, requests: OpenRequests, routes: Router) {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES);
    let service = service_fn(move |request: Request<Incoming>| {
        let open = requests.begin();
        let response = routes.clone().oneshot(request);
        async move {
            let _open = open;
            response.await
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // A broken connection concerns only its peer.
        _ = connection.as_mut() => return,
        () = sleep(MAX_AGE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}
