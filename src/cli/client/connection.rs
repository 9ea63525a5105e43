//! The connection to the service, and the deadline of each call.

use super::failure::failed;
use crate::{
    cli::exit::{Exit, Failure, with_causes},
    proto::v1::claude_service_client::ClaudeServiceClient,
    telemetry::caller,
};
use humantime::format_duration;
use std::time::Duration;
use tokio::time::timeout;
use tonic::{
    Code, Extensions, Request, Response, Status,
    codec::CompressionEncoding::{Gzip, Zstd},
    metadata::{MetadataMap, MetadataValue},
    transport::{Channel, Endpoint},
};
use tracing::{Instrument, Span};

/// Longest time to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The service ends a call at its deadline with a status that says more than
/// ours: it gets a moment to send it.
const GRACE: Duration = Duration::from_millis(500);

/// Most bytes of an answer: no answer of the API comes near.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How the service is reached.
#[derive(Debug, Clone, clap::Args)]
pub struct ConnectionFlags {
    /// Address of the service.
    #[arg(long, value_name = "URL", env = "CLAUDE_GRPC_ADDR")]
    #[arg(default_value = "http://127.0.0.1:50051")]
    addr: String,
    /// Deadline of each call, for example `2m`.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = deadline)]
    timeout: Duration,
}

/// The client that is generated from `proto/`.
pub type Client = ClaudeServiceClient<Channel>;

/// A connection to the service. Cloning is cheap; clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    client: Client,
    timeout: Duration,
    batch: bool,
}

impl ConnectionFlags {
    /// Connects.
    ///
    /// # Errors
    /// [`Exit::Unreachable`] when nobody answers, [`Exit::Usage`] when the
    /// address is none.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        let url = if self.addr.contains("://") {
            self.addr.clone()
        } else {
            format!("http://{}", self.addr)
        };
        let endpoint = Endpoint::from_shared(url)
            .and_then(|endpoint| {
                endpoint.user_agent(concat!("claude-grpc/", env!("CARGO_PKG_VERSION")))
            })
            .map_err(|_| Failure::usage(format!("--addr: {:?} is no address", self.addr)))?
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| {
            let why = with_causes(&error);
            let reason = format!("the service at {} cannot be reached: {why}", self.addr);
            Failure::new(Exit::Unreachable, reason)
        })?;
        Ok(Connection {
            client: ClaudeServiceClient::new(channel)
                .accept_compressed(Zstd)
                .accept_compressed(Gzip)
                .max_decoding_message_size(MAX_ANSWER),
            timeout: self.timeout,
            batch: false,
        })
    }
}

impl Connection {
    /// Marks all calls as work that nobody waits for in person: those of
    /// people go before them.
    pub fn in_batch(mut self, batch: bool) -> Self {
        self.batch = batch;
        self
    }

    /// Makes one call of a method, in full, with its deadline. `call` gets a
    /// client and the request to send, and reads the answer to its end.
    ///
    /// # Errors
    /// When the call fails, or `call` does.
    pub async fn call<M, T>(
        &self,
        method: &'static str,
        message: M,
        call: impl AsyncFnOnce(Client, Request<M>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let span = caller::call_span(method);
        let request = self.request(message, &span);
        let answered = call(self.client.clone(), request).instrument(span.clone());
        let outcome = match timeout(self.timeout + GRACE, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(failed(&Status::new(
                Code::DeadlineExceeded,
                format!("no answer within {}", format_duration(self.timeout)),
            ))),
        };
        if outcome.is_err() {
            caller::failed(&span);
        }
        outcome
    }

    /// Makes one call of a method that is answered by one message.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn unary<M, T>(
        &self,
        method: &'static str,
        message: M,
        call: impl AsyncFnOnce(Client, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        self.call(method, message, async |client, request| {
            let response = call(client, request).await;
            response
                .map(Response::into_inner)
                .map_err(|status| failed(&status))
        })
        .await
    }

    fn request<M>(&self, message: M, span: &Span) -> Request<M> {
        let context = MetadataMap::from_headers(caller::headers(span));
        let mut request = Request::from_parts(context, Extensions::new(), message);
        request.set_timeout(self.timeout);
        if self.batch {
            let priority = MetadataValue::from_static("batch");
            request.metadata_mut().insert("claude-priority", priority);
        }
        request
    }
}

/// A time that `grpc-timeout` can carry.
fn deadline(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
    if !allowed.contains(&time) {
        return Err("has to be from 1ms to 1day".to_owned());
    }
    Ok(time)
}
