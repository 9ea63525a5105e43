//! How the names of servers are resolved.
//!
//! By the C library, as usual, unless the feature `resolver` is on: a static C
//! library cannot load the modules that query name servers. This process then
//! queries them itself, according to `/etc/resolv.conf` and `/etc/hosts`. (HTTP/1.1
//! goes through `reqwest`, which the same feature configures to do so.)

use hyper_util::client::legacy::connect::HttpConnector;

/// A connector that resolves names, for `Endpoint::connect_with_connector`.
#[cfg(not(feature = "resolver"))]
pub fn connector() -> HttpConnector {
    ready(HttpConnector::new())
}

/// A connector that resolves names, for `Endpoint::connect_with_connector`.
#[cfg(feature = "resolver")]
pub fn connector() -> HttpConnector<in_process::Resolver> {
    ready(HttpConnector::new_with_resolver(
        in_process::Resolver::default(),
    ))
}

fn ready<R>(mut http: HttpConnector<R>) -> HttpConnector<R> {
    // `https://` is accepted as well: TLS is added on top.
    http.enforce_http(false);
    http.set_nodelay(true);
    http
}

/// Name resolution in this process.
#[cfg(feature = "resolver")]
pub mod in_process {
    use futures::future::BoxFuture;
    use hickory_resolver::TokioResolver;
    use hyper_util::client::legacy::connect::dns::Name;
    use std::{
        io,
        net::SocketAddr,
        sync::{Arc, OnceLock},
        task::{Context, Poll},
        vec,
    };
    use tower::Service;

    /// Queries the system's name servers. Clones share the cache.
    #[derive(Clone, Default)]
    pub struct Resolver(Arc<OnceLock<TokioResolver>>);

    impl Resolver {
        /// Created at the first lookup, since it needs the runtime.
        fn resolver(&self) -> io::Result<&TokioResolver> {
            if let Some(resolver) = self.0.get() {
                return Ok(resolver);
            }
            let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
            let resolver = resolver.map_err(io::Error::other)?;
            Ok(self.0.get_or_init(|| resolver))
        }
    }

    impl Service<Name> for Resolver {
        type Response = vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = BoxFuture<'static, io::Result<Self::Response>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, name: Name) -> Self::Future {
            let this = self.clone();
            Box::pin(async move {
                let found = this.resolver()?.lookup_ip(name.as_str()).await;
                let found = found.map_err(io::Error::other)?;
                // The connector sets the port.
                let addresses = found.iter().map(|address| SocketAddr::new(address, 0));
                Ok(addresses.collect::<Vec<_>>().into_iter())
            })
        }
    }
}
