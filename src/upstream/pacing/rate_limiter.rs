//! The quotas of all keys and models.

use super::{
    assumed::AssumedLimits,
    quota::Quota,
    shared::{SharedQuota, SharedQuotas},
};
use crate::{
    store::Store,
    upstream::{LimitKind, RequestShape, fingerprint::Fingerprint, keys::Key},
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// Callers name the models, so there may be any number of them: beyond this
/// number of quotas, idle ones are dropped, first those of models that have never
/// answered.
const MAX_QUOTAS: usize = 256;

/// All quotas. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct RateLimiter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    quotas: Mutex<HashMap<Name, Entry>>,
    /// The shared quotas, if there is a store.
    shared: Option<Arc<SharedQuotas>>,
    /// The limits until the host reports some.
    assumed: AssumedLimits,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    key: Fingerprint,
    model: Arc<str>,
    limits: LimitKind,
}

#[derive(Debug)]
struct Entry {
    key: Arc<str>,
    quota: Arc<Quota>,
}

// === impl RateLimiter ===

impl RateLimiter {
    /// Quotas that all replicas share, if there is a store, with limits that are assumed
    /// until the host reports some.
    pub fn new(store: Option<Store>, assumed: AssumedLimits) -> Self {
        let shared = store.map(|store| Arc::new(SharedQuotas::new(store)));
        RateLimiter(Arc::new(Inner {
            quotas: Mutex::default(),
            shared,
            assumed,
        }))
    }

    /// The quota of a key and model for requests of a shape; created at the first
    /// call.
    pub fn quota(&self, key: &Key, model: &Arc<str>, shape: RequestShape) -> Arc<Quota> {
        let name = Name {
            key: key.fingerprint(),
            model: Arc::clone(model),
            // The configuration knows one kind.
            limits: match self.0.assumed.is_empty() {
                true => shape.limits(),
                false => LimitKind::Standard,
            },
        };
        let mut quotas = self.0.quotas.lock();
        if let Some(entry) = quotas.get(&name) {
            return Arc::clone(&entry.quota);
        }
        if quotas.len() >= MAX_QUOTAS {
            quotas.retain(|_, entry| !entry.quota.is_idle() || entry.quota.has_answered());
        }
        if quotas.len() >= MAX_QUOTAS {
            quotas.retain(|_, entry| !entry.quota.is_idle());
        }
        let assumed = self.0.assumed.of(model);
        let shared = self.0.shared.as_ref().map(|shared| {
            let key = name.key.to_string();
            SharedQuota::new(shared, &key, &name.model, name.limits, assumed)
        });
        let quota = Arc::new(Quota::new(shared, assumed));
        let entry = Entry {
            key: Arc::clone(key.name()),
            quota: Arc::clone(&quota),
        };
        quotas.insert(name, entry);
        quota
    }

    /// Every quota with the names of its key and model.
    pub fn quotas(&self) -> Vec<(Arc<str>, Arc<str>, Arc<Quota>)> {
        let quotas = self.0.quotas.lock();
        quotas
            .iter()
            .map(|(name, entry)| {
                let (key, model) = (Arc::clone(&entry.key), Arc::clone(&name.model));
                (key, model, Arc::clone(&entry.quota))
            })
            .collect()
    }
}
