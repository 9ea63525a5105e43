//! How long something is kept in Redis.

use crate::{files::owned::Owned, upstream::OwnedKind};
use std::time::Duration;

/// How long something is kept beyond its end: the clocks of replicas differ.
const SLACK: Duration = Duration::from_secs(60);

/// The maximum time for which something is kept, whatever the API says of its end: more
/// than the maximum retention of files.
pub const LONGEST: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// When it leaves Redis, in seconds since 1970. A file stays until it is deleted at the API,
/// or that is given up.
pub fn leaves(owned: &Owned, now: u64) -> u64 {
    let end = match owned.kind {
        OwnedKind::File => owned.given_up(),
        OwnedKind::Container | OwnedKind::Thread => owned.expires,
    };
    let end = end.saturating_add(SLACK.as_secs());
    end.min(now + LONGEST.as_secs())
}

/// Whether it has left Redis, or is about to.
pub fn is_over(owned: &Owned, now: u64) -> bool {
    leaves(owned, now) <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_leaves_a_little_after_its_end_and_a_file_once_it_is_given_up() {
        let owned = |kind| Owned::for_tests("a", kind);
        assert_eq!(leaves(&owned(OwnedKind::Thread), 0), 1060);
        assert_eq!(leaves(&owned(OwnedKind::File), 0), 1060 + 24 * 60 * 60);
        assert!(is_over(&owned(OwnedKind::Thread), 1060));
        let endless = Owned {
            expires: u64::MAX,
            ..owned(OwnedKind::Container)
        };
        assert_eq!(leaves(&endless, 5), 5 + LONGEST.as_secs());
    }
}
