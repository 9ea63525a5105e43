//! Certificates for the port.

use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use std::{fs, path::Path};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity};

/// A CA that signs servers and callers.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Clone)]
pub struct Signed {
    pub cert: String,
    pub key: String,
}

impl Ca {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Ca(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn sign(&self, names: Vec<SanType>) -> Signed {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        // OpenSSL takes a certificate for self-signed whose subject is its issuer.
        params
            .distinguished_name
            .push(DnType::CommonName, "claude-grpc test");
        let key = KeyPair::generate().unwrap();
        Signed {
            cert: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// For a server that is reached by its name, or at its address.
    pub fn server(&self) -> Signed {
        self.sign(vec![
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
            // For a server that only a proxy finds.
            SanType::DnsName("api.example.test".try_into().unwrap()),
        ])
    }

    pub fn caller(&self, id: &str) -> Signed {
        self.sign(vec![SanType::URI(id.try_into().unwrap())])
    }

    /// A connection to a server of this CA.
    pub async fn connect(&self, address: &str, caller: Option<&Signed>) -> Result<Channel, Error> {
        connect(address, &self.pem(), caller).await
    }
}

/// A connection to a server of one of these CAs.
pub async fn connect(
    address: &str,
    roots: &str,
    caller: Option<&Signed>,
) -> Result<Channel, Error> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(roots))
        .domain_name("localhost");
    if let Some(caller) = caller {
        tls = tls.identity(Identity::from_pem(&caller.cert, &caller.key));
    }
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await
}

/// Writes the files of a server: its certificate, its key, the callers' CA.
pub fn write(directory: &Path, signed: &Signed, ca: Option<&Ca>) {
    if let Some(ca) = ca {
        replace(&directory.join("ca.crt"), ca.pem().as_bytes());
    }
    replace(&directory.join("tls.key"), signed.key.as_bytes());
    replace(&directory.join("tls.crt"), signed.cert.as_bytes());
}

/// Replaces a file at one go, for its owner only.
pub fn replace(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, path).unwrap();
}
