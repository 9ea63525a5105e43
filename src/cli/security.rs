//! Access control, limits and TLS, from the configuration.

use super::exit::{Failure, with_causes};
use crate::{
    access::{Access, Clock, limits::UsageStore},
    config::{Config, ExposureError},
    secrets::{LoadError, Reload},
    server::Tls,
    store::Store,
};
use std::sync::Arc;

/// What protects the service on the network.
pub struct Security {
    /// Access control; `None` admits every caller.
    pub access: Option<Access>,
    /// The Redis store shared with other replicas; `None` when limits are counted in
    /// memory.
    pub store: Option<Store>,
    /// TLS; `None` serves plaintext.
    pub tls: Option<Tls>,
    /// The files of these that can be reloaded.
    pub reloads: Vec<Arc<dyn Reload>>,
}

impl Security {
    /// Loads the files that the configuration names.
    ///
    /// # Errors
    /// When one of them is unusable, or when the service would be exposed to a
    /// network ([`ExposureError`]).
    pub async fn load(config: &Config, simulates: bool) -> Result<Security, Failure> {
        ExposureError::check(&config.server, &config.access, simulates)
            .map_err(|exposed| Failure::usage(exposed.to_string()))?;
        let tls = Tls::load(&config.server.tls, config.server.grpc_web).await;
        let tls = tls.map_err(unusable)?;
        let limits = &config.limits;
        let store = Store::open(&limits.store, &limits.redis, limits.store_failure_mode)
            .map_err(|error| Failure::usage(error.to_string()))?;
        if let Some(store) = &store {
            // The first calls need not wait for it; the service starts without
            // Redis as well.
            store.attempted().await;
        }
        let access = access(config, store.clone()).await?;

        let mut reloads: Vec<Arc<dyn Reload>> = Vec::new();
        reloads.extend(access.iter().map(|it| it.clients().as_reload()));
        reloads.extend(tls.iter().map(|it| it.certificates().as_reload()));
        Ok(Security {
            access,
            store,
            tls,
            reloads,
        })
    }
}

async fn access(config: &Config, store: Option<Store>) -> Result<Option<Access>, Failure> {
    if config.access.clients_file.is_none() {
        return Ok(None);
    }
    let longest_call = config.server.max_deadline;
    let usage_store = UsageStore::with_store(&config.limits, store, longest_call, Clock::default())
        .map_err(|error| Failure::usage(with_causes(&error)))?;
    let key_file = config.secrets.key_file.clone();
    Access::load(&config.access, key_file, usage_store)
        .await
        .map_err(unusable)
}

/// The failure of loading a file, with its causes.
pub fn unusable(error: LoadError) -> Failure {
    Failure::usage(with_causes(&*error))
}
