//! The client for HTTP/1.1: of `http` addresses, of peers that do not speak HTTP/2, and of
//! the endpoint that issues tokens.

use super::{
    addresses::Addresses,
    config_error::HttpConfigError,
    pool,
    proxy::{Proxy, ProxyVariables},
    tls::{HTTP_1_1, client_config},
};
use crate::{
    dns,
    upstream::{HostConfig, UpstreamConfig},
};
use reqwest::Url;
use rustls::ClientConfig;

/// The `user-agent` of every request.
pub const AGENT: &str = concat!("claude-grpc/", env!("CARGO_PKG_VERSION"));

/// Maximum number of headers of a response over HTTP/1.1; over HTTP/2, their
/// size is limited.
const MAX_HEADERS: usize = 1_000;

/// A client with connections of its own, with TLS if it is given.
///
/// # Errors
/// When it cannot be initialized.
pub fn http1_client(
    config: &UpstreamConfig,
    proxy: Option<&Proxy>,
    tls: Option<ClientConfig>,
) -> Result<reqwest::Client, HttpConfigError> {
    // Its own reading of the environment ignores what it does not understand.
    let mut builder = reqwest::Client::builder().no_proxy();
    if let Some(proxy) = proxy {
        let proxy = proxy.for_reqwest().map_err(HttpConfigError::Client)?;
        builder = builder.proxy(proxy);
    }
    if let Some(mut tls) = tls {
        tls.alpn_protocols = vec![HTTP_1_1.to_vec()];
        builder = builder.tls_backend_preconfigured(tls);
    }
    builder
        .user_agent(AGENT)
        .dns_resolver(dns::NameResolver::default())
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(config.max_idle_connections)
        .pool_idle_timeout(config.idle_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(pool::TCP_KEEPALIVE)
        .tcp_keepalive_interval(pool::TCP_KEEPALIVE)
        .tcp_keepalive_retries(pool::TCP_KEEPALIVE_PROBES)
        .tcp_user_timeout(config.write_timeout)
        // Following a redirect would send the key to another host.
        .redirect(reqwest::redirect::Policy::none())
        // Retries belong to the retry layer, which counts them.
        .retry(reqwest::retry::never())
        .build()
        .map_err(HttpConfigError::Client)
}

/// A client for the endpoint of a host that issues tokens, with its CAs and through the same
/// proxy as its calls, and the base URL of the host.
///
/// # Errors
/// As of the client for calls.
pub fn token_client(
    host: &HostConfig,
    config: &UpstreamConfig,
    proxies: &ProxyVariables,
) -> Result<(reqwest::Client, Url), HttpConfigError> {
    let addresses = Addresses::of(host).ok_or(HttpConfigError::BaseUrl)?;
    let base = addresses.base().clone();
    let proxy = proxies.proxy_for(&base)?;
    let tls = match base.scheme() {
        "https" => Some(client_config(host.ca_file.as_deref())?),
        _ => None,
    };
    Ok((http1_client(config, proxy.as_ref(), tls)?, base))
}
