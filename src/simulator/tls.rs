//! TLS on the port: with the certificate of files, or with one that is made at
//! the start.

use super::config::SimulatorTlsConfig;
use crate::certificates::{PemFileError, certificates, private_key};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{fs, io, path::Path, sync::Arc};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// Names that a generated certificate is valid for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The certificate cannot be loaded or made.
#[derive(Debug, Error)]
pub(super) enum SimulatorTlsError {
    #[error(transparent)]
    File(#[from] PemFileError),
    #[error("failed to load the certificate: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("failed to generate a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    #[error("failed to write {0}: {1}")]
    Write(String, io::Error),
}

/// TLS as configured; `None` when it is off. Offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When a file cannot be read or written, or does not contain what it should.
pub(super) fn acceptor(
    config: &SimulatorTlsConfig,
) -> Result<Option<TlsAcceptor>, SimulatorTlsError> {
    let (chain, key) = match config {
        SimulatorTlsConfig {
            cert_file: Some(cert_file),
            key_file: Some(key_file),
            ..
        } => (certificates(cert_file)?, private_key(key_file)?),
        SimulatorTlsConfig {
            generated_ca_file: Some(ca_file),
            ..
        } => generate(ca_file)?,
        _ => return Ok(None),
    };
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(tls))))
}

/// Makes a CA and a certificate that it signs, since clients reject a CA as the
/// certificate of a server. Both keys are only in memory, and that of the CA is
/// gone once the certificate is signed.
fn generate(
    ca_file: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SimulatorTlsError> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = NAMES.map(str::to_owned);
    let certificate = CertificateParams::new(names)?.signed_by(&key, &ca)?;
    fs::write(ca_file, ca.pem())
        .map_err(|error| SimulatorTlsError::Write(ca_file.display().to_string(), error))?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((vec![certificate.der().clone()], key.into()))
}
