//! The admin port: what those who run the service look at.
//!
//! | path | what |
//! |---|---|
//! | `GET /metrics` | metrics for Prometheus |
//! | `GET /livez` | whether the process runs |
//! | `GET /readyz` | whether it takes calls, and why not |
//! | `GET /status` | a page about what happens now |
//! | `GET`, `PUT /log-level` | the filter of the logs |

mod config;
mod gauges;
mod page;
mod status;
mod window;

pub use config::{AdminConfig, DEFAULT_LISTEN};

use crate::{
    access::Refusals,
    secrets::Reload,
    server::Drain,
    store::StoreHealth,
    telemetry::{
        LogLevel, Telemetry,
        metrics::text::{self, TextFormat},
    },
    upstream::Upstream,
};
use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use status::Status;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, time::interval};
use window::Window;

/// How often the window of the status page moves.
const TICK: Duration = Duration::from_secs(1);

/// Longest filter that is taken.
const MAX_FILTER: usize = 4096;

/// What the port tells about.
#[derive(Clone)]
pub struct Observed {
    /// The figures.
    pub telemetry: Telemetry,
    /// The way up.
    pub upstream: Upstream,
    /// The shutdown.
    pub drain: Drain,
    /// The logs, where their level can be changed.
    pub log_level: Option<LogLevel>,
    /// What is read again when it changes.
    pub reloads: Vec<Arc<dyn Reload>>,
    /// Callers that were not let in, where anybody is kept out.
    pub refusals: Option<Refusals>,
    /// Whether the store answers that replicas share. In memory it always does.
    pub store: StoreHealth,
}

/// The port, listening.
pub struct Admin {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    observed: Observed,
    window: Mutex<Window>,
}

// === impl Observed ===

impl Observed {
    /// Why the service takes no calls, if it does not. It does not follow the
    /// health of the Claude API: an outage there must not take every replica
    /// out of service.
    pub fn unready(&self) -> Option<&'static str> {
        if self.drain.has_begun() {
            return Some("shutting down");
        }
        let keys = self.upstream.keys.refused();
        if keys.iter().all(|(_, refusal)| refusal.is_some()) {
            return Some("no usable API key");
        }
        None
    }

    /// Adds the gauges of the way up and of the shutdown to the metrics.
    pub fn add_gauges(&self) {
        gauges::add(self);
    }
}

// === impl Admin ===

impl Admin {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn bind(listen: SocketAddr, observed: Observed) -> io::Result<Admin> {
        Ok(Admin {
            listener: TcpListener::bind(listen).await?,
            shared: Arc::new(Shared {
                observed,
                window: Mutex::default(),
            }),
        })
    }

    /// The address listened on, with the port that the system chose for 0.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until dropped.
    pub async fn run(self) {
        let watching = Arc::clone(&self.shared);
        let watch = async move {
            let mut ticks = interval(TICK);
            loop {
                ticks.tick().await;
                watching.tick();
            }
        };
        tokio::select! {
            outcome = async { axum::serve(self.listener, routes(self.shared)).await } => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "the admin port has ended");
                }
            }
            () = watch => {}
        }
    }
}

impl Shared {
    fn tick(&self) {
        if let Some(metrics) = self.observed.telemetry.metrics() {
            let totals = metrics.totals();
            let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
            window.push(totals);
        }
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/status") }))
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(page))
        .route("/log-level", get(log_level).put(set_log_level))
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Some(metrics) = shared.observed.telemetry.metrics() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let format = TextFormat::accepted(accept.unwrap_or_default());
    let text = text::render(&metrics.collect(), format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.observed.unready() {
        None => "ok\n".into_response(),
        Some(reason) => {
            let text = format!("not ready: {reason}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

#[derive(Debug, Deserialize)]
struct Part {
    /// Whether only the part that changes is asked for.
    #[serde(default)]
    part: bool,
}

async fn page(State(shared): State<Arc<Shared>>, Query(asked): Query<Part>) -> Response {
    let status = {
        let window = shared.window.lock().unwrap_or_else(PoisonError::into_inner);
        Status::now(&shared.observed, &window)
    };
    let html = match asked.part {
        true => page::changing(&status),
        false => page::whole(&status),
    };
    let headers: [(HeaderName, &str); 2] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
    ];
    (headers, Html(html)).into_response()
}

async fn log_level(State(shared): State<Arc<Shared>>) -> Response {
    match &shared.observed.log_level {
        Some(level) => format!("{}\n", level.get()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn set_log_level(State(shared): State<Arc<Shared>>, filter: String) -> Response {
    let Some(level) = &shared.observed.log_level else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let filter = filter.trim();
    if filter.len() > MAX_FILTER {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    match level.set(filter) {
        Ok(()) => {
            tracing::warn!(filter, "the level of the logs was changed");
            format!("{filter}\n").into_response()
        }
        Err(problem) => (StatusCode::BAD_REQUEST, format!("{problem}\n")).into_response(),
    }
}
