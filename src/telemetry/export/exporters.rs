//! The exporters of `opentelemetry-otlp`.
//!
//! They read `OTEL_EXPORTER_OTLP_*` themselves (endpoints over HTTP, headers,
//! compression, temporality). This module does what they do not: it chooses
//! between two builders by `OTEL_EXPORTER_OTLP_PROTOCOL`, trusts the files named
//! by `…_CERTIFICATE`, `…_CLIENT_CERTIFICATE` and `…_CLIENT_KEY`, applies
//! `OTEL_BSP_EXPORT_TIMEOUT` and its counterparts, and resolves names over gRPC
//! where the C library cannot.

use super::environment::{OtlpProtocol, OtlpTarget};
use crate::{dns, secrets::read_private};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use std::{path::Path, thread};
use thiserror::Error;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// An export target is unusable.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The exporter rejected its variables.
    #[error(transparent)]
    Build(#[from] ExporterBuildError),
    /// A certificate or key file is unreadable, or others can read the key.
    #[error("failed to read {0}: {1}")]
    File(String, String),
    /// An endpoint over gRPC is invalid.
    #[error("failed to parse the endpoint {0:?}: {1}")]
    Endpoint(String, tonic::transport::Error),
    /// Certificates or keys are invalid.
    #[error("failed to load the certificates or keys: {0}")]
    Certificate(reqwest::Error),
}

/// Builds an exporter for the protocol of its target. The crate has a separate
/// builder type for each protocol.
macro_rules! exporter {
    ($exporter:ident, $target:expr) => {{
        let target: &OtlpTarget = $target;
        match target.protocol {
            OtlpProtocol::Grpc => $exporter::builder()
                .with_tonic()
                .with_channel(channel(target)?)
                .with_timeout(target.timeout)
                .build(),
            OtlpProtocol::HttpBinary | OtlpProtocol::HttpJson => {
                let mut builder = $exporter::builder()
                    .with_http()
                    .with_timeout(target.timeout)
                    .with_protocol(match target.protocol {
                        OtlpProtocol::HttpJson => opentelemetry_otlp::Protocol::HttpJson,
                        _ => opentelemetry_otlp::Protocol::HttpBinary,
                    });
                if let Some(client) = http_client(target)? {
                    builder = builder.with_http_client(client);
                }
                builder.build()
            }
        }
    }};
}

/// Builds an exporter of spans.
///
/// # Errors
/// Fails when the target is unusable.
pub fn of_spans(target: &OtlpTarget) -> Result<SpanExporter, ExportError> {
    Ok(exporter!(SpanExporter, target)?)
}

/// Builds an exporter of metrics.
///
/// # Errors
/// Fails when the target is unusable.
pub fn of_metrics(target: &OtlpTarget) -> Result<MetricExporter, ExportError> {
    Ok(exporter!(MetricExporter, target)?)
}

/// Builds an exporter of log records.
///
/// # Errors
/// Fails when the target is unusable.
pub fn of_logs(target: &OtlpTarget) -> Result<LogExporter, ExportError> {
    Ok(exporter!(LogExporter, target)?)
}

/// A connection that resolves names as the rest of the service does.
fn channel(target: &OtlpTarget) -> Result<Channel, ExportError> {
    let unusable = |error| ExportError::Endpoint(target.grpc_endpoint.clone(), error);
    let endpoint = Endpoint::from_shared(target.grpc_endpoint.clone()).map_err(unusable)?;
    let mut endpoint = endpoint.timeout(target.timeout);
    if endpoint.uri().scheme_str() == Some("https") {
        endpoint = endpoint.tls_config(tls(target)?).map_err(unusable)?;
    }
    Ok(endpoint.connect_with_connector_lazy(dns::connector()))
}

fn tls(target: &OtlpTarget) -> Result<ClientTlsConfig, ExportError> {
    let mut tls = ClientTlsConfig::new();
    tls = match &target.certificate {
        Some(path) => tls.ca_certificate(Certificate::from_pem(file(path)?)),
        None => tls.with_enabled_roots(),
    };
    if let Some((certificate, key)) = &target.identity {
        tls = tls.identity(Identity::from_pem(file(certificate)?, private_key(key)?));
    }
    Ok(tls)
}

/// A client that trusts the given files, or `None` for the default client of
/// the exporter.
fn http_client(target: &OtlpTarget) -> Result<Option<reqwest::blocking::Client>, ExportError> {
    if target.certificate.is_none() && target.identity.is_none() {
        return Ok(None);
    }
    let mut builder = reqwest::blocking::Client::builder().timeout(target.timeout);
    if let Some(path) = &target.certificate {
        let certificates = reqwest::Certificate::from_pem_bundle(&file(path)?);
        builder = builder.tls_certs_only(certificates.map_err(ExportError::Certificate)?);
    }
    if let Some((certificate, key)) = &target.identity {
        let mut both = file(certificate)?;
        both.extend(private_key(key)?);
        let identity = reqwest::Identity::from_pem(&both);
        builder = builder.identity(identity.map_err(ExportError::Certificate)?);
    }
    // A blocking client must not be created on a thread of a runtime.
    let built = thread::scope(|scope| scope.spawn(|| builder.build()).join());
    let built = built.expect("a builder of a client does not panic");
    built.map(Some).map_err(ExportError::Certificate)
}

fn file(path: &Path) -> Result<Vec<u8>, ExportError> {
    std::fs::read(path).map_err(|error| unreadable(path, error.to_string()))
}

fn private_key(path: &Path) -> Result<Vec<u8>, ExportError> {
    let content = read_private(path).map_err(|error| unreadable(path, error.without_path()))?;
    Ok(content.to_vec())
}

fn unreadable(path: &Path, problem: String) -> ExportError {
    ExportError::File(path.display().to_string(), problem)
}
