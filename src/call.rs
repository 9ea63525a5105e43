//! What every part of the service knows about a call: how long its caller
//! waits, how urgent it is, and with whom it takes turns.

use parking_lot::Mutex;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};

/// Who shares responses, usage and turns; `None` without access control.
pub type Tenant = Option<Arc<str>>;

/// Whose share of permits, turns and memory a call takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A tenant.
    Tenant(Arc<str>),
    /// The peer, where no tenant is known.
    Peer(PeerNetwork),
}

/// A peer: an IPv4 address, or a network of 64 bits in IPv6. In the extensions of a call
/// without access control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerNetwork(pub IpAddr);

/// The items of a stream that are in flight: while there are some, its caller may wait for
/// their results, and need send nothing.
#[derive(Debug, Clone, Default)]
pub struct ItemsInFlight {
    count: Arc<Mutex<ItemCount>>,
    /// One that waits for the end of an item is notified.
    ended: Arc<Notify>,
}

#[derive(Debug, Default)]
struct ItemCount {
    in_flight: usize,
    /// When the last one ended.
    idle_since: Option<Instant>,
}

/// An item in flight, until it is dropped.
#[derive(Debug)]
pub struct ItemInFlight(ItemsInFlight);

impl ItemsInFlight {
    /// Counts one more.
    pub fn begin(&self) -> ItemInFlight {
        self.count.lock().in_flight += 1;
        ItemInFlight(self.clone())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.lock().in_flight
    }

    /// Waits until one has ended since this returned last. For one caller at a time.
    pub async fn one_ended(&self) {
        self.ended.notified().await;
    }

    /// Until when the caller may send nothing, if it may do so for this time when none is in
    /// flight; `None` if that has passed.
    pub fn quiet_until(&self, patience: Duration) -> Option<Instant> {
        let count = self.count.lock();
        let now = Instant::now();
        if count.in_flight > 0 {
            return Some(now + patience);
        }
        let end = count.idle_since? + patience;
        (end > now).then_some(end)
    }
}

impl Drop for ItemInFlight {
    fn drop(&mut self) {
        let mut count = self.0.count.lock();
        count.in_flight -= 1;
        if count.in_flight == 0 {
            count.idle_since = Some(Instant::now());
        }
        drop(count);
        self.0.ended.notify_one();
    }
}

/// The point in time at which the caller stops waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline `duration` from now.
    pub fn after(duration: Duration) -> Self {
        Deadline(Instant::now() + duration)
    }

    /// The remaining time; zero once the deadline has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Which calls go first when calls must wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Nobody is waiting for the response: the call runs when there is room.
    Batch,
    /// Somebody is waiting for the response.
    #[default]
    Interactive,
}
