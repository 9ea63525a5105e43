//! How the names of gRPC servers are looked up.
//!
//! By the C library, as everybody does, unless the feature `resolver` is on: a
//! static C library cannot load the modules that ask name servers. Then this
//! process asks them, as `/etc/resolv.conf` and `/etc/hosts` say. (HTTP goes
//! through `reqwest`, which the same feature tells to do so.)

use hyper_util::client::legacy::connect::HttpConnector;

/// Connects to servers by their names, for `Endpoint::connect_with_connector`.
#[cfg(not(feature = "resolver"))]
pub fn connector() -> HttpConnector {
    ready(HttpConnector::new())
}

/// Connects to servers by their names, for `Endpoint::connect_with_connector`.
#[cfg(feature = "resolver")]
pub fn connector() -> HttpConnector<in_process::Resolver> {
    ready(HttpConnector::new_with_resolver(
        in_process::Resolver::default(),
    ))
}

fn ready<R>(mut http: HttpConnector<R>) -> HttpConnector<R> {
    // `https://` as well: TLS comes on top.
    http.enforce_http(false);
    http.set_nodelay(true);
    http
}

/// Lookups by this process.
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

    /// Asks the name servers of the system. Clones share the cache.
    #[derive(Clone, Default)]
    pub struct Resolver(Arc<OnceLock<TokioResolver>>);

    impl Resolver {
        /// Made at the first lookup, since it needs the runtime.
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
                // The connector puts in the port.
                let addresses = found.iter().map(|address| SocketAddr::new(address, 0));
                Ok(addresses.collect::<Vec<_>>().into_iter())
            })
        }
    }
}
