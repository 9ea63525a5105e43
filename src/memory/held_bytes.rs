//! What the messages of one holder hold, which of them wait, and what is its share.

use std::{collections::BTreeMap, task::Waker};

/// A message of up to this number of bytes does not wait behind larger ones, so that
/// a client with large messages holds up no one with small ones.
pub const SMALL: usize = 64 * 1024;

/// The other messages of a holder of weight 1 may hold this many times as many bytes as
/// are free.
const SHARE_OF_FREE: usize = 8;

/// The same for a small message.
const SHARE_OF_SMALL: usize = 16;

/// The order in which messages began.
pub type Age = u64;

/// What the messages of a holder hold.
#[derive(Debug)]
pub struct HeldBytes {
    /// Whether it is somebody, and not everybody.
    is_known: bool,
    /// At least 1.
    pub weight: usize,
    /// How many there are.
    pub messages: usize,
    /// What they hold, in bytes, with what was granted.
    pub held: usize,
    /// Bytes of messages that have arrived as a whole: they become free without
    /// further bytes.
    pub whole: usize,
    /// By age, so in order of arrival.
    pub waiters: BTreeMap<Age, WaitingMessage>,
}

/// A message that waits.
#[derive(Debug)]
pub struct WaitingMessage {
    /// What it waits for.
    pub bytes: usize,
    /// What it holds already.
    pub held: usize,
    /// Whether it had arrived as a whole, and holds more than that, as a document does.
    pub is_whole: bool,
    /// How to wake it.
    pub waker: Waker,
    /// What became of it.
    pub outcome: WaitOutcome,
}

/// What became of a message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitOutcome {
    /// It is not its turn.
    Waits,
    /// It has what it waits for, and does not know it yet.
    Granted,
    /// It must make room.
    MustLeave,
}

// === impl HeldBytes ===

impl HeldBytes {
    /// Nothing, of somebody or of everybody.
    pub fn of(is_known: bool) -> Self {
        HeldBytes {
            is_known,
            weight: 1,
            messages: 0,
            held: 0,
            whole: 0,
            waiters: BTreeMap::new(),
        }
    }

    /// What is held, by the weight of the holder.
    pub fn held_by_weight(&self) -> usize {
        self.held / self.weight
    }

    /// Whether a message may have what it waits for while this many bytes are free: the
    /// other messages of its holder must not hold more than the share.
    pub fn may_have(&self, waiter: &WaitingMessage, free: usize) -> bool {
        let others = self.held - waiter.held;
        others <= self.share(waiter, free) || !self.is_known
    }

    /// The same, once the whole messages of the holder have ended.
    pub fn may_have_later(&self, waiter: &WaitingMessage, free: usize) -> bool {
        let others = (self.held - waiter.held).saturating_sub(self.whole);
        others <= self.share(waiter, free + self.whole) || !self.is_known
    }

    fn share(&self, waiter: &WaitingMessage, free: usize) -> usize {
        // What was paid for is not lost for others of the same holder.
        if waiter.is_whole {
            return usize::MAX;
        }
        let of_free = match waiter.is_small() {
            true => SHARE_OF_SMALL,
            false => SHARE_OF_FREE,
        };
        let stays_free = free.saturating_sub(waiter.bytes);
        stays_free
            .saturating_mul(of_free)
            .saturating_mul(self.weight)
    }

    /// Those that wait, the oldest first.
    pub fn waits(&self) -> impl DoubleEndedIterator<Item = (Age, &WaitingMessage)> {
        let waiters = self.waiters.iter().map(|(age, waiter)| (*age, waiter));
        waiters.filter(|(_, waiter)| waiter.outcome == WaitOutcome::Waits)
    }

    /// The youngest large message that waits, or else the youngest.
    pub fn youngest(&mut self) -> Option<&mut WaitingMessage> {
        let waits = self.waiters.iter_mut();
        let waits = waits.filter(|(_, waiter)| waiter.outcome == WaitOutcome::Waits);
        let youngest = waits.max_by_key(|(age, waiter)| (!waiter.is_small(), **age));
        youngest.map(|(_, waiter)| waiter)
    }
}

// === impl WaitingMessage ===

impl WaitingMessage {
    /// Whether it does not wait behind larger ones.
    pub fn is_small(&self) -> bool {
        self.held + self.bytes <= SMALL
    }

    /// Says what became of it.
    pub fn resolve(&mut self, outcome: WaitOutcome) {
        self.outcome = outcome;
        self.waker.wake_by_ref();
    }
}
