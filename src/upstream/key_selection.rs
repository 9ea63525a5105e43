//! Selects the API key of each attempt.
//!
//! Calls that belong together use the same key (`affinity`), and together they
//! spread over all keys. The next key in their order is used instead when the
//! first one is quarantined, when its limits would make the call wait, or when
//! it has far more than its share of the attempts in flight: one hot prompt
//! must not overheat one key.
//!
//! A key that the API rejects is quarantined, and the call continues with
//! another one at once, which does not count as a retry. Only when no other key
//! is left does the caller see the rejection. A key that lacks a permission is
//! only avoided for the model, since one caller could otherwise stop the others
//! by asking for what the key may not do. Credentials that expire are replaced when
//! they are not accepted, and the call continues with the next ones, once.

use super::{
    Call, Payload, Reply, UpstreamError,
    attempt::Attempt,
    keys::{Key, Keys},
    limits::RateLimitObserver,
    pacing::{self, RateLimiter},
};
use crate::layer::{Next, Rule};
use std::{cmp::Reverse, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A key has its share of the attempts in flight up to this many, whatever the
/// others have: parallel calls of a quiet service stay together.
const QUIET: usize = 8;

/// Selects the key of each attempt, and another one when it is rejected.
#[derive(Debug)]
pub struct SelectKey {
    keys: Keys,
    rate_limiter: RateLimiter,
}

impl SelectKey {
    /// Selects among `keys`, whose quotas `rate_limiter` knows.
    pub fn new(keys: Keys, rate_limiter: RateLimiter) -> Self {
        SelectKey { keys, rate_limiter }
    }

    /// The best of the keys that were not tried yet. One that was rejected for
    /// the model is better than none: it may only lack what an earlier call
    /// asked for, such as a beta feature.
    ///
    /// # Errors
    /// Why no key is usable.
    fn choose(&self, call: &Call, tried: &[Arc<Key>]) -> Result<Arc<Key>, UpstreamError> {
        let keys = self.keys.current();
        if let Some(only) = keys.iter().find(|key| Some(key.fingerprint()) == call.key) {
            return match only.refusal() {
                Some(error) => Err(error),
                None if tried.is_empty() => Ok(Arc::clone(only)),
                None => Err(UpstreamError::NoUsableKey),
            };
        }
        // It would belong to a workspace that nobody has noted.
        if call.payload.creates() {
            return Err(UpstreamError::NoUsableKey);
        }
        let mut refusal = UpstreamError::NoUsableKey;
        let mut usable: Vec<&Arc<Key>> = Vec::with_capacity(keys.len());
        for key in keys.iter() {
            match key.refusal() {
                Some(error) => refusal = error,
                None if tried.iter().any(|one| Arc::ptr_eq(one, key)) => {}
                None => usable.push(key),
            }
        }
        if usable.len() > 1 && !usable.iter().all(|key| key.is_refused_for(&call.model)) {
            usable.retain(|key| !key.is_refused_for(&call.model));
        }
        if let [] | [_] = usable[..] {
            return usable.first().map(|key| Arc::clone(key)).ok_or(refusal);
        }
        usable.sort_by_cached_key(|key| Reverse(call.affinity.score(key.fingerprint().seed())));
        let share = share(&usable);
        let has_room = |key: &Arc<Key>| key.in_flight() < share;
        let fits = |key: &Arc<Key>| self.wait(key, call).is_zero();
        let chosen = usable.iter().find(|key| has_room(key) && fits(key));
        let chosen = chosen.or_else(|| usable.iter().min_by_key(|key| self.wait(key, call)));
        chosen.map(|key| Arc::clone(key)).ok_or(refusal)
    }

    fn wait(&self, key: &Key, call: &Call) -> Duration {
        match call.payload {
            Payload::Messages { .. } => {
                let quota = self.rate_limiter.quota(key, &call.model, call.shape);
                let wait = quota.wait(pacing::cost(call), pacing::rank(call));
                wait.max(quota.blocked_for(call.shape))
            }
            _ => Duration::ZERO,
        }
    }
}

impl Rule<Call> for SelectKey {
    type Inner = Attempt;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        call: Call,
        mut next: impl Next<Attempt, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let mut tried = Vec::new();
        let mut is_replaced = false;
        let mut key = self.choose(&call, &tried)?;
        loop {
            let attempt = Attempt {
                reservation: None,
                lead: None,
                traceparent: None,
                tracestate: None,
                call: call.clone(),
                key: Arc::clone(&key),
                rate_limit_observer: RateLimitObserver::default(),
                meter: call
                    .attempts
                    .meter(call.attempted_model(), call.input_tokens),
            };
            let meter = attempt.meter.clone();
            let in_use = key.begin_use();
            let began = Instant::now();
            let error = match next.run(attempt).await {
                Ok(mut reply) => {
                    reply.key = Some(key.fingerprint());
                    reply.body.hold(in_use);
                    return Ok(reply);
                }
                Err(error) => error,
            };
            drop(in_use);
            if error.is_lost() {
                meter.lost();
            }
            match blame(&error) {
                // The key of its workspace has been replaced by one of these.
                Blame::Nobody if call.key.is_some() && is_not_found(&error) => {}
                Blame::Credentials => match key.reject_credentials(began) {
                    None => key.quarantine(None, &error),
                    Some(true) if !is_replaced => {
                        is_replaced = true;
                        continue;
                    }
                    Some(_) => {}
                },
                Blame::Key => key.quarantine(None, &error),
                Blame::KeyForModel => key.quarantine(Some(Arc::clone(&call.model)), &error),
                Blame::Limits => {}
                Blame::Nobody => return Err(error),
            }
            tried.push(key);
            key = match self.choose(&call, &tried) {
                Ok(another) => another,
                Err(_) => return Err(error),
            };
        }
    }
}

