//! Responses in Redis, for all replicas: encrypted, each under its key, until it ends by
//! itself. While Redis does not serve, nothing is found, and calls go to the API.

use super::ResponseKey;
use crate::{
    secrets::Keyring,
    store::{RedisCommand, Store},
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Length of what stands before a response: its key, and when it was kept, in seconds since
/// 1970.
const HEAD: usize = 32 + 8;

/// The responses of all replicas.
pub struct SharedResponses {
    store: Store,
    keys: Keyring,
    retention: Duration,
}

// === impl SharedResponses ===

impl SharedResponses {
    /// Those in this Redis, encrypted with these keys.
    pub fn new(store: Store, keys: Keyring, retention: Duration) -> Self {
        SharedResponses {
            store,
            keys,
            retention,
        }
    }

    /// The response under a key, if it is no older than this.
    pub async fn get(&self, key: &ResponseKey, max_age: Duration) -> Option<Bytes> {
        let command = RedisCommand::new("GET", &name(key));
        let sealed: Option<String> = self.store.query(command).await?;
        let kept = self.keys.decrypt(&sealed?).ok()?;
        opened(&kept, key, now(), max_age)
    }

    /// Keeps a response.
    pub async fn put(&self, key: &ResponseKey, response: &[u8]) {
        let sealed = self.keys.encrypt(&sealable(key, now(), response));
        let mut command = RedisCommand::new("SET", &name(key));
        let lifetime = u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX);
        command.arg(sealed).arg("PX").arg(lifetime.max(1));
        // Without an answer, it is made again next time.
        let _: Option<()> = self.store.query(command).await;
    }
}

/// What is encrypted: a value that was moved here from another key says so.
fn sealable(key: &ResponseKey, at: u64, response: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(HEAD + response.len());
    kept.extend_from_slice(key.as_bytes());
    kept.extend_from_slice(&at.to_be_bytes());
    kept.extend_from_slice(response);
    kept
}

fn opened(kept: &[u8], key: &ResponseKey, now: u64, max_age: Duration) -> Option<Bytes> {
    let (of, rest) = kept.split_first_chunk::<32>()?;
    let (at, response) = rest.split_first_chunk::<8>()?;
    let age = now.saturating_sub(u64::from_be_bytes(*at));
    let is_valid = of == key.as_bytes() && age <= max_age.as_secs();
    is_valid.then(|| Bytes::copy_from_slice(response))
}

fn name(key: &ResponseKey) -> String {
    format!("claude-grpc:response:{}", HEXLOWER.encode(key.as_bytes()))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_opened_under_its_key_until_it_is_too_old() {
        let key = ResponseKey::of(&"a", b"");
        let kept = sealable(&key, 1000, b"response");
        let minute = Duration::from_secs(60);
        let open = |key: &ResponseKey, now| opened(&kept, key, now, minute);
        assert_eq!(open(&key, 1060).as_deref(), Some(&b"response"[..]));
        assert_eq!(open(&key, 1061), None);
        assert_eq!(open(&ResponseKey::of(&"b", b""), 1000), None);
        assert_eq!(opened(&kept[..39], &key, 1000, minute), None);
    }
}
