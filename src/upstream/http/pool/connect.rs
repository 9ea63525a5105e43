//! Opens connections to the API: TCP or a proxy, then TLS.
//!
//! The proxy is that of the environment: `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use crate::{
    dns,
    upstream::{UpstreamConfig, http::tls::HTTP_2},
};
use futures::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper_util::{
    client::{
        legacy::connect::proxy::Tunnel,
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls::{
    ClientConfig,
    pki_types::{InvalidDnsNameError, ServerName},
};
use std::{io, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower::ServiceExt;

/// The values of the official SDKs.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// Unanswered TCP keepalive probes after which a connection is dead.
pub const TCP_KEEPALIVE_PROBES: u32 = 5;

/// A connection, whatever is below it.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection over which HTTP is spoken.
pub type ByteStream = Box<dyn Duplex>;

/// A connection to the API.
pub enum Dialed {
    /// The peer speaks HTTP/2 on it.
    Http2(ByteStream),
    /// The peer speaks only HTTP/1.1. The connection was closed.
    Http1,
}

/// Opens connections to one peer.
pub trait Dial: Send + Sync + 'static {
    /// Opens a connection.
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, ConnectError>>;
}

/// Why no connection could be opened. The text contains no key and no
/// credentials of a proxy.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The name could not be resolved, or no address of it accepted.
    #[error("failed to connect: {0}")]
    Tcp(#[source] io::Error),
    /// The proxy of the environment could not be reached, or refused.
    #[error("failed to connect through the proxy: {0}")]
    Proxy(#[source] io::Error),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// The peer did not begin to speak HTTP/2.
    #[error("the HTTP/2 handshake failed: {0}")]
    Http2(#[source] h2::Error),
    /// It took longer than `connect_timeout`.
    #[error("connecting took longer than {0:?}")]
    TimedOut(Duration),
}

/// Opens connections to the API, over TLS.
#[derive(Clone)]
pub struct Connector {
    address: Uri,
    name: ServerName<'static>,
    tls: TlsConnector,
    tcp: TcpConnector,
    proxy: Option<Proxy>,
    timeout: Duration,
}

/// The proxy through which connections are opened.
#[derive(Clone)]
struct Proxy {
    intercept: Intercept,
    tls: TlsConnector,
}

#[cfg(not(feature = "resolver"))]
type TcpConnector = hyper_util::client::legacy::connect::HttpConnector;
#[cfg(feature = "resolver")]
type TcpConnector = hyper_util::client::legacy::connect::HttpConnector<dns::in_process::Resolver>;

// === impl Connector ===

impl Connector {
    /// A connector to an `https` address, with TLS that offers both versions of
    /// HTTP.
    ///
    /// # Errors
    /// When the host is not valid in a certificate.
    pub fn new(
        address: Uri,
        tls: &ClientConfig,
        config: &UpstreamConfig,
    ) -> Result<Self, InvalidDnsNameError> {
        let name = server_name(&address)?;
        let mut tcp = dns::connector();
        tcp.set_connect_timeout(Some(config.connect_timeout));
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_interval(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_retries(Some(TCP_KEEPALIVE_PROBES));
        tcp.set_tcp_user_timeout(Some(config.write_timeout));
        // A proxy that is reached over TLS speaks what it likes.
        let mut plain = tls.clone();
        plain.alpn_protocols.clear();
        let proxy = Matcher::from_env().intercept(&address);
        Ok(Connector {
            address,
            name,
            tls: TlsConnector::from(Arc::new(tls.clone())),
            tcp,
            proxy: proxy.map(|intercept| Proxy {
                intercept,
                tls: TlsConnector::from(Arc::new(plain)),
            }),
            timeout: config.connect_timeout,
        })
    }

    async fn connect(self) -> Result<Dialed, ConnectError> {
        let io = match self.proxy {
            None => connect_tcp(self.tcp, self.address)
                .await
                .map_err(ConnectError::Tcp)?,
            Some(proxy) => proxy
                .tunnel(self.tcp, self.address)
                .await
                .map_err(ConnectError::Proxy)?,
        };
        let stream = self.tls.connect(self.name, io).await;
        let stream = stream.map_err(ConnectError::Tls)?;
        let (_, session) = stream.get_ref();
        Ok(match session.alpn_protocol() {
            Some(HTTP_2) => Dialed::Http2(Box::new(stream)),
            _ => Dialed::Http1,
        })
    }
}

impl Dial for Connector {
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, ConnectError>> {
        let connector = self.clone();
        async move {
            let longest = connector.timeout;
            timeout(longest, connector.connect())
                .await
                .unwrap_or(Err(ConnectError::TimedOut(longest)))
        }
        .boxed()
    }
}

// === impl Proxy ===

impl Proxy {
    /// A tunnel to `address`.
    fn tunnel(self, tcp: TcpConnector, address: Uri) -> BoxFuture<'static, io::Result<ByteStream>> {
        let (proxy, credentials) = (
            self.intercept.uri().clone(),
            self.intercept.basic_auth().cloned(),
        );
        let to_proxy = tower::service_fn(move |proxy: Uri| -> BoxFuture<'static, _> {
            self.clone().connect(tcp.clone(), proxy).boxed()
        });
        let mut tunnel = Tunnel::new(proxy, to_proxy);
        if let Some(credentials) = credentials {
            tunnel = tunnel.with_auth(credentials);
        }
        let tunnelled = tunnel.oneshot(address);
        tunnelled
            .map(|io| Ok(io.map_err(io::Error::other)?.into_inner()))
            .boxed()
    }

    /// A connection to the proxy itself.
    async fn connect(self, tcp: TcpConnector, proxy: Uri) -> io::Result<TokioIo<ByteStream>> {
        let io = connect_tcp(tcp, proxy.clone()).await?;
        if proxy.scheme_str() != Some("https") {
            return Ok(TokioIo::new(io));
        }
        let name = server_name(&proxy).map_err(io::Error::other)?;
        Ok(TokioIo::new(Box::new(self.tls.connect(name, io).await?)))
    }
}

/// The name that the certificate of a host must have.
fn server_name(address: &Uri) -> Result<ServerName<'static>, InvalidDnsNameError> {
    let host = address.host().unwrap_or_default();
    // A literal IPv6 address is in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
}

async fn connect_tcp(connector: TcpConnector, address: Uri) -> io::Result<ByteStream> {
    let stream = connector.oneshot(address).await.map_err(io::Error::other)?;
    Ok(Box::new(stream.into_inner()))
}
