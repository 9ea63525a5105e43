//! TLS on the port: the server's certificate, and the names in client
//! certificates.

use super::config::TlsConfig;
use crate::{
    access::PeerNames,
    certificates::{PemFileError, certificates, private_key},
    secrets::{LoadError, Reloadable},
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{io, path::Path, sync::Arc};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use webpki::EndEntityCert;

/// The TLS files cannot be loaded. Nothing of a key is quoted.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read, or contains no certificate or key.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// One of the two files is not configured.
    #[error("server.tls: cert_file and key_file must both be set")]
    Incomplete,
    /// For example, the certificate and the key do not match.
    #[error("failed to load the certificate: {0}")]
    Unusable(#[from] rustls::Error),
    /// The CA of the client certificates is not valid.
    #[error("failed to load the client CA: {0}")]
    ClientCa(#[from] rustls::server::VerifierBuilderError),
}

/// The TLS configuration in use. Certificate, key and CA are reloaded when they
/// change; open connections keep theirs until they reach their maximum age.
#[derive(Debug, Clone)]
pub struct Tls(Reloadable<ServerConfig>);

impl Tls {
    /// TLS as configured; `None` when it is off. HTTP/1.1 is offered for
    /// gRPC-Web only.
    ///
    /// # Errors
    /// When a file cannot be loaded.
    pub async fn load(config: &TlsConfig, grpc_web: bool) -> Result<Option<Tls>, LoadError> {
        if !config.is_on() {
            return Ok(None);
        }
        let config = config.clone();
        let paths = [&config.cert_file, &config.key_file, &config.client_ca_file];
        let files = paths.into_iter().flatten().cloned().collect();
        let reloading = Reloadable::load("certificates", files, move |_| {
            let built = build(&config, grpc_web);
            Box::pin(async move { Ok(built?) })
        });
        Ok(Some(Tls(reloading.await?)))
    }

    /// The current certificates, to be watched and reloaded.
    pub fn certificates(&self) -> &Reloadable<ServerConfig> {
        &self.0
    }

    /// Performs the handshake; returns the names in the client certificate, if
    /// there is one.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<PeerNames>)> {
        let acceptor = TlsAcceptor::from(self.0.current());
        let stream = acceptor.accept(stream).await?;
        let certificates = stream.get_ref().1.peer_certificates();
        let names = certificates.and_then(<[_]>::first).map(names);
        Ok((stream, names))
    }
}

fn build(config: &TlsConfig, grpc_web: bool) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (chain, key) = match (&config.cert_file, &config.key_file) {
        (Some(cert), Some(key)) => (certificates(cert)?, private_key(key)?),
        _ => return Err(TlsError::Incomplete),
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &config.client_ca_file {
        Some(ca) => builder.with_client_cert_verifier(verifier(config, ca, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut tls = builder.with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    if grpc_web {
        tls.alpn_protocols.push(b"http/1.1".to_vec());
    }
    Ok(tls)
}

fn verifier(
    config: &TlsConfig,
    ca: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    Ok(if config.client_cert_required {
        builder.build()?
    } else {
        builder.allow_unauthenticated().build()?
    })
}

/// The URIs (SPIFFE ids included) and DNS names of a verified certificate.
fn names(certificate: &CertificateDer<'_>) -> PeerNames {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return PeerNames::default();
    };
    let uris = certificate.valid_uri_names();
    let names = uris.chain(certificate.valid_dns_names());
    PeerNames(names.map(str::to_owned).collect())
}
