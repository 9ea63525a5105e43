//! Notes what an answer has made as the tenant's own.

use super::{
    answer_ids::{AnswerIds, NewId},
    owned::Owned,
    registry::Registry,
};
use crate::{
    access::Clock,
    upstream::{ApiHeaders, Fingerprint, OwnedKind, Reply},
};
use futures::future::BoxFuture;
use std::{sync::Arc, time::Duration};

/// How long a container or a thread is known of which the API does not say when it ends:
/// as long as containers live at most.
/// Source: <https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool>
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Keeps notes of what answers make. Cloning is cheap.
#[derive(Clone)]
pub struct NoteTaker {
    /// Where they are kept.
    pub registry: Registry,
    /// The time.
    pub clock: Clock,
    /// How long files are kept.
    pub retention: Duration,
}

/// What the answer to one call has made.
pub struct Notes {
    taker: NoteTaker,
    /// Empty without access control.
    tenant: String,
    host: Arc<str>,
    key: Option<Fingerprint>,
    headers: Option<Arc<ApiHeaders>>,
}

// === impl NoteTaker ===

impl NoteTaker {
    /// The notes on a reply to a call of a tenant with these headers.
    pub fn on(&self, reply: &Reply, tenant: String, headers: Option<Arc<ApiHeaders>>) -> Notes {
        Notes {
            taker: self.clone(),
            tenant,
            host: Arc::clone(&reply.host),
            key: reply.key,
            headers,
        }
    }
}

// === impl Notes ===

impl Notes {
    /// Notes it in memory at once, so that the next call can name it. What is returned
    /// completes when it can be named at other replicas as well, or nobody knows when.
    pub fn add(&self, AnswerIds(ids): AnswerIds) -> Option<BoxFuture<'static, ()>> {
        let new = ids.into_iter().filter_map(|new| self.owned(new));
        self.taker.registry.note(new.collect())
    }

    /// What is to be noted; `None` if nothing is new.
    fn owned(&self, NewId { kind, id, expires }: NewId) -> Option<Owned> {
        let NoteTaker {
            registry,
            clock,
            retention,
        } = &self.taker;
        let known = registry.known(&self.tenant, kind, &id);
        if let Some(known) = &known
            && expires.is_none_or(|expires| expires <= known.expires)
        {
            return None;
        }
        let now = clock.since_1970().as_secs();
        let lifetime = match kind {
            OwnedKind::File => *retention,
            OwnedKind::Container | OwnedKind::Thread => LIFETIME,
        };
        Some(Owned {
            id,
            kind,
            tenant: self.tenant.clone(),
            host: self.host.to_string(),
            key: self.key,
            headers: self.headers.as_deref().cloned(),
            created: known.map_or(now, |known| known.created),
            expires: expires.unwrap_or(now + lifetime.as_secs()),
            file: None,
        })
    }
}
