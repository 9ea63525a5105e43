//! The connection to the service, and the deadline of each call.

use super::{backoff::backoff, failure::failed};
use crate::{
    certificates::certificates,
    cli::exit::{Exit, Failure, with_causes},
    config::Environment,
    dns,
    proto::v1::{
        batch_service_client::BatchServiceClient, claude_service_client::ClaudeServiceClient,
        document_service_client::DocumentServiceClient,
    },
    secrets::{SecretError, checked_key, read_secret, read_text},
    telemetry::command,
};
use humantime::format_duration;
use std::{
    error::Error,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use tonic::{
    Extensions, Request, Response, Status,
    codec::CompressionEncoding::{Gzip, Zstd},
    metadata::{Ascii, MetadataMap, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri},
};
use tracing::{Instrument, Span};
use zeroize::Zeroizing;

/// Maximum time to establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time to wait for a service that cannot be reached at the start of a run: it may
/// be restarting, or the address may be wrong.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait beyond the deadline, for the status that the service ends the
/// call with: it is more specific than ours.
const GRACE: Duration = Duration::from_millis(500);

/// Receive window per stream, in bytes. Flow control must stop the sender before
/// a slow reader has about 10,000 unread small frames, at which h2 closes the
/// connection because it suspects an attack.
const STREAM_WINDOW: u32 = 65_535;

/// Maximum size of a response, in bytes; far above any response of the API.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Flags of all commands that call a service.
#[derive(Debug, Clone, clap::Args)]
pub struct ConnectionFlags {
    /// URL of the service; `http://` may be omitted.
    #[arg(long, value_name = "URL", env = "CLAUDE_GRPC_ADDR")]
    #[arg(default_value = "http://127.0.0.1:50051")]
    addr: String,
    /// File with the client key, if the service requires one; only its owner may
    /// read it. Alternatively, set CLAUDE_GRPC_CLIENT_KEY to the key itself.
    #[arg(long, value_name = "FILE", env = "CLAUDE_GRPC_CLIENT_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// File with the CA certificates of an `https://` service (PEM); defaults to
    /// those that the system trusts.
    #[arg(long, value_name = "FILE", env = "CLAUDE_GRPC_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Deadline of each call, such as `2m`; 1ms to 1day.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = deadline)]
    timeout: Duration,
}

/// The gRPC client generated from `proto/`.
pub type GrpcClient = ClaudeServiceClient<Channel>;

/// A connection to the service, with the settings of its calls. Clones share the
/// connection.
#[derive(Debug, Clone)]
pub struct Connection {
    client: GrpcClient,
    channel: Channel,
    timeout: Duration,
    batch: bool,
    key: Option<MetadataValue<Ascii>>,
}

impl ConnectionFlags {
    /// Connects to the service.
    ///
    /// # Errors
    /// [`Exit::Unreachable`] when the connection fails, [`Exit::Usage`] when the
    /// address, the CA file or the key is invalid.
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
            .ok()
            .filter(|endpoint| is_address(endpoint.uri()))
            .ok_or_else(|| {
                let address = &self.addr;
                Failure::usage(format!(
                    "--addr: must be HOST:PORT, http://HOST:PORT or https://HOST:PORT: {address:?}"
                ))
            })?
            .initial_stream_window_size(STREAM_WINDOW)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .tcp_nodelay(true);
        let endpoint = self.with_tls(endpoint)?;
        let channel = endpoint.connect_with_connector(dns::connector()).await;
        let channel = channel.map_err(|error| {
            let (why, help) = (with_causes(&error), tls_help(&error).unwrap_or_default());
            let reason = format!("failed to connect to {}: {why}{help}", self.addr);
            Failure::new(Exit::Unreachable, reason)
        })?;
        Ok(Connection {
            client: ClaudeServiceClient::new(channel.clone())
                .accept_compressed(Zstd)
                .accept_compressed(Gzip)
                .max_decoding_message_size(MAX_ANSWER),
            channel,
            timeout: self.timeout,
            batch: false,
            key: self.key()?,
        })
    }
}

impl ConnectionFlags {
    /// Connects to the service, and tries again while it cannot be reached, for this time
    /// or 10 seconds.
    ///
    /// # Errors
    /// Those of [`connect`](ConnectionFlags::connect).
    pub async fn connect_within(&self, patience: Duration) -> Result<Connection, Failure> {
        let end = Instant::now() + patience.min(START_PATIENCE);
        let mut attempts = 0;
        loop {
            let connected = self.connect().await;
            attempts += 1;
            let pause = backoff(attempts);
            let is_unreachable = matches!(
                connected,
                Err(Failure::Explained {
                    exit: Exit::Unreachable,
                    ..
                })
            );
            if !is_unreachable || Instant::now() + pause > end {
                return connected;
            }
            sleep(pause).await;
        }
    }

    fn with_tls(&self, endpoint: Endpoint) -> Result<Endpoint, Failure> {
        if endpoint.uri().scheme_str() != Some("https") {
            return Ok(endpoint);
        }
        let tls = match &self.ca_file {
            Some(path) => {
                // The transport would trust nobody, and not say why.
                certificates(path)
                    .map_err(|error| Failure::usage(format!("--ca-file: {error}")))?;
                let pem = readable(read_text(path))?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem.as_bytes()))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let unusable = |error| Failure::usage(format!("--ca-file: {}", with_causes(&error)));
        endpoint.tls_config(tls).map_err(unusable)
    }

