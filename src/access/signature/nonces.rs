//! The nonces that were already used.

use crate::access::RejectReason;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Remembers the nonces of each signing key for a time. Rejects new ones when
/// it is full: forgetting one early would allow it to be reused.
#[derive(Debug)]
pub struct Nonces {
    kept_for: Duration,
    max_for_each: usize,
    seen: Mutex<HashMap<String, Seen>>,
}

/// The nonces of one key: a caller that sends too many locks out only itself.
#[derive(Debug, Default)]
struct Seen {
    nonces: HashSet<Arc<str>>,
    /// The same nonces, with the time at which each is forgotten; oldest first.
    forget: VecDeque<(Duration, Arc<str>)>,
}

impl Nonces {
    /// Remembers each nonce for `kept_for`, and at most `max_for_each` per key.
    pub fn new(kept_for: Duration, max_for_each: usize) -> Self {
        Nonces {
            kept_for,
            max_for_each,
            seen: Mutex::default(),
        }
    }

    /// Records a nonce; `now` is the time since 1970.
    ///
    /// # Errors
    /// [`RejectReason::Replayed`] when it was used before,
    /// [`RejectReason::NoncesFull`] when there is no room.
    pub fn note(&self, key_id: &str, nonce: &str, now: Duration) -> Result<(), RejectReason> {
        let mut seen = self.seen.lock();
        if !seen.contains_key(key_id) {
            // Keys come and go: those that are no longer used must not use
            // memory.
            seen.retain(|_, of_key| !of_key.is_empty_at(now));
        }
        let of_key = seen.entry(key_id.to_owned()).or_default();
        of_key.forget_old(now);
        if of_key.nonces.contains(nonce) {
            return Err(RejectReason::Replayed);
        }
        if of_key.nonces.len() >= self.max_for_each {
            return Err(RejectReason::NoncesFull);
        }
        let nonce: Arc<str> = Arc::from(nonce);
        of_key.nonces.insert(Arc::clone(&nonce));
        of_key.forget.push_back((now + self.kept_for, nonce));
        Ok(())
    }
}

impl Seen {
    fn forget_old(&mut self, now: Duration) {
        while let Some((until, _)) = self.forget.front()
            && *until < now
        {
            if let Some((_, nonce)) = self.forget.pop_front() {
                self.nonces.remove(&nonce);
            }
        }
    }

    fn is_empty_at(&self, now: Duration) -> bool {
        self.forget.back().is_none_or(|(until, _)| *until < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn after(seconds: u64) -> Duration {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn a_nonce_is_good_once_for_as_long_as_it_is_kept() {
        let nonces = Nonces::new(Duration::from_secs(600), 10);
        assert_eq!(nonces.note("k", "n", NOW), Ok(()));
        assert_eq!(nonces.note("other", "n", NOW), Ok(()));
        assert_eq!(
            nonces.note("k", "n", after(600)),
            Err(RejectReason::Replayed)
        );
        assert_eq!(nonces.note("k", "n", after(601)), Ok(()));
    }

    #[test]
    fn full_it_refuses_that_key_alone_until_one_is_forgotten() {
        let nonces = Nonces::new(Duration::from_secs(600), 2);
        assert_eq!(nonces.note("k", "a", NOW), Ok(()));
        assert_eq!(nonces.note("k", "b", after(1)), Ok(()));
        assert_eq!(
            nonces.note("k", "c", after(2)),
            Err(RejectReason::NoncesFull)
        );
        assert_eq!(nonces.note("k", "a", after(2)), Err(RejectReason::Replayed));
        assert_eq!(nonces.note("other", "c", after(2)), Ok(()));
        assert_eq!(nonces.note("k", "c", after(601)), Ok(()));
    }

    #[test]
    fn keys_that_are_not_used_leave_nothing() {
        let nonces = Nonces::new(Duration::from_secs(600), 2);
        for number in 0..100 {
            let now = after(number * 1000);
            nonces.note(&format!("k{number}"), "n", now).unwrap();
        }
        assert_eq!(nonces.seen.lock().len(), 1);
    }
}
