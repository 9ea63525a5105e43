//! The admin port, for operators of the service.
//!
//! | path | what |
//! |---|---|
//! | `GET /metrics` | metrics for Prometheus |
//! | `GET /livez` | whether the process runs |
//! | `GET /readyz` | whether it accepts calls, and if not, why |
//! | `GET /status` | a page of live figures |
//! | `GET`, `PUT /log-level` | the log filter |
//!
//! It authenticates nobody: its connections are limited, and only requests for
//! hosts of its own are answered.

mod config;
mod connections;
mod gauges;
mod host;
mod last_minute;
mod page;
mod status;
mod view;

pub use config::{AdminConfig, DEFAULT_LISTEN};
pub use view::ServiceView;

use crate::{
    listener,
    server::{LimitedListener, PeerLimits, Peers},
    telemetry::metrics::text::{self, TextFormat},
};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use last_minute::LastMinute;
use page::StatusPage;
use parking_lot::Mutex;
use serde::Deserialize;
use status::StatusReport;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::interval;

/// How often the figures of the last minute are sampled.
const TICK: Duration = Duration::from_secs(1);

/// Maximum length of a log filter, in bytes.
const MAX_FILTER: usize = 4096;

/// The admin port, bound and not yet served.
pub struct Admin {
    listener: LimitedListener,
    allowed_hosts: Arc<[String]>,
    state: Arc<AdminState>,
}

struct AdminState {
    view: ServiceView,
    window: Mutex<LastMinute>,
}

// === impl Admin ===

impl Admin {
    /// Binds the configured address, or the default one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(config: &AdminConfig, view: ServiceView) -> io::Result<Admin> {
        let listen = config.listen.unwrap_or(DEFAULT_LISTEN);
        let per_peer = (config.max_connections / 4).max(1);
        let peers = Peers::new(PeerLimits {
            max_connections: per_peer,
            // With HTTP/1.1, a connection has one request at a time.
            max_pending_calls: per_peer,
            key: "admin.max_connections",
            key_of_all: "admin.max_connections",
        });
        let listener = listener::listen(listen)?;
        Ok(Admin {
            listener: LimitedListener::new(listener, config.max_connections, peers),
            allowed_hosts: config.allowed_hosts.clone().into(),
            state: Arc::new(AdminState {
                view,
                window: Mutex::default(),
            }),
        })
    }

    /// The bound address, with the port that the system chose for port 0.
    ///
    /// # Errors
    /// When the operating system does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped.
    pub async fn run(self) {
        let watching = Arc::clone(&self.state);
        let watch = async move {
            let mut ticks = interval(TICK);
            loop {
                ticks.tick().await;
                watching.tick();
            }
        };
        let routes = routes(self.state, self.allowed_hosts);
        tokio::select! {
            () = connections::serve(self.listener, routes) => {}
            () = watch => {}
        }
    }
}

impl AdminState {
    fn tick(&self) {
        if let Some(metrics) = self.view.telemetry.metrics() {
            let totals = metrics.totals();
            let mut window = self.window.lock();
            window.push(totals);
        }
    }
}

fn routes(state: Arc<AdminState>, allowed_hosts: Arc<[String]>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/status") }))
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(page))
        .route("/log-level", get(log_level).put(set_log_level))
        .with_state(state)
        .layer(middleware::from_fn_with_state(allowed_hosts, host::check))
}

async fn metrics(State(state): State<Arc<AdminState>>, headers: HeaderMap) -> Response {
    let Some(metrics) = state.view.telemetry.metrics() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let format = TextFormat::accepted(accept.unwrap_or_default());
    let text = text::render(&metrics.collect(), format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

async fn ready(State(state): State<Arc<AdminState>>) -> Response {
    match state.view.unready() {
        None => "ok\n".into_response(),
        Some(reason) => {
            let text = format!("not ready: {reason}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

#[derive(Debug, Deserialize)]
struct Part {
    /// Whether to return only the part of the page that changes.
    #[serde(default)]
    part: bool,
}

async fn page(State(state): State<Arc<AdminState>>, Query(asked): Query<Part>) -> Response {
    let status = {
        let window = state.window.lock();
        StatusReport::now(&state.view, &window)
    };
    let page = StatusPage::new(&status);
    let rendered = match asked.part {
        true => page.as_now().render(),
        false => page.render(),
    };
    let Ok(html) = rendered else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let headers: [(HeaderName, &str); 2] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
    ];
    (headers, Html(html)).into_response()
}

async fn log_level(State(state): State<Arc<AdminState>>) -> Response {
    match &state.view.log_level {
        Some(level) => format!("{}\n", level.get()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn set_log_level(State(state): State<Arc<AdminState>>, filter: String) -> Response {
    let Some(level) = &state.view.log_level else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let filter = filter.trim();
    if filter.len() > MAX_FILTER {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    match level.set(filter) {
        Ok(()) => {
            tracing::warn!(filter, "log level changed");
            format!("{filter}\n").into_response()
        }
        Err(problem) => (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response(),
    }
}