    /// Reads the client key. There is no flag for the key itself, since anyone on
    /// the machine can read the arguments of a process.
    fn key(&self) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let text = match &self.key_file {
            Some(path) => Some(readable(read_secret(path))?),
            None => Environment::of_process()
                .get("CLAUDE_GRPC_CLIENT_KEY")
                .map(|value| Zeroizing::new(value.to_string_lossy().into_owned())),
        };
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok(None);
        };
        let unusable = |error| Failure::usage(format!("the client key is not valid: {error}"));
        let key = checked_key(&text).map_err(unusable)?;
        let mut key: MetadataValue<Ascii> = key
            .parse()
            .map_err(|_| Failure::usage("the client key contains invalid characters"))?;
        key.set_sensitive(true);
        Ok(Some(key))
    }
}

/// Whether an address is one that calls can be made to. A client key must not go unencrypted
/// where the scheme promises something else, and not to another port than the named one.
fn is_address(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else {
        return false;
    };
    let named = authority.as_str().rsplit('@').next().unwrap_or_default();
    let has_port = named.len() > authority.host().len();
    matches!(uri.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && (!has_port || authority.port_u16().is_some())
}

/// What helps against a TLS handshake that failed in this way.
fn tls_help(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(|it| it.get_ref());
        let inner = inner.and_then(|it| it.downcast_ref::<rustls::Error>());
        match inner.or_else(|| error.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
                return Some(": --ca-file must name the CA of the service");
            }
            Some(rustls::Error::InvalidMessage(_)) => {
                return Some(": is it a port without TLS, http://?");
            }
            _ => cause = error.source(),
        }
    }
    None
}

fn readable(read: Result<Zeroizing<String>, SecretError>) -> Result<Zeroizing<String>, Failure> {
    read.map_err(|error| Failure::usage(with_causes(&error)))
}

impl Connection {
    /// Sets whether calls have the priority `batch`. Interactive calls take
    /// precedence over them.
    pub fn in_batch(mut self, batch: bool) -> Self {
        self.batch = batch;
        self
    }

    /// The same connection, whose calls have this much time or more.
    pub fn with_timeout_of_at_least(&self, timeout: Duration) -> Self {
        Connection {
            timeout: self.timeout.max(timeout),
            ..self.clone()
        }
    }

    /// The client of the service of documents.
    pub fn documents(&self) -> DocumentServiceClient<Channel> {
        DocumentServiceClient::new(self.channel.clone())
            .accept_compressed(Zstd)
            .accept_compressed(Gzip)
            .max_decoding_message_size(MAX_ANSWER)
    }

    /// The client of the service of batches.
    pub fn batches(&self) -> BatchServiceClient<Channel> {
        BatchServiceClient::new(self.channel.clone())
            .accept_compressed(Zstd)
            .accept_compressed(Gzip)
            .max_decoding_message_size(MAX_ANSWER)
    }

    /// Makes a call, with its deadline. `call` is passed a client and the request
    /// to send, and reads the response to its end.
    ///
    /// # Errors
    /// When `call` fails, or the deadline expires.
    pub async fn call<M, T, E: From<Status>>(
        &self,
        method: &'static str,
        message: M,
        call: impl AsyncFnOnce(GrpcClient, Request<M>) -> Result<T, E>,
    ) -> Result<T, E> {
        let span = command::call_span(method);
        let request = self.request(message, &span);
        let answered = call(self.client.clone(), request).instrument(span.clone());
        let outcome = match timeout(self.timeout + GRACE, answered).await {
            Ok(answered) => answered,
            Err(_) => {
                let late = format!("no response within {}", format_duration(self.timeout));
                Err(Status::deadline_exceeded(late).into())
            }
        };
        if outcome.is_err() {
            command::failed(&span);
        }
        outcome
    }

    /// Makes a unary call, with its deadline.
    ///
    /// # Errors
    /// When the call fails, or the deadline expires.
    pub async fn unary<M, T>(
        &self,
        method: &'static str,
        message: M,
        call: impl AsyncFnOnce(GrpcClient, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let answered = self.answer(method, message, call).await;
        answered.map_err(|status| failed(&status))
    }

    /// Makes a unary call, with its deadline, whose failure is looked at.
    ///
    /// # Errors
    /// When the call fails, or the deadline expires.
    pub async fn answer<M, T>(
        &self,
        method: &'static str,
        message: M,
        call: impl AsyncFnOnce(GrpcClient, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        self.call(method, message, async |client, request| {
            call(client, request).await.map(Response::into_inner)
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

/// Parses a deadline that `grpc-timeout` can express.
fn deadline(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
    if !allowed.contains(&time) {
        return Err("must be between 1ms and 1day".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_that_is_known_and_a_port_that_there_is() {
        for (text, is_valid) in [
            ("http://localhost", true),
            ("https://user@localhost:1", true),
            ("HTTPS://[::1]:50051/", true),
            ("http://[::1]", true),
            ("grpcs://localhost:1", false),
            ("ftp://localhost", false),
            ("http://localhost:99999", false),
            ("http://:50051", false),
            ("localhost", false),
        ] {
            let uri: Uri = text.parse().unwrap_or_default();
            assert_eq!(is_address(&uri), is_valid, "{text}");
        }
    }
}
