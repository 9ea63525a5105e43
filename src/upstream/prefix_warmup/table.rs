//! Which prefixes are warm, and which are being warmed up.

use crate::upstream::{CachedPrefix, Fingerprint};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Maximum number of prefixes; calls with further ones neither lead nor wait.
const MAX_PREFIXES: usize = 4096;

/// How often cold prefixes are looked for while there is no room.
const CLEANING_INTERVAL: Duration = Duration::from_secs(1);

/// Where the API caches a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixPlace {
    pub prefix: CachedPrefix,
    /// The API key, whose account has the cache.
    pub key: Fingerprint,
    /// Id of the model on its host.
    pub model: Arc<str>,
}

/// What a call does about its prefix.
pub enum PrefixTurn {
    /// The API has the prefix, as far as is known.
    Warm,
    /// The call is the first one.
    Leads(Arc<PrefixLead>),
    /// Another call is the first one.
    Waits(Leader),
}

/// The first call of a prefix, as others see it.
#[derive(Debug, Clone)]
pub struct Leader(CancellationToken);

/// The warm prefixes of all hosts, and those that a first call warms up. Clones share them.
#[derive(Clone, Default)]
pub struct PrefixTable(Arc<Mutex<Prefixes>>);

#[derive(Default)]
struct Prefixes {
    /// By their hashes; a prefix is in few places.
    places: HashMap<u64, Vec<PlaceState>>,
    count: usize,
    cleaned: Option<Instant>,
}

struct PlaceState {
    place: PrefixPlace,
    /// Until when the API keeps it; `None` before it was written.
    warm_until: Option<Instant>,
    leader: Option<Leader>,
}

/// The turn of the first call of a prefix. If it is dropped before the answer has begun,
/// the next call leads.
pub struct PrefixLead {
    table: Weak<Mutex<Prefixes>>,
    place: PrefixPlace,
    began: Instant,
    leader: Leader,
    has_begun: AtomicBool,
}

// === impl PrefixTable ===

impl PrefixTable {
    /// Whether any place has the prefix.
    pub fn has(&self, prefix: CachedPrefix) -> bool {
        let now = Instant::now();
        let prefixes = self.0.lock();
        let places = prefixes.places.get(&prefix.hash);
        places.is_some_and(|places| places.iter().any(|it| it.is_warm(now)))
    }

    /// What a call does now.
    pub fn turn(&self, place: &PrefixPlace) -> PrefixTurn {
        let now = Instant::now();
        let mut prefixes = self.0.lock();
        if let Some(state) = prefixes.get(place) {
            if state.is_warm(now) {
                return PrefixTurn::Warm;
            }
            if let Some(leader) = &state.leader {
                return PrefixTurn::Waits(leader.clone());
            }
        } else if !prefixes.add(place, now) {
            return PrefixTurn::Warm;
        }
        let leader = Leader(CancellationToken::new());
        if let Some(state) = prefixes.get(place) {
            state.leader = Some(leader.clone());
        }
        PrefixTurn::Leads(Arc::new(PrefixLead {
            table: Arc::downgrade(&self.0),
            place: place.clone(),
            began: now,
            leader,
            has_begun: AtomicBool::new(false),
        }))
    }

    /// A call has used the prefix, and gives it its lifetime from when it was made.
    pub fn used(&self, place: &PrefixPlace, at: Instant) {
        if let Some(state) = self.0.lock().get(place) {
            state.used(at);
        }
    }
}

impl fmt::Debug for PrefixTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrefixTable")
    }
}

// === impl Prefixes ===

impl Prefixes {
    fn get(&mut self, place: &PrefixPlace) -> Option<&mut PlaceState> {
        let places = self.places.get_mut(&place.prefix.hash)?;
        places.iter_mut().find(|it| it.place == *place)
    }

    /// Whether there was room for it.
    fn add(&mut self, place: &PrefixPlace, now: Instant) -> bool {
        if self.count >= MAX_PREFIXES {
            self.clean(now);
        }
        if self.count >= MAX_PREFIXES {
            return false;
        }
        self.count += 1;
        let places = self.places.entry(place.prefix.hash).or_default();
        places.push(PlaceState {
            place: place.clone(),
            warm_until: None,
            leader: None,
        });
        true
    }

    fn clean(&mut self, now: Instant) {
        if self.cleaned.is_some_and(|it| now < it + CLEANING_INTERVAL) {
            return;
        }
        self.cleaned = Some(now);
        self.places.retain(|_, places| {
            places.retain(|it| it.is_warm(now) || it.leader.is_some());
            !places.is_empty()
        });
        self.count = self.places.values().map(Vec::len).sum();
    }
}

// === impl PlaceState ===

impl PlaceState {
    fn is_warm(&self, now: Instant) -> bool {
        self.warm_until.is_some_and(|until| now < until)
    }

    fn used(&mut self, at: Instant) {
        let until = at + self.place.prefix.lifetime;
        self.warm_until = self.warm_until.max(Some(until));
    }
}

// === impl Leader ===

impl Leader {
    /// Waits until its answer has begun, or it will have none.
    pub async fn ended(&self) {
        self.0.cancelled().await;
    }
}

// === impl PrefixLead ===

impl PrefixLead {
    /// The answer has begun: others can read the prefix.
    pub fn begun(&self) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            self.end(Some(self.began));
        }
    }

    fn end(&self, used: Option<Instant>) {
        if let Some(table) = self.table.upgrade()
            && let Some(state) = table.lock().get(&self.place)
        {
            state.leader = None;
            if let Some(used) = used {
                state.used(used);
            }
        }
        self.leader.0.cancel();
    }
}

impl Drop for PrefixLead {
    fn drop(&mut self) {
        if !*self.has_begun.get_mut() {
            self.end(None);
        }
    }
}

impl fmt::Debug for PrefixLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrefixLead")
    }
}
