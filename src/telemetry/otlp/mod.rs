//! Export over OTLP: a thread of its own takes what waits in the queues and
//! sends it. Nothing here is ever waited for by a call.

pub mod environment;
pub mod logs;
mod metrics;
pub mod queue;
mod spans;
mod transport;
mod value;

pub use environment::Settings;
pub use transport::TransportError;

use super::{
    metrics::{Fate, Metrics, Signal},
    spans::Ended,
};
use bytes::Bytes;
use environment::{Batch, Target};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceResponse, metrics::v1::ExportMetricsServiceResponse,
        trace::v1::ExportTraceServiceResponse,
    },
    logs::v1::LogRecord,
};
use prost::Message;
use queue::Queue;
use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use transport::Transport;

const TRACES: &str = "opentelemetry.proto.collector.trace.v1.TraceService";
const METRICS: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
const LOGS: &str = "opentelemetry.proto.collector.logs.v1.LogsService";

/// What is exported, and where from.
pub struct Pipelines {
    /// Calls that ended.
    pub spans: Option<Arc<Queue<Ended>>>,
    /// Events that were logged.
    pub logs: Option<Arc<Queue<LogRecord>>>,
    /// All figures.
    pub metrics: Arc<Metrics>,
}

/// The thread that exports.
pub struct Exporter {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Pipelines {
    /// The queues that the settings ask for.
    pub fn new(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        let (spans, logs) = (settings.span_batch, settings.log_batch);
        Pipelines {
            spans: settings.traces.as_ref().map(|_| {
                let metrics = Arc::clone(&metrics);
                let queue = Queue::new(metrics, Signal::Traces, spans.queue, spans.batch);
                Arc::new(queue)
            }),
            logs: settings.logs.as_ref().map(|_| {
                let metrics = Arc::clone(&metrics);
                Arc::new(Queue::new(metrics, Signal::Logs, logs.queue, logs.batch))
            }),
            metrics,
        }
    }

    /// Starts the thread that exports, if there is anything to export.
    ///
    /// # Errors
    /// When a target cannot be used.
    pub fn start(self, settings: Settings) -> Result<Option<Exporter>, TransportError> {
        let is_idle =
            settings.traces.is_none() && settings.metrics.is_none() && settings.logs.is_none();
        if is_idle {
            return Ok(None);
        }
        // Connections belong to the thread's own runtime, so that exporting
        // takes nothing from the threads that serve calls.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| TransportError::Endpoint("no runtime".to_owned()))?;
        let exporters = {
            let _inside = runtime.enter();
            self.exporters(settings)?
        };
        let stop = CancellationToken::new();
        let (ending, ended) = oneshot::channel();
        let stopped = stop.clone();
        let spawned: io::Result<_> =
            thread::Builder::new()
                .name("telemetry".to_owned())
                .spawn(move || {
                    runtime.block_on(exporters.run(stopped));
                    let _ = ending.send(());
                });
        match spawned {
            Ok(_) => Ok(Some(Exporter { stop, ended })),
            Err(_) => Err(TransportError::Endpoint("no thread".to_owned())),
        }
    }

