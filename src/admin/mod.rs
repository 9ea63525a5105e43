//! The admin port, for operators of the service.
//!
//! | path | what |
//! |---|---|
//! | `GET /metrics` | metrics for Prometheus |
//! | `GET /livez` | whether the process runs |
//! | `GET /readyz` | whether it accepts calls, and if not, why |
//! | `GET /status` | a page of live figures |
//! | `GET`, `PUT /log-level` | the log filter |

mod config;
mod gauges;
mod last_minute;
mod page;
mod status;
mod view;

pub use config::{AdminConfig, DEFAULT_LISTEN};
pub use view::ServiceView;

use crate::telemetry::metrics::text::{self, TextFormat};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use last_minute::LastMinute;
use page::StatusPage;
use parking_lot::Mutex;
use serde::Deserialize;
use status::StatusReport;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::interval};

/// How often the figures of the last minute are sampled.
const TICK: Duration = Duration::from_secs(1);

/// Maximum length of a log filter, in bytes.
const MAX_FILTER: usize = 4096;

/// The admin port, bound and not yet served.
pub struct Admin {
    listener: TcpListener,
    state: Arc<AdminState>,
}

struct AdminState {
    view: ServiceView,
    window: Mutex<LastMinute>,
}

// === impl Admin ===

impl Admin {
    /// Binds the address.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(listen: SocketAddr, view: ServiceView) -> io::Result<Admin> {
        Ok(Admin {
            listener: TcpListener::bind(listen).await?,
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
        tokio::select! {
            outcome = async { axum::serve(self.listener, routes(self.state)).await } => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "the admin server failed");
                }
            }
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

fn routes(state: Arc<AdminState>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/status") }))
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(page))
        .route("/log-level", get(log_level).put(set_log_level))
        .with_state(state)
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
