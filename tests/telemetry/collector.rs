//! Collectors: one in this process, and the real one.

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use prost::Message;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Request, Response, Status};

/// How a collector is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Protocol {
    Grpc,
    Http,
    Json,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http/protobuf",
            Protocol::Json => "http/json",
        }
    }
}

/// Receives what is exported.
pub struct Collector {
    grpc: SocketAddr,
    http: SocketAddr,
    kept: Kept,
}

enum Kept {
    Here {
        received: Received,
        tasks: Vec<JoinHandle<()>>,
    },
    InFiles {
        directory: tempfile::TempDir,
        process: Child,
    },
}

/// Each export as OTLP JSON.
type Received = Arc<Mutex<Vec<Value>>>;

impl Collector {
    /// One in this process.
    pub async fn start() -> Collector {
        let received = Received::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/v1/traces", post(take::<ExportTraceServiceRequest>))
            .route("/v1/metrics", post(take::<ExportMetricsServiceRequest>))
            .route("/v1/logs", post(take::<ExportLogsServiceRequest>))
            .with_state(Arc::clone(&received));
        let over_http = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = listener.local_addr().unwrap();
        let taker = Taker(Arc::clone(&received));
        let served = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(taker.clone()))
            .add_service(MetricsServiceServer::new(taker.clone()))
            .add_service(LogsServiceServer::new(taker))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        let over_grpc = tokio::spawn(async move { served.await.unwrap() });
        Collector {
            grpc,
            http,
            kept: Kept::Here {
                received,
                tasks: vec![over_http, over_grpc],
            },
        }
    }

    /// The OpenTelemetry Collector, whose binary is given.
    pub async fn start_real(binary: &str) -> Collector {
        Self::start_real_with(binary, "").await
    }

    /// The same, with more configuration of each of its ports.
    pub async fn start_real_with(binary: &str, of_port: &str) -> Collector {
        let directory = tempfile::tempdir().unwrap();
        let (grpc, http) = (free_port().await, free_port().await);
        let config = directory.path().join("config.yaml");
        let path = directory.path().display();
        let text = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {grpc}\n{of_port}      \
             http:\n        endpoint: {http}\n{of_port}\
             exporters:\n  file/traces:\n    path: {path}/traces.json\n    flush_interval: 100ms\n  \
             file/metrics:\n    path: {path}/metrics.json\n    flush_interval: 100ms\n  \
             file/logs:\n    path: {path}/logs.json\n    flush_interval: 100ms\n\
             service:\n  telemetry:\n    metrics:\n      level: none\n  pipelines:\n    \
             traces: {{receivers: [otlp], exporters: [file/traces]}}\n    \
             metrics: {{receivers: [otlp], exporters: [file/metrics]}}\n    \
             logs: {{receivers: [otlp], exporters: [file/logs]}}\n"
        );
        fs::write(&config, text).unwrap();
        let process = Command::new(binary)
            .arg("--config")
            .arg(format!("file:{}", config.display()))
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let collector = Collector {
            grpc,
            http,
            kept: Kept::InFiles { directory, process },
        };
        for _ in 0..200 {
            let ports = [grpc, http].map(|port| std::net::TcpStream::connect(port).is_ok());
            if ports == [true, true] {
                return collector;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the collector did not start: {}", collector.log());
    }

    pub fn endpoint(&self, protocol: Protocol) -> String {
        match protocol {
            Protocol::Grpc => format!("http://{}", self.grpc),
            Protocol::Http | Protocol::Json => format!("http://{}", self.http),
        }
    }

    /// What the real collector logs.
    pub fn log(&self) -> String {
        match &self.kept {
            Kept::Here { .. } => String::new(),
            Kept::InFiles { directory, .. } => {
                fs::read_to_string(directory.path().join("log")).unwrap_or_default()
            }
        }
    }

    fn exports(&self) -> Vec<Value> {
        let directory: PathBuf = match &self.kept {
            Kept::Here { received, .. } => return received.lock().unwrap().clone(),
            Kept::InFiles { directory, .. } => directory.path().to_owned(),
        };
        ["traces", "metrics", "logs"]
            .iter()
            .flat_map(|name| {
                let text = fs::read_to_string(directory.join(format!("{name}.json")));
                let text = text.unwrap_or_default();
                let lines = text
                    .lines()
                    .filter_map(|line| serde_json::from_str(line).ok());
                lines.collect::<Vec<Value>>()
            })
            .collect()
    }

    /// The spans of calls that came.
    pub fn spans(&self) -> Vec<Span> {
        let is_call = |span: &Span| matches!(span.kind, SERVER | CLIENT);
        self.all_spans().into_iter().filter(is_call).collect()
    }

    /// All spans that came.
    pub fn all_spans(&self) -> Vec<Span> {
        items(&self.exports(), ["resourceSpans", "scopeSpans", "spans"])
            .iter()
            .map(Span::read)
            .collect()
    }

    /// All log records that came: their attributes, with the body as `body`,
    /// and the trace and its flags as `trace` and `flags`.
    pub fn records(&self) -> Vec<BTreeMap<String, String>> {
        items(&self.exports(), ["resourceLogs", "scopeLogs", "logRecords"])
            .iter()
            .map(|record| {
                let mut all = attributes(&record["attributes"]);
                all.insert("body".to_owned(), value(&record["body"]));
                all.insert("trace".to_owned(), text(&record["traceId"]));
                all.insert("flags".to_owned(), record["flags"].to_string());
                all
            })
            .collect()
    }

    /// The last state of each metric that came, by name.
    pub fn metrics(&self) -> BTreeMap<String, Value> {
        items(
            &self.exports(),
            ["resourceMetrics", "scopeMetrics", "metrics"],
        )
        .into_iter()
        .map(|metric| (text(&metric["name"]), metric))
        .collect()
    }

    /// Attributes of the resource of the first export.
    pub fn resource(&self) -> BTreeMap<String, String> {
        let exports = self.exports();
        let resource = exports
            .iter()
            .find_map(|export| export["resourceSpans"].get(0))
            .unwrap();
        attributes(&resource["resource"]["attributes"])
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        match &mut self.kept {
            Kept::Here { tasks, .. } => tasks.iter().for_each(JoinHandle::abort),
            Kept::InFiles { process, .. } => {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
    }
}

async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn take<M: Message + Default + serde::Serialize>(
    State(received): State<Received>,
    body: Bytes,
) -> Vec<u8> {
    let message = M::decode(body).unwrap();
    received
        .lock()
        .unwrap()
        .push(serde_json::to_value(&message).unwrap());
    Vec::new()
}

#[derive(Clone)]
struct Taker(Received);

impl Taker {
    fn take(&self, message: &impl serde::Serialize) {
        let json = serde_json::to_value(message).unwrap();
        self.0.lock().unwrap().push(json);
    }
}

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.take(request.get_ref());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Taker {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.take(request.get_ref());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Taker {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.take(request.get_ref());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

const SERVER: i64 = 2;
const CLIENT: i64 = 3;

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    /// 2 for a server's, 3 for a client's.
    pub kind: i64,
    pub began: u64,
    pub ended: u64,
    /// Whether its status is an error.
    pub failed: bool,
    pub attributes: BTreeMap<String, String>,
    pub events: Vec<String>,
    /// Trace and span of each link.
    pub links: Vec<(String, String)>,
}

impl Span {
    fn read(span: &Value) -> Span {
        let list = |key: &str| span[key].as_array().cloned().unwrap_or_default();
        let nanos = |key: &str| match &span[key] {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_u64().unwrap(),
        };
        Span {
            trace: text(&span["traceId"]),
            id: text(&span["spanId"]),
            parent: text(&span["parentSpanId"]),
            name: text(&span["name"]),
            kind: span["kind"].as_i64().unwrap(),
            began: nanos("startTimeUnixNano"),
            ended: nanos("endTimeUnixNano"),
            failed: span["status"]["code"].as_i64() == Some(2),
            attributes: attributes(&span["attributes"]),
            events: list("events").iter().map(|it| text(&it["name"])).collect(),
            links: list("links")
                .iter()
                .map(|it| (text(&it["traceId"]), text(&it["spanId"])))
                .collect(),
        }
    }

    /// The value of an attribute; nothing where there is none.
    pub fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

fn items(exports: &[Value], path: [&str; 3]) -> Vec<Value> {
    let [of_resource, of_scope, item] = path;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    exports
        .iter()
        .flat_map(|export| list(&export[of_resource]))
        .flat_map(|resource| list(&resource[of_scope]))
        .flat_map(|scope| list(&scope[item]))
        .collect()
}

fn attributes(list: &Value) -> BTreeMap<String, String> {
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|pair| (text(&pair["key"]), value(&pair["value"])))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A value of any kind as text.
fn value(any: &Value) -> String {
    let Some((_, value)) = any.as_object().and_then(|it| it.iter().next()) else {
        return String::new();
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Object(list) => {
            let list = list["values"].as_array().cloned().unwrap_or_default();
            let texts: Vec<String> = list.iter().map(self::value).collect();
            texts.join(",")
        }
        other => other.to_string(),
    }
}
