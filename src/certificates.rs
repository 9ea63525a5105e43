//! Certificates and private keys in PEM files, and the CAs of the system: for
//! the port, the simulator, and the connections to the API.

use crate::secrets::{SecretError, read_secret, read_text};
use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use rustls_native_certs::CertificateResult;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// A PEM file that cannot be used. Nothing of a key is quoted.
#[derive(Debug, Error)]
#[error("{file}: {reason}")]
pub struct PemFileError {
    /// Path of the file.
    file: String,
    /// What is wrong with the file.
    reason: String,
}

impl PemFileError {
    fn new(path: &Path, reason: impl ToString) -> Self {
        PemFileError {
            file: path.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// The certificates of a file, in their order.
///
/// # Errors
/// When the file cannot be read, or contains no certificate.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemFileError> {
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(content(path, read_text)?.as_bytes()).collect();
    let chain = read.map_err(|error| PemFileError::new(path, unquoted(&error)))?;
    if chain.is_empty() {
        return Err(PemFileError::new(path, "must contain a certificate"));
    }
    Ok(chain)
}

/// The private key of a file.
///
/// # Errors
/// When the file cannot be read, is accessible by other users, or contains no
/// private key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemFileError> {
    PrivateKeyDer::from_pem_slice(content(path, read_secret)?.as_bytes())
        .map_err(|error| PemFileError::new(path, unquoted(&error)))
}

fn content(
    path: &Path,
    read: fn(&Path) -> Result<Zeroizing<String>, SecretError>,
) -> Result<Zeroizing<String>, PemFileError> {
    read(path).map_err(|error| PemFileError::new(path, error.without_path()))
}

/// The CAs of a server cannot be loaded.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file with further CAs.
    #[error(transparent)]
    CaFile(#[from] PemFileError),
    /// A file or folder that the environment names, or of the system.
    #[error("failed to load the CAs of the system (SSL_CERT_FILE, SSL_CERT_DIR): {0}")]
    System(String),
    /// A certificate of the file is not valid.
    #[error("failed to load a CA: {0}")]
    Certificate(#[from] rustls::Error),
}

/// The CAs of the system. The crate takes an empty `SSL_CERT_FILE` for a path; it
/// counts as unset, as every variable.
fn of_system() -> CertificateResult {
    let is_empty = |name| std::env::var_os(name).as_deref().map(OsStr::is_empty);
    let (file, folders) = (is_empty("SSL_CERT_FILE"), is_empty("SSL_CERT_DIR"));
    if file != Some(true) || folders == Some(false) {
        return rustls_native_certs::load_native_certs();
    }
    let found = openssl_probe::probe();
    let folder = found.cert_dir.first();
    rustls_native_certs::load_certs_from_paths(
        found.cert_file.as_deref(),
        folder.map(PathBuf::as_path),
    )
}

/// The CAs of the system, or in their place those that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name; and those of a file of further CAs.
///
/// # Errors
/// When the file of further CAs cannot be loaded, or there is no CA at all.
pub fn trusted(ca_file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let system = of_system();
    let mut roots = RootCertStore::empty();
    // Systems ship certificates that are not valid; the others are enough.
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty()
        && let Some(error) = system.errors.first()
    {
        return Err(TrustError::System(error.to_string()));
    }
    if let Some(ca_file) = ca_file {
        for certificate in certificates(ca_file)? {
            roots.add(certificate)?;
        }
    }
    if roots.is_empty() {
        return Err(TrustError::System("no certificate was found".to_owned()));
    }
    Ok(roots)
}

/// What is wrong with a PEM file. The error's own text quotes the line, and a
/// key that has lost its line breaks is all on one line.
fn unquoted(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "has a section without an END line".to_owned(),
        pem::Error::IllegalSectionStart { .. } => {
            "has a malformed BEGIN line; the line breaks may be missing".to_owned()
        }
        pem::Error::Base64Decode(_) => "is not valid Base64 between BEGIN and END".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "must contain a PEM section of the expected kind".to_owned(),
        _ => "is not a valid PEM file".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without line breaks, and cut off: what a template may make of a key.
    #[test]
    fn a_broken_key_is_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tls.key");
        for text in [
            "-----BEGIN PRIVATE KEY-----canary-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\ncanary\n-----END canary-----\n",
            "-----BEGIN PRIVATE KEY-----\ncanary!\n-----END PRIVATE KEY-----\n",
            "-----BEGIN canary-----\ncanary\n-----END canary-----\n",
            "canary",
        ] {
            crate::secrets::write_private(&path, text.as_bytes()).unwrap();
            let error = private_key(&path).unwrap_err().to_string();
            let in_numbers = error.contains(&format!("{:?}", b"canary")[1..20]);
            assert!(!error.contains("canary") && !in_numbers, "{error}");
        }
    }
}
