//! What stands between the network and the service, from the configuration.

use super::exit::{Failure, with_causes};
use crate::{
    access::{Access, Clock, limits::UsageStore},
    config::{Config, ExposureError},
    secrets::{LoadError, Reload},
    server::Tls,
    store::Store,
};
use std::sync::Arc;

/// Access control, limits and TLS.
pub struct Security {
    /// Who may call; `None` for everybody.
    pub access: Option<Access>,
    /// What is shared with other replicas; `None` when nothing is.
    pub store: Option<Store>,
    /// TLS; `None` for plain text.
    pub tls: Option<Tls>,
    /// What of it can be read again.
    pub reloads: Vec<Arc<dyn Reload>>,
}

impl Security {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// When one of them cannot be used, or the service would be open to a
    /// network without having been told so.
    pub async fn load(config: &Config, simulates: bool) -> Result<Security, Failure> {
        ExposureError::check(&config.server, &config.access, simulates)
            .map_err(|exposed| Failure::usage(exposed.to_string()))?;
        let tls = Tls::load(&config.server.tls, config.server.grpc_web).await;
        let tls = tls.map_err(unusable)?;
        let store = Store::open(&config.limits.store, config.limits.store_failure_mode)
            .map_err(|error| Failure::usage(error.to_string()))?;
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

/// A file that cannot be used.
pub fn unusable(error: LoadError) -> Failure {
    Failure::usage(with_causes(&*error))
}
