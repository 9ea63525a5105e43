//! What all tenants own, found by its id, its tenant or its end.

use super::owned::Owned;
use crate::upstream::OwnedKind;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Maximum number of containers, threads and files of tools that are known of a tenant.
/// Beyond it threads are forgotten, then containers, then files, and of each kind first
/// what ends first.
pub const MAX_NOTED: usize = 10_000;

/// What all tenants own.
#[derive(Default)]
pub struct Possessions {
    by_id: HashMap<String, Arc<Owned>>,
    by_end: BTreeSet<(u64, String)>,
    tenants: HashMap<String, OfTenant>,
}

/// What one tenant owns.
#[derive(Default)]
struct OfTenant {
    uploads: Uploads,
    uploaded: BTreeSet<String>,
    noted: BTreeSet<NotedId>,
}

/// An id that was noted from an answer, in the order in which they are forgotten.
type NotedId = (u8, u64, String);

/// How much a tenant may upload.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// Maximum number of files.
    pub files: usize,
    /// Maximum size of all files, in bytes.
    pub bytes: u64,
}

/// How much a tenant has uploaded, or uploads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uploads {
    /// Number of files.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

// === impl Possessions ===

impl Possessions {
    /// What an id names.
    pub fn get(&self, id: &str) -> Option<&Arc<Owned>> {
        self.by_id.get(id)
    }

    /// Adds or replaces something, unless it belongs to another tenant. Returns the id of
    /// what is forgotten instead.
    pub fn put(&mut self, owned: Arc<Owned>) -> Option<String> {
        if let Some(known) = self.by_id.get(&owned.id) {
            if known.tenant != owned.tenant {
                return None;
            }
            let id = known.id.clone();
            self.remove(&id);
        }
        let of = self.tenants.entry(owned.tenant.clone()).or_default();
        match owned.uploaded_bytes() {
            Some(bytes) => {
                of.uploads.files += 1;
                of.uploads.bytes += bytes;
                of.uploaded.insert(owned.id.clone());
            }
            None => {
                of.noted.insert(noted_id(&owned));
            }
        }
        let evicted = match of.noted.len() > MAX_NOTED {
            true => of.noted.first().map(|(.., id)| id.clone()),
            false => None,
        };
        self.by_end.insert((owned.expires, owned.id.clone()));
        self.by_id.insert(owned.id.clone(), owned);
        if let Some(id) = &evicted {
            self.remove(id);
        }
        evicted
    }

    /// Removes something.
    pub fn remove(&mut self, id: &str) {
        let Some(owned) = self.by_id.remove(id) else {
            return;
        };
        self.by_end.remove(&(owned.expires, owned.id.clone()));
        if let Some(of) = self.tenants.get_mut(&owned.tenant) {
            match owned.uploaded_bytes() {
                Some(bytes) => {
                    of.uploads.files -= 1;
                    of.uploads.bytes -= bytes;
                    of.uploaded.remove(&owned.id);
                }
                None => {
                    of.noted.remove(&noted_id(&owned));
                }
            }
        }
        self.tidy(&owned.tenant);
    }

    /// The files of a tenant.
    pub fn files_of(&self, tenant: &str) -> Vec<Arc<Owned>> {
        let Some(of) = self.tenants.get(tenant) else {
            return Vec::new();
        };
        let noted = of.noted.iter().map(|(.., id)| id);
        let owned = of.uploaded.iter().chain(noted);
        let owned = owned.filter_map(|id| self.by_id.get(id));
        let files = owned.filter(|it| it.kind == OwnedKind::File);
        files.map(Arc::clone).collect()
    }

    /// What has ended at this time, at most this number.
    pub fn ended_at(&self, now: u64, most: usize) -> Vec<Arc<Owned>> {
        let ended = self.by_end.iter().take_while(|(end, _)| *end <= now);
        let ended = ended.filter_map(|(_, id)| self.by_id.get(id));
        ended.take(most).map(Arc::clone).collect()
    }

    /// How much a tenant has uploaded.
    pub fn uploads_of(&mut self, tenant: &str) -> &mut Uploads {
        &mut self.tenants.entry(tenant.to_owned()).or_default().uploads
    }

    /// Forgets a tenant that owns nothing.
    pub fn tidy(&mut self, tenant: &str) {
        let is_empty = |of: &OfTenant| of.uploads == Uploads::default() && of.noted.is_empty();
        if self.tenants.get(tenant).is_some_and(is_empty) {
            self.tenants.remove(tenant);
        }
    }
}

fn noted_id(owned: &Owned) -> NotedId {
    (rank(owned.kind), owned.expires, owned.id.clone())
}

/// Which kind is forgotten first of what was noted: the one with the lowest rank.
pub fn rank(kind: OwnedKind) -> u8 {
    match kind {
        OwnedKind::Thread => 0,
        OwnedKind::Container => 1,
        OwnedKind::File => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::FileFacts;

    #[test]
    fn a_tenant_that_makes_ever_more_loses_threads_first_and_takes_nothing_from_others() {
        let mut all = Possessions::default();
        let file = Owned::for_tests("file_1", OwnedKind::File);
        all.put(Arc::new(file));
        let other = Owned {
            tenant: "other".to_owned(),
            ..Owned::for_tests("msg_of_other", OwnedKind::Thread)
        };
        all.put(Arc::new(other));
        for number in 0..MAX_NOTED {
            let thread = Owned {
                expires: 1000 + number as u64,
                ..Owned::for_tests(&format!("msg_{number}"), OwnedKind::Thread)
            };
            let evicted = all.put(Arc::new(thread));
            let is_last = number == MAX_NOTED - 1;
            assert_eq!(evicted.as_deref(), is_last.then_some("msg_0"));
        }
        assert!(all.get("msg_0").is_none() && all.get("msg_1").is_some());
        assert!(all.get("file_1").is_some() && all.get("msg_of_other").is_some());
        assert_eq!(all.ended_at(1001, usize::MAX).len(), 3);
    }

    #[test]
    fn what_is_uploaded_is_counted_until_it_is_removed() {
        let mut all = Possessions::default();
        let upload = |size| {
            let file = FileFacts {
                size,
                is_upload: true,
                ..FileFacts::default()
            };
            Arc::new(Owned {
                file: Some(file),
                ..Owned::for_tests("file_1", OwnedKind::File)
            })
        };
        all.put(upload(5));
        all.put(upload(7));
        let expected = Uploads { files: 1, bytes: 7 };
        assert_eq!(*all.uploads_of("tenant"), expected);
        all.remove("file_1");
        assert!(all.tenants.is_empty() && all.by_end.is_empty());
    }
}
