//! The keys and tokens that are accepted, and until when.

use super::config::SimulatorToken;
use parking_lot::RwLock;
use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// What is known of a key or token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Accepted,
    Expired,
    Unknown,
}

/// Keys and tokens with the time at which they expire. None accepts any.
#[derive(Debug)]
pub(in crate::simulator) struct AcceptedCredentials {
    since: Instant,
    /// `None` for one that does not expire.
    known: RwLock<HashMap<String, Option<Duration>>>,
}

impl AcceptedCredentials {
    /// Those of the configuration. The lives of tokens begin now.
    pub(in crate::simulator) fn new(keys: &[String], tokens: &[SimulatorToken]) -> Self {
        let keys = keys.iter().map(|key| (key.clone(), None));
        let tokens = tokens
            .iter()
            .map(|it| (it.token.clone(), Some(it.expires_after)));
        AcceptedCredentials {
            since: Instant::now(),
            known: RwLock::new(keys.chain(tokens).collect()),
        }
    }

    /// Lets a key or token expire now.
    pub(in crate::simulator) fn expire(&self, credential: &str) {
        let mut known = self.known.write();
        known.insert(credential.to_owned(), Some(Duration::ZERO));
    }

    pub(super) fn standing(&self, credential: &str) -> Standing {
        let known = self.known.read();
        if known.is_empty() {
            return Standing::Accepted;
        }
        match known.get(credential) {
            None => Standing::Unknown,
            Some(Some(life)) if self.since.elapsed() >= *life => Standing::Expired,
            Some(_) => Standing::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_accepted_until_it_expires() {
        let token = SimulatorToken {
            token: "short".to_owned(),
            expires_after: Duration::from_secs(5),
        };
        let accepted = AcceptedCredentials::new(&["long".to_owned()], &[token]);
        assert_eq!(accepted.standing("short"), Standing::Accepted);
        assert_eq!(accepted.standing("other"), Standing::Unknown);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(accepted.standing("short"), Standing::Expired);
        assert_eq!(accepted.standing("long"), Standing::Accepted);
        accepted.expire("long");
        assert_eq!(accepted.standing("long"), Standing::Expired);
        let any = AcceptedCredentials::new(&[], &[]);
        assert_eq!(any.standing("other"), Standing::Accepted);
    }
}
