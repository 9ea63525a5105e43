//! How names are resolved, for gRPC and for HTTP.
//!
//! By the C library, as usual, unless the feature `resolver` is on: a static C
//! library cannot load the modules that query name servers. This process then
//! queries them itself, according to `/etc/resolv.conf` and `/etc/hosts`.

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use std::{
    error::Error,
    net::SocketAddr,
    task::{Context, Poll},
    vec,
};
use thiserror::Error;
use tower::{Service, ServiceExt};

#[cfg(not(feature = "resolver"))]
use hyper_util::client::legacy::connect::dns::GaiResolver as Names;
#[cfg(feature = "resolver")]
use in_process::Resolver as Names;

/// A connector that resolves names.
pub type TcpConnector = HttpConnector<NameResolver>;

/// Resolves names. Clones share what it keeps.
#[derive(Clone)]
pub struct NameResolver(Names);

/// A name has no address, or could not be looked up.
#[derive(Debug, Error)]
#[error("failed to resolve the name")]
pub struct NameNotResolved(#[source] Box<dyn Error + Send + Sync>);

/// A connector that resolves names, for `Endpoint::connect_with_connector`.
pub fn connector() -> TcpConnector {
    let mut http = HttpConnector::new_with_resolver(NameResolver::default());
    // `https://` is accepted as well: TLS is added on top.
    http.enforce_http(false);
    http.set_nodelay(true);
    http
}

impl Default for NameResolver {
    #[cfg(not(feature = "resolver"))]
    fn default() -> Self {
        NameResolver(Names::new())
    }

    #[cfg(feature = "resolver")]
    fn default() -> Self {
        NameResolver(Names::default())
    }
}

impl Service<Name> for NameResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = NameNotResolved;
    type Future = BoxFuture<'static, Result<Self::Response, NameNotResolved>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NameNotResolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.clone().oneshot(name);
        Box::pin(async move {
            match found.await {
                Ok(addresses) => Ok(addresses.collect::<Vec<_>>().into_iter()),
                Err(error) => Err(NameNotResolved(error.into())),
            }
        })
    }
}

impl reqwest::dns::Resolve for NameResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let name: Name = name.as_str().parse()?;
            let addresses = resolver.oneshot(name).await?;
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
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