/// How many attempts in flight are a key's share: a quarter more than the
/// average (consistent hashing with bounded loads).
fn share(keys: &[&Arc<Key>]) -> usize {
    let in_flight: usize = keys.iter().map(|key| key.in_flight()).sum();
    let average = (in_flight + 1).div_ceil(keys.len());
    (average + average.div_ceil(4)).max(QUIET)
}

fn is_not_found(error: &UpstreamError) -> bool {
    matches!(error, UpstreamError::Api(failure) if failure.is_not_found())
}

/// What a failure says about the key.
#[derive(Debug, PartialEq)]
enum Blame {
    Nobody,
    /// The key is not valid.
    Credentials,
    /// The key is not usable, whatever its secret is.
    Key,
    /// The key is not usable for this call, and perhaps not for its model.
    KeyForModel,
    /// The key's limits are reached; another key has its own limits.
    Limits,
}

/// Only an error of the API says something about the key: the page of a proxy
/// with the same status does not.
fn blame(error: &UpstreamError) -> Blame {
    let UpstreamError::Api(failure) = error else {
        return match error {
            UpstreamError::QuotaExhausted { .. } => Blame::Limits,
            _ => Blame::Nobody,
        };
    };
    match failure.kind.as_str() {
        "authentication_error" => Blame::Credentials,
        "permission_error" => Blame::KeyForModel,
        _ if failure.is_billing() || failure.is_spend_limit() || failure.is_disabled() => {
            Blame::Key
        }
        _ if failure.status == 429 => Blame::Limits,
        _ => Blame::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::CallParts;
    use crate::upstream::{ApiFailure, KeyAffinity};
    use secrecy::SecretString;
    use std::collections::HashMap;

    fn api(status: u16, kind: &str) -> UpstreamError {
        UpstreamError::Api(Box::new(ApiFailure {
            status,
            kind: kind.to_owned(),
            ..ApiFailure::default()
        }))
    }

    #[test]
    fn only_an_error_of_the_api_is_blamed_on_the_key() {
        for status in [400, 401, 402, 403, 404, 407, 500, 503] {
            assert_eq!(blame(&api(status, "")), Blame::Nobody, "{status}");
            let unknown = api(status, "new_error");
            assert_eq!(blame(&unknown), Blame::Nobody, "{status}");
        }
        let rejected = blame(&api(401, "authentication_error"));
        assert_eq!(rejected, Blame::Credentials);
        assert_eq!(blame(&api(402, "billing_error")), Blame::Key);
        assert_eq!(blame(&api(403, "permission_error")), Blame::KeyForModel);
        assert_eq!(blame(&api(429, "rate_limit_error")), Blame::Limits);
    }

    fn select(keys: usize) -> SelectKey {
        let keys = (0..keys).map(|index| {
            let secret = SecretString::from(format!("sk-{index}"));
            Key::new(&format!("key-{index}"), &secret).unwrap()
        });
        SelectKey::new(Keys::new(keys), RateLimiter::default())
    }

    fn call(conversation: &str) -> Call {
        let parts = CallParts {
            affinity: KeyAffinity::named(None, conversation),
            ..CallParts::for_tests()
        };
        parts.into()
    }

    fn chosen(select: &SelectKey, conversation: usize) -> Arc<str> {
        let key = select.choose(&call(&conversation.to_string()), &[]);
        Arc::clone(key.unwrap().name())
    }

    #[test]
    fn conversations_spread_evenly_and_few_move_to_a_new_key() {
        const CONVERSATIONS: usize = 10_000;
        let (four, five) = (select(4), select(5));
        let mut counts = HashMap::new();
        let mut moved = 0;
        for conversation in 0..CONVERSATIONS {
            let key = chosen(&four, conversation);
            assert_eq!(key, chosen(&four, conversation));
            let with_another = chosen(&five, conversation);
            if with_another != key {
                assert_eq!(&*with_another, "key-4", "moved between the old keys");
                moved += 1;
            }
            *counts.entry(key).or_insert(0_usize) += 1;
        }
        for count in counts.values() {
            assert!((2250..=2750).contains(count), "{counts:?}");
        }
        assert!((1800..=2200).contains(&moved), "{moved}");
    }

    #[test]
    fn a_hot_prefix_uses_more_than_one_key() {
        let select = select(4);
        let mut in_use = Vec::new();
        for _ in 0..200 {
            let key = select.choose(&call("hot"), &[]).unwrap();
            in_use.push(key.begin_use());
        }
        let keys = select.keys.current();
        let loads: Vec<usize> = keys.iter().map(|key| key.in_flight()).collect();
        assert!(loads.iter().all(|load| *load <= 64), "{loads:?}");
        drop(in_use);
        assert!(keys.iter().all(|key| key.in_flight() == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_conversation_moves_when_its_key_is_out_and_comes_back() {
        let select = select(4);
        let first = select.choose(&call("c"), &[]).unwrap();
        first.quarantine(None, &UpstreamError::NoUsableKey);
        let second = select.choose(&call("c"), &[]).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        let again = select.choose(&call("c"), &[]).unwrap();
        assert!(Arc::ptr_eq(&second, &again));
        tokio::time::advance(Duration::from_secs(60)).await;
        let back = select.choose(&call("c"), &[]).unwrap();
        assert!(Arc::ptr_eq(&first, &back));
    }
}
