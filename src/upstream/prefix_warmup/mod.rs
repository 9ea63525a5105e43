//! The first call of a cached prefix goes alone until its answer begins.
//!
//! The API can read a prefix once the answer that writes it has begun. Of many calls that
//! come at once, each would write it, at more than the price of input. So the first one
//! leads, and the others with the same prefix, key and model wait for it: until its answer
//! begins, at most for `upstream.prompt_cache_wait`, and never to their deadline. A leader
//! that fails or is cancelled hands on to the next one. While the prefix is warm, nobody
//! waits, and other prefixes never do.
//!
//! Below key selection, since each account has a cache of its own, and above pacing: what
//! waits here holds no reservation and no permit.

mod table;

pub use table::{PrefixLead, PrefixTable};

use super::{Payload, Reply, UpstreamError, attempt::Attempt};
use crate::{
    layer::{Next, Rule},
    telemetry::Wait,
};
use std::{sync::Arc, time::Duration};
use table::{PrefixPlace, PrefixTurn};
use tokio::time::{Instant, timeout_at};

/// The part of its time that a call may spend waiting here: half of it.
const SHARE_OF_TIME: u32 = 2;

/// Lets the first call of a cached prefix go alone.
#[derive(Debug)]
pub struct WarmPrefix {
    table: PrefixTable,
    max_wait: Duration,
}

// === impl WarmPrefix ===

impl WarmPrefix {
    /// Calls wait at most this long for the first one.
    pub fn new(table: PrefixTable, max_wait: Duration) -> Self {
        WarmPrefix { table, max_wait }
    }

    /// Waits for the first call of a prefix; a lead if this is the first one.
    async fn turn(&self, attempt: &Attempt, place: &PrefixPlace) -> Option<Arc<PrefixLead>> {
        let call = &attempt.call;
        let left = call.waits_until().remaining();
        let until = Instant::now() + self.max_wait.min(left / SHARE_OF_TIME);
        // One that was attempted before has waited.
        let may_wait = call.attempts.count() == 0;
        let mut waits = false;
        loop {
            match self.table.turn(place) {
                PrefixTurn::Warm => return None,
                PrefixTurn::Leads(lead) => return Some(lead),
                PrefixTurn::Waits(_) if !may_wait => return None,
                PrefixTurn::Waits(leader) => {
                    if !waits {
                        waits = true;
                        call.record.waits(Wait::PromptCache);
                    }
                    timeout_at(until, leader.ended()).await.ok()?;
                }
            }
        }
    }
}

impl Rule<Attempt> for WarmPrefix {
    type Inner = Attempt;
    type Response = Reply;
    type Error = UpstreamError;

    async fn call(
        &self,
        mut attempt: Attempt,
        mut next: impl Next<Attempt, Reply, UpstreamError>,
    ) -> Result<Reply, UpstreamError> {
        let prefix = match (attempt.call.prefix, &attempt.call.payload) {
            (Some(prefix), Payload::Messages { .. }) if !self.max_wait.is_zero() => prefix,
            _ => return next.run(attempt).await,
        };
        let place = PrefixPlace {
            prefix,
            key: attempt.key.fingerprint(),
            model: Arc::clone(&attempt.call.model),
        };
        let lead = self.turn(&attempt, &place).await;
        let began = Instant::now();
        attempt.lead.clone_from(&lead);
        let reply = next.run(attempt).await?;
        match lead {
            Some(lead) => lead.begun(),
            None => self.table.used(&place, began),
        }
        Ok(reply)
    }
}
