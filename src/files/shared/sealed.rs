//! How something is kept in Redis: encrypted, and for how long.

use crate::{
    files::{error::OwnershipError, owned::Owned},
    secrets::Keyring,
    upstream::OwnedKind,
};
use std::time::Duration;

/// How long something is kept beyond its end: the clocks of replicas differ.
const SLACK: Duration = Duration::from_secs(60);

/// The maximum time for which something is kept, whatever the API says of its end: more
/// than the maximum retention of files.
pub const LONGEST: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// The value that is kept.
pub fn seal(keys: &Keyring, owned: &Owned) -> Result<String, OwnershipError> {
    let json = serde_json::to_vec(owned).map_err(|_| OwnershipError::Invalid)?;
    Ok(keys.encrypt(&json))
}

/// What a value says.
pub fn open(keys: &Keyring, sealed: &str) -> Result<Owned, OwnershipError> {
    let json = keys.decrypt(sealed)?;
    serde_json::from_slice(&json).map_err(|_| OwnershipError::Invalid)
}

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
    fn a_value_is_not_plain_and_only_the_key_opens_it() {
        let key = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
        let keys = Keyring::parse(key).unwrap();
        let owned = Owned::for_tests("file_1", OwnedKind::File);
        let sealed = seal(&keys, &owned).unwrap();
        assert!(!sealed.contains("file_1"));
        assert_eq!(open(&keys, &sealed).unwrap(), owned);
        let other = Keyring::parse(&key.replace("cw", "aa")).unwrap();
        let opened = open(&other, &sealed);
        assert!(matches!(opened, Err(OwnershipError::Key(_))), "{opened:?}");
    }

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
