//! Who calls.

use super::{RejectReason, clients::ClientLimits};
use crate::call::Priority;
use std::{sync::Arc, time::SystemTime};

/// A client, as its calls carry it: `Arc<Identity>` in the request's
/// extensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Name in the clients file.
    pub name: Arc<str>,
    /// Answers are shared, and usage is added up, within a tenant.
    pub tenant: Arc<str>,
    /// The RPCs that it may call, by their names; empty for all.
    pub methods: Vec<String>,
    /// The models that it may ask for; empty for all.
    pub models: Vec<String>,
    /// The highest priority that its calls get.
    pub priority: Priority,
    /// When its access ends.
    pub expires: Option<SystemTime>,
    /// What it may use.
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

    /// Whether the client may ask for a model.
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

/// The names in the certificate that a caller's connection has shown, put
/// into the extensions of its requests by the TLS listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerNames(pub Arc<[String]>);
