//! The connection to the service, and the deadline of each call.

use super::failure::failed;
use crate::{
    cli::exit::{Exit, Failure, with_causes},
    dns,
    proto::v1::claude_service_client::ClaudeServiceClient,
    telemetry::command,
};
use humantime::format_duration;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::timeout;
use tonic::{
    Code, Extensions, Request, Response, Status,
    codec::CompressionEncoding::{Gzip, Zstd},
    metadata::{Ascii, MetadataMap, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tracing::{Instrument, Span};
use zeroize::Zeroizing;

/// Longest time to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The service ends a call at its deadline with a status that says more than
/// ours: it gets a moment to send it.
const GRACE: Duration = Duration::from_millis(500);

/// Receive window of one stream. A slow reader is held back before small frames
/// pile up unread: on about 10,000 of them, h2 closes the connection as an attack.
const STREAM_WINDOW: u32 = 65_535;

/// Most bytes of an answer: no answer of the API comes near.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// How the service is reached.
#[derive(Debug, Clone, clap::Args)]
pub struct ConnectionFlags {
    /// Address of the service.
    #[arg(long, value_name = "URL", env = "CLAUDE_GRPC_ADDR")]
    #[arg(default_value = "http://127.0.0.1:50051")]
    addr: String,
    /// File with the client key, if the service asks for one. The key itself
    /// may be in CLAUDE_GRPC_CLIENT_KEY.
    #[arg(long, value_name = "FILE", env = "CLAUDE_GRPC_CLIENT_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// File with the CA of an `https://` service (PEM), if it is not one that
    /// the system trusts.
    #[arg(long, value_name = "FILE", env = "CLAUDE_GRPC_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Deadline of each call, for example `2m`.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = deadline)]
    timeout: Duration,
}

/// The client that is generated from `proto/`.
pub type GrpcClient = ClaudeServiceClient<Channel>;

/// A connection to the service. Cloning is cheap; clones share it.
#[derive(Debug, Clone)]
pub struct Connection {
    client: GrpcClient,
    timeout: Duration,
    batch: bool,
    key: Option<MetadataValue<Ascii>>,
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
            .initial_stream_window_size(STREAM_WINDOW)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .tcp_nodelay(true);
        let endpoint = self.with_tls(endpoint)?;
        let channel = endpoint.connect_with_connector(dns::connector()).await;
        let channel = channel.map_err(|error| {
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
            key: self.key()?,
        })
    }
}

impl ConnectionFlags {
    fn with_tls(&self, endpoint: Endpoint) -> Result<Endpoint, Failure> {
        if endpoint.uri().scheme_str() != Some("https") {
            return Ok(endpoint);
        }
        let tls = match &self.ca_file {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let unusable = |error| Failure::usage(format!("--ca-file: {}", with_causes(&error)));
        endpoint.tls_config(tls).map_err(unusable)
    }

    /// The client key. It is no flag: anybody on the machine can read a
    /// process's arguments.
    fn key(&self) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let text = match &self.key_file {
            Some(path) => Some(Zeroizing::new(read(path)?)),
            None => std::env::var("CLAUDE_GRPC_CLIENT_KEY")
                .ok()
                .map(Zeroizing::new),
        };
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok(None);
        };
        let mut key: MetadataValue<Ascii> = text
            .trim()
            .parse()
            .map_err(|_| Failure::usage("the client key has characters that no key has"))?;
        key.set_sensitive(true);
        Ok(Some(key))
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))
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
        call: impl AsyncFnOnce(GrpcClient, Request<M>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let span = command::call_span(method);
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
            command::failed(&span);
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
        call: impl AsyncFnOnce(GrpcClient, Request<M>) -> Result<Response<T>, Status>,
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
        let context = MetadataMap::from_headers(command::headers(span));
        let mut request = Request::from_parts(context, Extensions::new(), message);
        request.set_timeout(self.timeout);
        if let Some(key) = &self.key {
            request.metadata_mut().insert("x-api-key", key.clone());
        }
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
