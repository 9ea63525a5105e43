//! Notes what an answer has made as the tenant's own.

use super::{
    answer_ids::{AnswerIds, NewId},
    owned::Owned,
    registry::Registry,
};
use crate::{
    access::Clock,
    upstream::{Fingerprint, OwnedKind, Reply},
};
use std::{sync::Arc, time::Duration};
use tokio_util::task::TaskTracker;

/// How long something is kept of which the API does not say when it ends: as long as
/// containers live at most.
/// Source: <https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool>
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Keeps notes of what answers make. Cloning is cheap.
#[derive(Clone)]
pub struct NoteTaker {
    /// Where they are kept.
    pub registry: Arc<Registry>,
    /// What is being written.
    pub writing: TaskTracker,
    /// The time.
    pub clock: Clock,
}

/// What the answer to one call has made.
pub struct Notes {
    taker: NoteTaker,
    /// Empty without access control.
    tenant: String,
    host: Arc<str>,
    key: Option<Fingerprint>,
}

// === impl NoteTaker ===

impl NoteTaker {
    /// The notes on a reply for a tenant.
    pub fn on(&self, reply: &Reply, tenant: String) -> Notes {
        Notes {
            taker: self.clone(),
            tenant,
            host: Arc::clone(&reply.host),
            key: reply.key,
        }
    }
}

// === impl Notes ===

impl Notes {
    /// Notes it in memory at once, so that the next call can name it, and on disk beside
    /// the call.
    pub fn add(&self, AnswerIds(ids): AnswerIds) {
        for new in ids {
            self.add_one(new);
        }
    }

    fn add_one(&self, NewId { kind, id, expires }: NewId) {
        let NoteTaker {
            registry,
            writing,
            clock,
        } = &self.taker;
        let known = registry.find(&self.tenant, kind, &id);
        if let Some(known) = &known
            && expires.is_none_or(|expires| expires <= known.expires)
        {
            return;
        }
        let now = clock.since_1970().as_secs();
        let owned = registry.remember(Owned {
            id,
            kind,
            tenant: self.tenant.clone(),
            host: self.host.to_string(),
            key: self.key,
            headers: None,
            created: known.map_or(now, |known| known.created),
            expires: expires.unwrap_or(now + LIFETIME.as_secs()),
            ends_by_itself: kind != OwnedKind::File,
            file: None,
        });
        let registry = Arc::clone(registry);
        writing.spawn(async move {
            if let Err(error) = registry.write(&owned).await {
                tracing::error!(kind = owned.kind.name(), %error, "failed to keep to whom something at the Claude API belongs");
            }
        });
    }
}
