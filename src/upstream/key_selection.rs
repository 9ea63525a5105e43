//! Selects the API key of each attempt.
//!
//! Calls are spread over the usable keys: the one whose limits have room first,
//! round robin among equals. A key that the API rejects is quarantined, and the
//! call continues with another one at once, which does not count as a retry.
//! Only when no other key is left does the caller see the rejection. A key that
//! lacks a permission is only avoided for the model, since one caller could
//! otherwise stop the others by asking for what the key may not do.

use super::{
    Call, Payload, Reply, UpstreamError,
    attempt::Attempt,
    keys::{Key, Keys},
    limits::RateLimitObserver,
    pacing::{self, RateLimiter},
};
use crate::layer::{Next, Rule};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Selects the key of each attempt, and another one when it is rejected.
#[derive(Debug)]
pub struct SelectKey {
    keys: Keys,
    rate_limiter: RateLimiter,
    turn: AtomicUsize,
}

impl SelectKey {
    /// Selects among `keys`, whose quotas `rate_limiter` knows.
    pub fn new(keys: Keys, rate_limiter: RateLimiter) -> Self {
        SelectKey {
            keys,
            rate_limiter,
            turn: AtomicUsize::new(0),
        }
    }

    /// The best of the keys that were not tried yet. One that was rejected for
    /// the model is better than none: it may only lack what an earlier call
    /// asked for, such as a beta feature.
    ///
    /// # Errors
    /// Why no key is usable.
    fn choose(&self, call: &Call, tried: &[Arc<Key>]) -> Result<Arc<Key>, UpstreamError> {
        let keys = self.keys.current();
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
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % usable.len();
        usable.rotate_left(turn);
        let soonest = usable.into_iter().min_by_key(|key| self.wait(key, call));
        soonest.map(Arc::clone).ok_or(refusal)
    }

    fn wait(&self, key: &Key, call: &Call) -> Duration {
        match call.payload {
            Payload::Messages { .. } => self
                .rate_limiter
                .quota(key, &call.model)
                .wait(pacing::cost(call), call.priority),
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
        let mut key = self.choose(&call, &tried)?;
        loop {
            let attempt = Attempt {
                reservation: None,
                traceparent: None,
                tracestate: None,
                call: call.clone(),
                key: Arc::clone(&key),
                rate_limit_observer: RateLimitObserver::default(),
                meter: call.attempts.meter(),
            };
            let error = match next.run(attempt).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match blame(&error) {
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

/// What a failure says about the key.
#[derive(Debug, PartialEq)]
enum Blame {
    Nobody,
    /// The key is not usable.
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
        "authentication_error" => Blame::Key,
        "permission_error" => Blame::KeyForModel,
        _ if failure.is_billing() || failure.is_spend_limit() => Blame::Key,
        _ if failure.status == 429 => Blame::Limits,
        _ => Blame::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::ApiFailure;

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
        assert_eq!(blame(&api(401, "authentication_error")), Blame::Key);
        assert_eq!(blame(&api(402, "billing_error")), Blame::Key);
        assert_eq!(blame(&api(403, "permission_error")), Blame::KeyForModel);
        assert_eq!(blame(&api(429, "rate_limit_error")), Blame::Limits);
    }
}
