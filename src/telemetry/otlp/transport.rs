//! Sends to a collector: OTLP over gRPC or over HTTP.

use super::environment::{Protocol, Target};
use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, header, uri::PathAndQuery};
use rand::Rng;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_types::StatusExt;

/// First backoff before a repeated try; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// Longest backoff.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// A target cannot be used.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The address is none.
    #[error("{0:?} is no address of a collector")]
    Endpoint(String),
    /// A header cannot be sent.
    #[error("{0:?} is no header")]
    Header(String),
    /// A certificate or key cannot be read.
    #[error("{0} cannot be read as a certificate or key")]
    Certificate(String),
}

/// Sending failed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// For good.
    Refused(String),
    /// Perhaps not the next time; not before this, if it says so.
    ForNow(String, Option<Duration>),
}

/// The way to the collector of one signal.
pub struct Transport {
    way: Way,
    timeout: Duration,
}

enum Way {
    Grpc {
        grpc: Box<Grpc<Channel>>,
        path: PathAndQuery,
        metadata: MetadataMap,
    },
    Http {
        http: reqwest::Client,
        url: reqwest::Url,
        headers: HeaderMap,
        gzip: bool,
    },
}

// === impl Transport ===

impl Transport {
    /// The way to a target; a connection is made when there is something to
    /// send. `service` is the full name of the gRPC service.
    ///
    /// # Errors
    /// When the target cannot be used.
    pub fn new(target: &Target, service: &str) -> Result<Self, TransportError> {
        let headers = headers(&target.headers)?;
        let way = match target.protocol {
            Protocol::Grpc => {
                let mut grpc = Grpc::new(channel(target)?);
                if target.gzip {
                    grpc = grpc.send_compressed(CompressionEncoding::Gzip);
                }
                let path = format!("/{service}/Export");
                Way::Grpc {
                    grpc: Box::new(grpc),
                    path: PathAndQuery::try_from(path)
                        .map_err(|_| TransportError::Endpoint(service.to_owned()))?,
                    metadata: MetadataMap::from_headers(headers),
                }
            }
            Protocol::Http => Way::Http {
                http: http_client(target)?,
                url: reqwest::Url::parse(&target.endpoint)
                    .map_err(|_| TransportError::Endpoint(target.endpoint.clone()))?,
                headers,
                gzip: target.gzip,
            },
        };
        Ok(Transport {
            way,
            timeout: target.timeout,
        })
    }

    /// Sends a message; repeats it while that may help, until `end`.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn send(&mut self, message: Bytes, end: Instant) -> Result<Bytes, String> {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let tried = timeout(self.timeout, self.try_once(message.clone())).await;
            let outcome = tried.unwrap_or_else(|_| {
                Err(Failure::ForNow(
                    "the collector does not answer".to_owned(),
                    None,
                ))
            });
            let (reason, after) = match outcome {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(reason)) => return Err(reason),
                Err(Failure::ForNow(reason, after)) => (reason, after),
            };
            let wait =
                after.unwrap_or_else(|| backoff.mul_f64(rand::rng().random_range(0.5..=1.0)));
            if Instant::now() + wait >= end {
                return Err(reason);
            }
            sleep(wait).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    async fn try_once(&mut self, message: Bytes) -> Result<Bytes, Failure> {
        match &mut self.way {
            Way::Grpc {
                grpc,
                path,
                metadata,
            } => {
                grpc.ready().await.map_err(|_| unreachable_for_now())?;
                let mut request = Request::new(message);
                *request.metadata_mut() = metadata.clone();
                match grpc.unary(request, path.clone(), RawCodec).await {
                    Ok(response) => Ok(response.into_inner()),
                    Err(status) => Err(grpc_failure(&status)),
                }
            }
            Way::Http {
                http,
                url,
                headers,
                gzip,
            } => {
                let mut request = http.post(url.clone()).headers(headers.clone());
                request = request.header(header::CONTENT_TYPE, "application/x-protobuf");
                let body = match gzip {
                    true => {
                        request = request.header(header::CONTENT_ENCODING, "gzip");
                        gzipped(&message)
                    }
                    false => message,
                };
                let response = request.body(body).send().await;
                let response = response.map_err(|_| unreachable_for_now())?;
                http_answer(response).await
            }
        }
    }
}

fn unreachable_for_now() -> Failure {
    Failure::ForNow("the collector cannot be reached".to_owned(), None)
}

/// The codes that the OTLP specification lets repeat.
fn grpc_failure(status: &Status) -> Failure {
    let reason = format!("the collector answered {:?}", status.code());
    let after = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Failure::ForNow(reason, after),
        Code::ResourceExhausted if after.is_some() => Failure::ForNow(reason, after),
        _ => Failure::Refused(reason),
    }
}

/// The statuses that the OTLP specification lets repeat.
async fn http_answer(response: reqwest::Response) -> Result<Bytes, Failure> {
    let status = response.status();
    if status.is_success() {
        return response.bytes().await.map_err(|_| unreachable_for_now());
    }
    let after = response.headers().get(header::RETRY_AFTER);
    let after = after
        .and_then(|it| it.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let reason = format!("the collector answered {}", status.as_u16());
    Err(match status.as_u16() {
        429 | 502 | 503 | 504 => Failure::ForNow(reason, after),
        _ => Failure::Refused(reason),
    })
}

fn gzipped(message: &[u8]) -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(message);
    Bytes::from(encoder.finish().unwrap_or_default())
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let wrong = || TransportError::Header(name.clone());
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?;
        // It may be a secret.
        value.set_sensitive(true);
        headers.append(parsed, value);
    }
    Ok(headers)
}

fn channel(target: &Target) -> Result<Channel, TransportError> {
    let wrong = || TransportError::Endpoint(target.endpoint.clone());
    let mut endpoint = Endpoint::from_shared(target.endpoint.clone())
        .map_err(|_| wrong())?
        .connect_timeout(target.timeout);
    if target.endpoint.starts_with("https://") {
        let mut tls = ClientTlsConfig::new();
        tls = match &target.certificate {
            Some(path) => tls.ca_certificate(Certificate::from_pem(file(path)?)),
            None => tls.with_enabled_roots(),
        };
        if let Some((certificate, key)) = &target.identity {
            tls = tls.identity(Identity::from_pem(file(certificate)?, file(key)?));
        }
        endpoint = endpoint.tls_config(tls).map_err(|_| wrong())?;
    }
    Ok(endpoint.connect_lazy())
}

fn http_client(target: &Target) -> Result<reqwest::Client, TransportError> {
    let wrong = |path: &std::path::Path| TransportError::Certificate(path.display().to_string());
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(target.timeout);
    if let Some(path) = &target.certificate {
        let certificates =
            reqwest::Certificate::from_pem_bundle(&file(path)?).map_err(|_| wrong(path))?;
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((certificate, key)) = &target.identity {
        let mut both = file(certificate)?;
        both.extend(file(key)?);
        let identity = reqwest::Identity::from_pem(&both).map_err(|_| wrong(certificate))?;
        builder = builder.identity(identity);
    }
    builder
        .build()
        .map_err(|_| TransportError::Endpoint(target.endpoint.clone()))
}

fn file(path: &std::path::Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|_| TransportError::Certificate(path.display().to_string()))
}

/// Messages that are bytes already.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