    fn exporters(self, settings: Settings) -> Result<Exporters, TransportError> {
        let way = |target: &Option<Target>, service| match target {
            Some(target) => Transport::new(target, service).map(Some),
            None => Ok(None),
        };
        Ok(Exporters {
            traces: way(&settings.traces, TRACES)?,
            metrics_way: way(&settings.metrics, METRICS)?,
            logs_way: way(&settings.logs, LOGS)?,
            queues: self,
            settings: Arc::new(settings),
        })
    }
}

impl Exporter {
    /// Sends what still waits, and ends; it takes no longer than `longest`.
    pub async fn shut_down(self, longest: Duration) {
        self.stop.cancel();
        let _ = timeout(longest, self.ended).await;
    }
}

struct Exporters {
    traces: Option<Transport>,
    metrics_way: Option<Transport>,
    logs_way: Option<Transport>,
    queues: Pipelines,
    settings: Arc<Settings>,
}

impl Exporters {
    async fn run(self, stop: CancellationToken) {
        let settings = &self.settings;
        let counts = &self.queues.metrics;
        let traces = async {
            if let (Some(way), Some(queue)) = (self.traces, &self.queues.spans) {
                let pipeline = Pipeline {
                    way,
                    counts,
                    signal: Signal::Traces,
                    rejected: rejected_spans,
                };
                let encode = |batch| encoded(spans::request(batch, settings));
                pipeline
                    .run(queue, settings.span_batch, encode, &stop)
                    .await;
            }
        };
        let logs = async {
            if let (Some(way), Some(queue)) = (self.logs_way, &self.queues.logs) {
                let pipeline = Pipeline {
                    way,
                    counts,
                    signal: Signal::Logs,
                    rejected: rejected_records,
                };
                let encode = |batch| encoded(logs::request(batch, settings));
                pipeline.run(queue, settings.log_batch, encode, &stop).await;
            }
        };
        let metrics = async {
            if let Some(way) = self.metrics_way {
                let pipeline = Pipeline {
                    way,
                    counts,
                    signal: Signal::Metrics,
                    rejected: rejected_points,
                };
                pipeline.run_metrics(settings, &stop).await;
            }
        };
        tokio::join!(traces, logs, metrics);
    }
}

fn encoded<M: Message>((message, count): (M, usize)) -> (Bytes, usize) {
    (Bytes::from(message.encode_to_vec()), count)
}

/// One signal on its way.
struct Pipeline<'a> {
    way: Transport,
    counts: &'a Metrics,
    signal: Signal,
    /// How many of the sent items an answer refuses.
    rejected: fn(Bytes) -> usize,
}

impl Pipeline<'_> {
    async fn run<T>(
        mut self,
        queue: &Queue<T>,
        batch: Batch,
        encode: impl Fn(Vec<T>) -> (Bytes, usize),
        stop: &CancellationToken,
    ) {
        loop {
            let stopped = tokio::select! {
                () = sleep(batch.delay) => false,
                () = queue.enough() => false,
                () = stop.cancelled() => true,
            };
            for items in queue.take() {
                let (message, count) = encode(items);
                self.send(message, count, batch.timeout).await;
            }
            if stopped {
                return;
            }
        }
    }

    async fn run_metrics(mut self, settings: &Settings, stop: &CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = sleep(settings.metric_interval) => false,
                () = stop.cancelled() => true,
            };
            let span = metrics::Span {
                since: self.counts.since,
                now: SystemTime::now(),
            };
            let families = self.counts.collect();
            let (message, count) = encoded(metrics::request(families, settings, span));
            self.send(message, count, settings.metric_interval).await;
            if stopped {
                return;
            }
        }
    }

    async fn send(&mut self, message: Bytes, count: usize, longest: Duration) {
        match self.way.send(message, Instant::now() + longest).await {
            Ok(answer) => {
                let rejected = (self.rejected)(answer).min(count);
                self.counts
                    .exported(self.signal, Fate::Sent, count - rejected);
                self.counts.exported(self.signal, Fate::Failed, rejected);
            }
            Err(reason) => {
                self.counts.exported(self.signal, Fate::Failed, count);
                tracing::debug!(signal = ?self.signal, reason, "an export failed");
            }
        }
    }
}

fn rejected_spans(answer: Bytes) -> usize {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    items(answer.partial_success.map(|it| it.rejected_spans))
}

fn rejected_records(answer: Bytes) -> usize {
    let answer = ExportLogsServiceResponse::decode(answer).unwrap_or_default();
    items(answer.partial_success.map(|it| it.rejected_log_records))
}

fn rejected_points(answer: Bytes) -> usize {
    let answer = ExportMetricsServiceResponse::decode(answer).unwrap_or_default();
    items(answer.partial_success.map(|it| it.rejected_data_points))
}

fn items(rejected: Option<i64>) -> usize {
    usize::try_from(rejected.unwrap_or(0)).unwrap_or(0)
}
