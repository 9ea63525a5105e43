//! Whether a signal is exported, and how.

use super::reader::VariableReader;
use std::{path::PathBuf, time::Duration};

/// The specification's default for one export over OTLP.
const OTLP_TIMEOUT: Duration = Duration::from_secs(10);

/// The specification's default for one export of a batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);

/// The specification's default for OTLP/gRPC.
const GRPC_ENDPOINT: &str = "http://localhost:4317";

/// Where one signal goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportTarget {
    /// To a collector.
    Otlp(OtlpTarget),
    /// To standard output, for people.
    Console,
}

/// How one signal is sent to a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpTarget {
    /// How.
    pub protocol: OtlpProtocol,
    /// Where to over gRPC, with its scheme. Over HTTP the exporter reads this
    /// itself: paths are added to it by rules of their own.
    pub grpc_endpoint: String,
    /// Longest time of one export.
    pub timeout: Duration,
    /// File with the certificates to trust, instead of the system's.
    pub certificate: Option<PathBuf>,
    /// Files with our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP, binary.
    HttpBinary,
    /// OTLP/HTTP, JSON.
    HttpJson,
}

const PROTOCOLS: [(&str, OtlpProtocol); 3] = [
    ("grpc", OtlpProtocol::Grpc),
    ("http/protobuf", OtlpProtocol::HttpBinary),
    ("http/json", OtlpProtocol::HttpJson),
];

/// Exporters that may be named.
const EXPORTERS: [&str; 3] = ["otlp", "console", "prometheus"];

impl VariableReader<'_> {
    /// Where a signal goes. `longest` is the variable with the most time that
    /// one of its exports may take.
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
        // The admin port serves Prometheus in any case.
        exporters.retain(|exporter| exporter != "prometheus");
        if exporters.len() > 1 {
            self.ignore(&chosen, "may name one exporter: the first is used");
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
        // Where the endpoint has a scheme, it alone says whether TLS is used.
        match (endpoint.contains("://"), self.boolean(&insecure)) {
            (true, _) => endpoint,
            (false, true) => format!("http://{endpoint}"),
            (false, false) => format!("https://{endpoint}"),
        }
    }

    /// The variable of one signal, if it is set, or else the one of all.
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
