//! Whether a signal is exported, and where.

use super::reader::VariableReader;
use std::{path::PathBuf, time::Duration};

/// The default timeout of the specification for an export over OTLP.
const OTLP_TIMEOUT: Duration = Duration::from_secs(10);

/// The default timeout of the specification for the export of a batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);

/// The default endpoint of the specification for OTLP/gRPC.
const GRPC_ENDPOINT: &str = "http://localhost:4317";

/// Where a signal is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportTarget {
    /// A collector.
    Otlp(OtlpTarget),
    /// Standard output, for debugging.
    Console,
}

/// How a signal is exported to a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpTarget {
    /// The protocol.
    pub protocol: OtlpProtocol,
    /// The endpoint over gRPC, with its scheme. Over HTTP the exporter reads the
    /// endpoint itself, and appends paths by its own rules.
    pub grpc_endpoint: String,
    /// Timeout of an export.
    pub timeout: Duration,
    /// File with the certificates to trust instead of those of the system.
    pub certificate: Option<PathBuf>,
    /// Files with the client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A protocol of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// Protobuf over gRPC.
    Grpc,
    /// Protobuf over HTTP.
    HttpBinary,
    /// JSON over HTTP.
    HttpJson,
}

const PROTOCOLS: [(&str, OtlpProtocol); 3] = [
    ("grpc", OtlpProtocol::Grpc),
    ("http/protobuf", OtlpProtocol::HttpBinary),
    ("http/json", OtlpProtocol::HttpJson),
];

/// The supported exporters.
const EXPORTERS: [&str; 3] = ["otlp", "console", "prometheus"];

impl VariableReader<'_> {
    /// The target of a signal. `longest` is the variable with the maximum
    /// duration of an export.
    pub(super) fn target(
        &mut self,
        signal: &str,
        longest: &str,
        is_on: bool,
    ) -> Option<ExportTarget> {
        let chosen = format!("OTEL_{signal}_EXPORTER");
        let mut exporters = match self.list(&chosen, &EXPORTERS) {
            Some(list) => list,
            None if self.either(signal, "ENDPOINT").is_some() => vec!["otlp".to_owned()],
            None => Vec::new(),
        };
        // The admin port always serves Prometheus.
        exporters.retain(|exporter| exporter != "prometheus");
        if exporters.len() > 1 {
            self.ignore(&chosen, "must name one exporter: the first is used");
        }
        let exporter = exporters.first().filter(|_| is_on)?;
        Some(match exporter.as_str() {
            "console" => ExportTarget::Console,
            _ => ExportTarget::Otlp(self.otlp(signal, longest)),
        })
    }

    fn otlp(&mut self, signal: &str, longest: &str) -> OtlpTarget {
        let protocol = self.name_of(signal, "PROTOCOL");
        let protocol = self.choice(&protocol, &PROTOCOLS);
        let timeout = self.name_of(signal, "TIMEOUT");
        let timeout = self.timeout(&timeout).unwrap_or(OTLP_TIMEOUT);
        let longest = self.timeout(longest).unwrap_or(EXPORT_TIMEOUT);
        let grpc_endpoint = self.grpc_endpoint(signal);
        let file = |what| self.either(signal, what).map(PathBuf::from);
        OtlpTarget {
            protocol: protocol.unwrap_or(OtlpProtocol::HttpBinary),
            grpc_endpoint,
            timeout: timeout.min(longest),
            certificate: file("CERTIFICATE"),
            identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
        }
    }

    fn grpc_endpoint(&mut self, signal: &str) -> String {
        let given = self.either(signal, "ENDPOINT");
        let endpoint = given.unwrap_or_else(|| GRPC_ENDPOINT.to_owned());
        let insecure = self.name_of(signal, "INSECURE");
        // If the endpoint has a scheme, the scheme alone determines TLS.
        match (endpoint.contains("://"), self.boolean(&insecure)) {
            (true, _) => endpoint,
            (false, true) => format!("http://{endpoint}"),
            (false, false) => format!("https://{endpoint}"),
        }
    }

    /// The variable of the signal, if it is set, or the general one.
    fn name_of(&self, signal: &str, what: &str) -> String {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{what}");
        match self.text(&own) {
            Some(_) => own,
            None => format!("OTEL_EXPORTER_OTLP_{what}"),
        }
    }

    fn either(&self, signal: &str, what: &str) -> Option<String> {
        self.text(&self.name_of(signal, what))
    }
}
