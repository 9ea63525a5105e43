//! What kept a connection to the API from being made.

use crate::dns::NameNotResolved;
use rustls::CertificateError as Certificate;
use std::{error::Error as StdError, io, iter::successors};
use thiserror::Error;

/// What kept a connection to the API from being made. Contains no address and no
/// credentials, so callers and logs may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConnectFailure {
    /// The name of the API has no address.
    #[error("its name does not resolve")]
    Dns,
    /// Nothing listens at the address.
    #[error("the connection was refused")]
    Refused,
    /// There is no route to the address.
    #[error("its network is unreachable")]
    Unreachable,
    /// Establishing the connection took longer than `upstream.connect_timeout`.
    #[error("it took too long")]
    TimedOut,
    /// The peer closed the connection before it was established.
    #[error("the connection was closed")]
    Reset,
    /// The certificate is for another name.
    #[error("its certificate is for another name")]
    TlsName,
    /// No CA that is trusted signed the certificate.
    #[error("its certificate is signed by an unknown CA")]
    TlsIssuer,
    /// The certificate has expired, or is not valid yet.
    #[error("its certificate is not valid at this time")]
    TlsExpired,
    /// The TLS handshake failed for another reason.
    #[error("the TLS handshake failed")]
    Tls,
    /// The name of the proxy has no address.
    #[error("the name of the proxy does not resolve")]
    ProxyDns,
    /// The proxy took longer than `upstream.connect_timeout`.
    #[error("the proxy took too long")]
    ProxyTimedOut,
    /// The proxy could not be reached.
    #[error("the proxy cannot be reached")]
    ProxyUnreachable,
    /// The proxy answered with this HTTP status.
    #[error("the proxy answered {0}")]
    ProxyRejected(u16),
    /// The proxy closed the connection, or does not speak the protocol of its
    /// scheme.
    #[error("the proxy did not open a tunnel")]
    ProxyTunnel,
    /// The peer does not speak HTTP.
    #[error("it does not speak HTTP")]
    Protocol,
    /// None of these.
    #[error("no reason is known")]
    Other,
}

impl ConnectFailure {
    /// The name in logs and in the metadata of statuses.
    pub fn name(self) -> &'static str {
        let error_type = self.error_type();
        error_type.strip_prefix("connect_").unwrap_or(error_type)
    }

    /// The `error.type` of an attempt.
    pub fn error_type(self) -> &'static str {
        match self {
            ConnectFailure::Dns => "connect_dns",
            ConnectFailure::Refused => "connect_refused",
            ConnectFailure::Unreachable => "connect_unreachable",
            ConnectFailure::TimedOut => "connect_timed_out",
            ConnectFailure::Reset => "connect_reset",
            ConnectFailure::TlsName => "connect_tls_name",
            ConnectFailure::TlsIssuer => "connect_tls_issuer",
            ConnectFailure::TlsExpired => "connect_tls_expired",
            ConnectFailure::Tls => "connect_tls",
            ConnectFailure::ProxyDns => "connect_proxy_dns",
            ConnectFailure::ProxyTimedOut => "connect_proxy_timed_out",
            ConnectFailure::ProxyUnreachable => "connect_proxy_unreachable",
            ConnectFailure::ProxyRejected(_) => "connect_proxy_rejected",
            ConnectFailure::ProxyTunnel => "connect_proxy_tunnel",
            ConnectFailure::Protocol => "connect_protocol",
            ConnectFailure::Other => "connect_other",
        }
    }

    /// The same failure, of a connection through a proxy: what comes before TLS
    /// concerns the proxy.
    pub fn through_proxy(self) -> ConnectFailure {
        match self {
            ConnectFailure::Dns => ConnectFailure::ProxyDns,
            ConnectFailure::TimedOut => ConnectFailure::ProxyTimedOut,
            ConnectFailure::Refused
            | ConnectFailure::Unreachable
            | ConnectFailure::Reset
            | ConnectFailure::Other => ConnectFailure::ProxyUnreachable,
            failure => failure,
        }
    }

    /// The failure that an error of the network or of TLS means.
    pub fn of(error: &(dyn StdError + 'static)) -> ConnectFailure {
        let mut causes = successors(Some(error), |error| cause(*error));
        causes.find_map(known).unwrap_or(ConnectFailure::Other)
    }
}

/// What an error was caused by. The error inside an `io::Error` is not its
/// source.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let inside = error.downcast_ref().and_then(io::Error::get_ref);
    match inside {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

fn known(error: &(dyn StdError + 'static)) -> Option<ConnectFailure> {
    if error.is::<NameNotResolved>() {
        return Some(ConnectFailure::Dns);
    }
    // The type is private, so its text identifies it.
    match error.to_string().as_str() {
        "tunnel error: proxy authorization required" => {
            return Some(ConnectFailure::ProxyRejected(407));
        }
        "tunnel error: unsuccessful" | "tunnel error: unexpected end of file" => {
            return Some(ConnectFailure::ProxyTunnel);
        }
        _ => {}
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    let error = error.downcast_ref::<io::Error>()?;
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(ConnectFailure::Refused),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Some(ConnectFailure::Unreachable)
        }
        io::ErrorKind::TimedOut => Some(ConnectFailure::TimedOut),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(ConnectFailure::Reset),
        _ => None,
    }
}

fn of_tls(error: &rustls::Error) -> ConnectFailure {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return ConnectFailure::Tls;
    };
    match certificate {
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            ConnectFailure::TlsName
        }
        Certificate::UnknownIssuer => ConnectFailure::TlsIssuer,
        Certificate::Expired
        | Certificate::ExpiredContext { .. }
        | Certificate::NotValidYet
        | Certificate::NotValidYetContext { .. } => ConnectFailure::TlsExpired,
        _ => ConnectFailure::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::ErrorType;
    use std::fmt;

    fn of_certificate(error: Certificate) -> ConnectFailure {
        let error = rustls::Error::InvalidCertificate(error);
        ConnectFailure::of(&io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn the_cause_is_found_below_other_errors() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let below = io::Error::other(refused);
        assert_eq!(ConnectFailure::of(&below), ConnectFailure::Refused);
        assert_eq!(
            of_certificate(Certificate::UnknownIssuer),
            ConnectFailure::TlsIssuer
        );
        assert_eq!(
            of_certificate(Certificate::NotValidForName),
            ConnectFailure::TlsName
        );
        assert_eq!(
            of_certificate(Certificate::Expired),
            ConnectFailure::TlsExpired
        );
        assert_eq!(
            of_certificate(Certificate::BadEncoding),
            ConnectFailure::Tls
        );
        assert_eq!(ConnectFailure::of(&fmt::Error), ConnectFailure::Other);
    }

    #[test]
    fn each_failure_has_an_error_type_of_its_own() {
        let failures = [
            ConnectFailure::Dns,
            ConnectFailure::Refused,
            ConnectFailure::Unreachable,
            ConnectFailure::TimedOut,
            ConnectFailure::Reset,
            ConnectFailure::TlsName,
            ConnectFailure::TlsIssuer,
            ConnectFailure::TlsExpired,
            ConnectFailure::Tls,
            ConnectFailure::ProxyDns,
            ConnectFailure::ProxyTimedOut,
            ConnectFailure::ProxyUnreachable,
            ConnectFailure::ProxyRejected(407),
            ConnectFailure::ProxyTunnel,
            ConnectFailure::Protocol,
            ConnectFailure::Other,
        ];
        for failure in failures {
            let error_type = failure.error_type();
            assert_eq!(ErrorType::named(error_type).name(), error_type);
            assert_eq!(format!("connect_{}", failure.name()), error_type);
        }
    }
}
