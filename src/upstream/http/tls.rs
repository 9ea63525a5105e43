//! TLS of the connections to the API. Both HTTP clients use it, so that they
//! trust the same CAs.

use crate::certificates::{TrustError, trusted};
use rustls::{ClientConfig, crypto::aws_lc_rs};
use std::{path::Path, sync::Arc};

/// HTTP/2 in ALPN (RFC 7301).
pub const HTTP_2: &[u8] = b"h2";

/// HTTP/1.1 in ALPN.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// Trusts the CAs of the system and those of a file. Offers HTTP/2 and
/// HTTP/1.1, in this order.
///
/// # Errors
/// When the CAs cannot be loaded.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted(ca_file)?)
        .with_no_client_auth();
    tls.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()];
    Ok(tls)
}
