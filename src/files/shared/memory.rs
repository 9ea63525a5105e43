//! What one replica knows of what is in Redis, or is to be written there.

use crate::{
    files::{owned::Owned, possessions::Possessions},
    upstream::OwnedKind,
};
use std::{collections::HashMap, sync::Arc};

/// How much is remembered of what was read or written: twice this number at most.
const RECENT: usize = 10_000;

/// What a replica knows.
#[derive(Default)]
pub struct ReplicaMemory {
    /// What was noted and is not in Redis yet.
    unwritten: Possessions,
    /// What was forgotten and may be in Redis still, by its id.
    forgotten: HashMap<String, Arc<Owned>>,
    /// What was read or written lately, by its id, and what was so before that.
    recent: HashMap<String, Arc<Owned>>,
    earlier: HashMap<String, Arc<Owned>>,
}

/// What memory says of an id.
#[derive(Debug, PartialEq, Eq)]
pub enum Recalled {
    /// The tenant owns it.
    Owned(Arc<Owned>),
    /// It has been forgotten.
    Forgotten,
    /// Only Redis knows.
    Unknown,
}

// === impl ReplicaMemory ===

impl ReplicaMemory {
    /// What is known of an id that a tenant names.
    pub fn recall(&self, tenant: &str, kind: OwnedKind, id: &str) -> Recalled {
        let is_it = |it: &&Arc<Owned>| it.tenant == tenant && it.kind == kind;
        if self.forgotten.get(id).as_ref().is_some_and(is_it) {
            return Recalled::Forgotten;
        }
        let found = self.get(id).filter(is_it);
        found.map_or(Recalled::Unknown, |it| Recalled::Owned(Arc::clone(it)))
    }

    fn get(&self, id: &str) -> Option<&Arc<Owned>> {
        let unwritten = self.unwritten.get(id);
        let known = unwritten.or_else(|| self.recent.get(id));
        known.or_else(|| self.earlier.get(id))
    }

    /// Something is to be written. Returns whether it is, and not another tenant's.
    pub fn note(&mut self, owned: &Arc<Owned>) -> bool {
        if self
            .get(&owned.id)
            .is_some_and(|it| it.tenant != owned.tenant)
        {
            return false;
        }
        self.forgotten.remove(&owned.id);
        self.unwritten.put(Arc::clone(owned));
        true
    }

    /// What is to be written is in Redis now, or need not be.
    pub fn settle(&mut self, owned: &Arc<Owned>) {
        let current = self.unwritten.get(&owned.id);
        if current.is_some_and(|current| Arc::ptr_eq(current, owned)) {
            self.unwritten.remove(&owned.id);
        }
    }

    /// Something is in Redis.
    pub fn remember(&mut self, owned: Arc<Owned>) {
        if self.recent.len() >= RECENT {
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.insert(owned.id.clone(), owned);
    }

    /// Something is to be removed from Redis.
    pub fn forget(&mut self, owned: &Arc<Owned>) {
        self.drop_known(&owned.id);
        self.forgotten.insert(owned.id.clone(), Arc::clone(owned));
    }

    /// Something is not in Redis any more.
    pub fn removed(&mut self, owned: &Arc<Owned>) {
        self.drop_known(&owned.id);
        self.forgotten.remove(&owned.id);
    }

    fn drop_known(&mut self, id: &str) {
        self.unwritten.remove(id);
        self.recent.remove(id);
        self.earlier.remove(id);
    }

    /// What is to be written, and what is to be removed.
    pub fn changes(&self) -> (Vec<Arc<Owned>>, Vec<Arc<Owned>>) {
        let unwritten = self.unwritten.ended_at(u64::MAX, usize::MAX);
        (unwritten, self.forgotten.values().map(Arc::clone).collect())
    }

    /// The files of a tenant that are not in Redis yet.
    pub fn unwritten_files(&self, tenant: &str) -> Vec<Arc<Owned>> {
        self.unwritten.files_of(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str, tenant: &str) -> Arc<Owned> {
        Arc::new(Owned {
            tenant: tenant.to_owned(),
            ..Owned::for_tests(id, OwnedKind::File)
        })
    }

    #[test]
    fn what_is_not_written_is_never_lost_and_what_is_has_a_maximum() {
        let mut memory = ReplicaMemory::default();
        let recall = |memory: &ReplicaMemory, tenant: &str, id: &str| {
            memory.recall(tenant, OwnedKind::File, id)
        };
        let unwritten = file("file", "a");
        assert!(memory.note(&unwritten));
        assert!(!memory.note(&file("file", "b")));
        for number in 0..3 * RECENT {
            memory.remember(file(&number.to_string(), "a"));
        }
        assert!(memory.recent.len() + memory.earlier.len() <= 2 * RECENT);
        assert_eq!(recall(&memory, "a", "0"), Recalled::Unknown);
        assert_eq!(
            recall(&memory, "a", "file"),
            Recalled::Owned(Arc::clone(&unwritten))
        );
        assert_eq!(recall(&memory, "b", "file"), Recalled::Unknown);

        memory.settle(&unwritten);
        assert_eq!(recall(&memory, "a", "file"), Recalled::Unknown);
        memory.remember(Arc::clone(&unwritten));
        memory.forget(&unwritten);
        assert_eq!(recall(&memory, "a", "file"), Recalled::Forgotten);
        assert_eq!(memory.changes(), (vec![], vec![Arc::clone(&unwritten)]));
        memory.removed(&unwritten);
        assert_eq!(recall(&memory, "a", "file"), Recalled::Unknown);
    }
}
