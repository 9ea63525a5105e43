//! Opens connections to the API: TCP or a proxy, then TLS.

use super::{byte_stream::ByteStream, tunnel::open_tunnel};
use crate::{
    dns,
    upstream::{
        ConnectFailure, UpstreamConfig,
        http::{
            proxy::{Proxy, ProxyScheme},
            tls::HTTP_2,
        },
    },
};
use futures::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper_util::{client::legacy::connect::proxy::SocksV5, rt::TokioIo};
use rustls::{
    ClientConfig,
    pki_types::{InvalidDnsNameError, ServerName},
};
use std::{io, sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::ServiceExt;

/// The values of the official SDKs.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// Unanswered TCP keepalive probes after which a connection is dead.
pub const TCP_KEEPALIVE_PROBES: u32 = 5;

/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

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
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, ConnectFailure>>;
}

/// Opens connections to the API, over TLS.
#[derive(Clone)]
pub struct Connector {
    address: Uri,
    name: ServerName<'static>,
    tls: TlsConnector,
    tcp: dns::TcpConnector,
    proxy: Option<Arc<ViaProxy>>,
    timeout: Duration,
}

/// Opens connections to the API through a proxy.
struct ViaProxy {
    proxy: Proxy,
    tcp: dns::TcpConnector,
    tls: TlsConnector,
}

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
        proxy: Option<Proxy>,
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
        let via_proxy = |proxy| ViaProxy {
            proxy,
            tcp: tcp.clone(),
            tls: TlsConnector::from(Arc::new(plain)),
        };
        Ok(Connector {
            address,
            name,
            tls: TlsConnector::from(Arc::new(tls.clone())),
            proxy: proxy.map(|proxy| Arc::new(via_proxy(proxy))),
            tcp,
            timeout: config.connect_timeout,
        })
    }

    async fn connect(self) -> Result<Dialed, ConnectFailure> {
        let io = match self.proxy {
            None => connect_tcp(self.tcp, self.address)
                .await
                .map_err(|error| ConnectFailure::of(&error))?,
            Some(proxy) => proxy.tunnel(self.address).await?,
        };
        let stream = self.tls.connect(self.name, io).await;
        let stream = stream.map_err(|error| match ConnectFailure::of(&error) {
            ConnectFailure::Other => ConnectFailure::Tls,
            failure => failure,
        })?;
        let (_, session) = stream.get_ref();
        Ok(match session.alpn_protocol() {
            Some(HTTP_2) => Dialed::Http2(Box::new(stream)),
            _ => Dialed::Http1,
        })
    }
}

impl Dial for Connector {
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, ConnectFailure>> {
        let connector = self.clone();
        async move {
            let longest = connector.timeout;
            let slow = match &connector.proxy {
                Some(_) => ConnectFailure::ProxyTimedOut,
                None => ConnectFailure::TimedOut,
            };
            let connected = timeout(longest, connector.connect()).await;
            connected.unwrap_or(Err(slow))
        }
        .boxed()
    }
}

// === impl ViaProxy ===

impl ViaProxy {
    /// A tunnel to `address`.
    async fn tunnel(&self, address: Uri) -> Result<ByteStream, ConnectFailure> {
        let connected = self.connect().await;
        let mut io = connected.map_err(|error| ConnectFailure::of(&error).through_proxy())?;
        match self.proxy.scheme {
            ProxyScheme::Socks5 => self.tunnel_of_socks(io, address).await,
            ProxyScheme::Http | ProxyScheme::Https => {
                let host = address.host().unwrap_or_default();
                let port = address.port_u16().unwrap_or(HTTPS_PORT);
                let authorization = self.proxy.authorization();
                open_tunnel(&mut io, &format!("{host}:{port}"), authorization.as_ref()).await?;
                Ok(io)
            }
        }
    }

    /// A tunnel to `address` through a connection to a SOCKS proxy.
    fn tunnel_of_socks(
        &self,
        io: ByteStream,
        address: Uri,
    ) -> BoxFuture<'static, Result<ByteStream, ConnectFailure>> {
        let mut io = Some(io);
        let connected = tower::service_fn(move |_: Uri| -> BoxFuture<'static, io::Result<_>> {
            let io = io.take().map(TokioIo::new);
            std::future::ready(io.ok_or_else(|| io::ErrorKind::NotConnected.into())).boxed()
        });
        let mut socks = SocksV5::new(self.proxy.address.clone(), connected);
        if let Some((user, password)) = self.proxy.credentials() {
            socks = socks.with_auth(user, password);
        }
        let tunnelled = socks.oneshot(address);
        tunnelled
            .map(|io| Ok(io.map_err(|_| ConnectFailure::ProxyTunnel)?.into_inner()))
            .boxed()
    }

    /// A connection to the proxy itself.
    async fn connect(&self) -> io::Result<ByteStream> {
        let address = self.proxy.address.clone();
        let io = connect_tcp(self.tcp.clone(), address.clone()).await?;
        if self.proxy.scheme != ProxyScheme::Https {
            return Ok(io);
        }
        let name = server_name(&address).map_err(io::Error::other)?;
        Ok(Box::new(self.tls.connect(name, io).await?))
    }
}

/// The name that the certificate of a host must have.
fn server_name(address: &Uri) -> Result<ServerName<'static>, InvalidDnsNameError> {
    let host = address.host().unwrap_or_default();
    // A literal IPv6 address is in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
}

async fn connect_tcp(connector: dns::TcpConnector, address: Uri) -> io::Result<ByteStream> {
    let stream = connector.oneshot(address).await.map_err(io::Error::other)?;
    Ok(Box::new(stream.into_inner()))
}
