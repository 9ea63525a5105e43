//! Who calls.

use super::{RejectReason, clients::ClientLimits, limits::AccessError};
use crate::call::Priority;
use std::{sync::Arc, time::SystemTime};

/// In the extensions of a call whose signature was verified. It covers the message, or the
/// first one of a stream.
#[derive(Debug, Clone, Copy)]
pub struct SignedCall;

/// The client that makes a call: `Arc<Identity>` in the request's extensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Name in the clients file.
    pub name: Arc<str>,
    /// Tenant: responses are shared, and usage is added up, within a tenant.
    pub tenant: Arc<str>,
    /// The weight of the tenant's turns while calls wait; at least 1.
    pub weight: u32,
    /// The RPCs that it may call, by name; all when empty.
    pub methods: Vec<String>,
    /// The models that it may use; all when empty.
    pub models: Vec<String>,
    /// The hosts of Claude that may serve its calls; all when empty.
    pub hosts: Vec<String>,
    /// The betas that its calls may name; all that are allowed when empty.
    pub betas: Vec<String>,
    /// The highest priority that its calls can have.
    pub priority: Priority,
    /// When the client's access ends.
    pub expires: Option<SystemTime>,
    /// The client's limits.
    pub limits: ClientLimits,
}

impl Identity {
    /// Whether the client may call a method, given as a path
    /// (`/claude.v1.ClaudeService/Generate`). Other services are open to all
    /// clients.
    ///
    /// # Errors
    /// [`RejectReason::Method`].
    pub fn may_call(&self, path: &str) -> Result<(), RejectReason> {
        let Some(method) = crate::proto::method(path) else {
            return Ok(());
        };
        if self.methods.is_empty() || self.methods.iter().any(|one| one == method) {
            return Ok(());
        }
        Err(RejectReason::Method)
    }

    /// Whether the client may use a feature whose price is not known, if there is one.
    ///
    /// # Errors
    /// [`AccessError::UnpricedFeature`] when a budget in dollars applies.
    pub fn may_cost(&self, unpriced: Option<&'static str>) -> Result<(), AccessError> {
        match unpriced {
            Some(feature) if self.limits.are_in_dollars() => {
                Err(AccessError::UnpricedFeature(feature))
            }
            _ => Ok(()),
        }
    }

    /// Whether a host of Claude may serve the client's calls.
    pub fn may_use_host(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|one| one == host)
    }

    /// Whether the client's calls may name a beta.
    pub fn may_use_beta(&self, beta: &str) -> bool {
        self.betas.is_empty() || self.betas.iter().any(|one| one == beta)
    }

    /// Whether the client may use a model.
    ///
    /// # Errors
    /// [`RejectReason::Model`].
    pub fn may_ask(&self, model: &str) -> Result<(), RejectReason> {
        if self.models.is_empty() || self.models.iter().any(|one| one == model) {
            return Ok(());
        }
        Err(RejectReason::Model)
    }
}

/// The names in the client certificate of the connection. The TLS listener puts
/// them into the extensions of each request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerNames(pub Arc<[String]>);
