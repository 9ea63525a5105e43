//! Responses that are kept for the next call with exactly the same request.
//!
//! What is kept is the encoded response, under a hash of all that it follows from: the
//! tenant, the RPC, and the whole request to the API. Another tenant has another hash. In
//! memory, the least used go when there is no room (W-TinyLFU, of the `moka` crate); in
//! Redis, each is encrypted and ends by itself.

mod config;
mod key;
mod shared;

pub use config::ResponseCacheConfig;
pub use key::ResponseKey;

use crate::{
    secrets::{Keyring, SecretError},
    store::Store,
};
use bytes::Bytes;
use moka::{notification::RemovalCause, sync::Cache};
use shared::SharedResponses;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use thiserror::Error;
use tokio::time::Instant;

/// Maximum size of a response that is kept, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

/// Bytes that an entry takes in addition to its response, about.
const PER_ENTRY: usize = 256;

/// The cache cannot be opened.
#[derive(Debug, Error)]
pub enum OpenCacheError {
    /// The key file cannot be read.
    #[error(transparent)]
    Key(#[from] SecretError),
    /// It is to be in Redis, and there is none.
    #[error("response_cache.shared requires a Redis URL in limits.store")]
    NoRedis,
}

/// The responses that are kept. Cloning is cheap.
#[derive(Clone)]
pub struct ResponseCache(Arc<CacheInner>);

struct CacheInner {
    place: CachePlace,
    counts: Arc<CacheCounts>,
}

enum CachePlace {
    Memory(Cache<ResponseKey, MemoryEntry>),
    Redis(SharedResponses),
}

#[derive(Clone)]
struct MemoryEntry {
    at: Instant,
    response: Bytes,
}

#[derive(Default)]
struct CacheCounts {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

/// The figures of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheFigures {
    /// Calls that were answered from it.
    pub hits: u64,
    /// Calls that asked for a response that it did not have.
    pub misses: u64,
    /// Responses that were dropped for want of room.
    pub evictions: u64,
    /// Size of what is in memory, in bytes.
    pub bytes: u64,
}

// === impl ResponseCache ===

impl ResponseCache {
    /// The cache that is configured; `None` if it keeps nothing.
    ///
    /// # Errors
    /// When the key file cannot be read, or there is no Redis where it is to be.
    pub fn open(
        config: &ResponseCacheConfig,
        store: Option<&Store>,
    ) -> Result<Option<Self>, OpenCacheError> {
        let counts = Arc::new(CacheCounts::default());
        let place = match (&config.key_file, store) {
            (Some(key_file), Some(store)) if config.shared => {
                let keys = Keyring::read(key_file)?;
                CachePlace::Redis(SharedResponses::new(store.clone(), keys, config.retention))
            }
            _ if config.shared => return Err(OpenCacheError::NoRedis),
            _ if config.max_bytes == 0 => return Ok(None),
            _ => CachePlace::Memory(in_memory(config, &counts)),
        };
        Ok(Some(ResponseCache(Arc::new(CacheInner { place, counts }))))
    }

    /// The response that is kept under a key, if it is no older than this.
    pub async fn get(&self, key: &ResponseKey, max_age: Duration) -> Option<Bytes> {
        let found = match &self.0.place {
            CachePlace::Memory(cache) => {
                let entry = cache.get(key).filter(|it| it.at.elapsed() <= max_age);
                entry.map(|entry| entry.response)
            }
            CachePlace::Redis(shared) => shared.get(key, max_age).await,
        };
        let counts = &self.0.counts;
        let counter = if found.is_some() {
            &counts.hits
        } else {
            &counts.misses
        };
        counter.fetch_add(1, Relaxed);
        found
    }

    /// Keeps a response, unless it is too large.
    pub async fn put(&self, key: ResponseKey, response: Bytes) {
        if response.len() > MAX_RESPONSE {
            return;
        }
        match &self.0.place {
            CachePlace::Memory(cache) => {
                let at = Instant::now();
                cache.insert(key, MemoryEntry { at, response });
            }
            CachePlace::Redis(shared) => shared.put(&key, &response).await,
        }
    }

    /// The figures so far.
    pub fn figures(&self) -> CacheFigures {
        let counts = &self.0.counts;
        CacheFigures {
            hits: counts.hits.load(Relaxed),
            misses: counts.misses.load(Relaxed),
            evictions: counts.evictions.load(Relaxed),
            bytes: match &self.0.place {
                CachePlace::Memory(cache) => cache.weighted_size(),
                CachePlace::Redis(_) => 0,
            },
        }
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseCache")
    }
}

fn in_memory(
    config: &ResponseCacheConfig,
    counts: &Arc<CacheCounts>,
) -> Cache<ResponseKey, MemoryEntry> {
    let counts = Arc::clone(counts);
    Cache::builder()
        .max_capacity(config.max_bytes)
        .weigher(|_, entry: &MemoryEntry| {
            u32::try_from(entry.response.len() + PER_ENTRY).unwrap_or(u32::MAX)
        })
        .time_to_live(config.retention)
        .eviction_listener(move |_, _, cause| {
            if cause == RemovalCause::Size {
                counts.evictions.fetch_add(1, Relaxed);
            }
        })
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> ResponseKey {
        ResponseKey::of(&number, &[])
    }

    #[tokio::test(start_paused = true)]
    async fn it_keeps_no_more_than_fits_and_nothing_that_is_too_old() {
        let config = ResponseCacheConfig {
            max_bytes: 100_000,
            ..ResponseCacheConfig::default()
        };
        let cache = ResponseCache::open(&config, None).unwrap().unwrap();
        for number in 0..1000 {
            cache.put(key(number), Bytes::from(vec![0; 1000])).await;
        }
        let CachePlace::Memory(memory) = &cache.0.place else {
            panic!("in memory");
        };
        memory.run_pending_tasks();
        let figures = cache.figures();
        assert!(figures.bytes <= 100_000, "{figures:?}");
        assert!(figures.evictions >= 900, "{figures:?}");

        let minute = Duration::from_secs(60);
        cache.put(key(1), Bytes::from_static(b"one")).await;
        memory.run_pending_tasks();
        tokio::time::advance(minute).await;
        let kept = cache.get(&key(1), minute).await;
        assert_eq!(kept.as_deref(), Some(&b"one"[..]));
        assert_eq!(cache.get(&key(1), minute / 2).await, None);
        let large = Bytes::from(vec![0; MAX_RESPONSE + 1]);
        cache.put(key(2000), large).await;
        assert_eq!(cache.get(&key(2000), minute).await, None);
        let figures = cache.figures();
        assert_eq!((figures.hits, figures.misses), (1, 2));
    }

    #[test]
    fn it_may_be_off() {
        let config = ResponseCacheConfig {
            max_bytes: 0,
            ..ResponseCacheConfig::default()
        };
        assert!(ResponseCache::open(&config, None).unwrap().is_none());
    }
}
