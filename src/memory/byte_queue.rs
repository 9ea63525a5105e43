//! Whose turn it is to draw bytes. Data only: nothing waits here.
//!
//! What one tenant or peer holds is bounded by what is free: a message of it goes on
//! while the others of the same holder hold at most 8 times its weight as many bytes as
//! stay free. So one that begins alone leaves some to those that come later, however long
//! its calls take: with many messages, it gets eight ninths. A single message may take all
//! that there is. This is the dynamic threshold of shared buffers (Choudhury, Hahne,
//! 1998), as for calls and permits. Small messages may take more: 16 times. So what is
//! left next to large ones serves small ones of the same holder too, such as those
//! behind a proxy. A message that has arrived as a whole is at work: what it needs in addition,
//! as a document does for its summaries, is bounded by what is free alone.
//!
//! While messages wait, the holder that holds least by its weight is next, and within a
//! holder the oldest message. What is next and finds no room keeps the other large ones
//! from what becomes free, so that it finds room in the end. Small ones are served
//! whenever they fit.
//!
//! Messages that wait hold what has arrived of them, so they could wait for each other
//! for ever. One of them must leave then (`make_room`).

use super::held_bytes::{Age, HeldBytes, WaitOutcome, WaitingMessage};
use crate::call::Holder;
use std::{
    collections::HashMap,
    task::{Poll, Waker},
};
use thiserror::Error;

/// Why bytes cannot be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoRoom {
    /// The message is larger than the whole budget.
    #[error("the message is larger than the budget")]
    TooLarge,
    /// Other messages hold the budget, and this one must make room.
    #[error("other messages hold the budget")]
    Busy,
}

/// The bytes, who holds them, and the messages that wait for some.
#[derive(Debug)]
pub struct ByteQueue {
    capacity: usize,
    free: usize,
    /// Those with a message; `None` for those of nobody who is known.
    holders: HashMap<Option<Holder>, HeldBytes>,
    last_age: Age,
    /// Messages that wait, or do not know yet what became of it.
    waiting: usize,
    /// Messages that were granted bytes and have not yet taken them.
    granted: usize,
    /// Messages that must make room and have not yet done so.
    leaving: usize,
}

/// A message in the queue, as its owner knows it.
#[derive(Debug)]
pub struct Place {
    holder: Option<Holder>,
    weight: u32,
    /// 0 before it draws.
    age: Age,
    held: usize,
    /// What it held when it had arrived as a whole.
    whole: Option<usize>,
    must_leave: bool,
}

// === impl Place ===

impl Place {
    /// A message of a holder with this weight, which holds nothing yet.
    pub fn new(holder: Option<Holder>, weight: u32) -> Self {
        Place {
            holder,
            weight,
            age: 0,
            held: 0,
            whole: None,
            must_leave: false,
        }
    }

    /// Whether it has drawn something, or tried to.
    pub fn began(&self) -> bool {
        self.age > 0
    }

    /// Another message of the same holder.
    pub fn of_same_holder(&self) -> Self {
        Place::new(self.holder.clone(), self.weight)
    }
}

// === impl ByteQueue ===

impl ByteQueue {
    /// A queue for this many bytes, all of them free.
    pub fn new(capacity: usize) -> Self {
        ByteQueue {
            capacity,
            free: capacity,
            holders: HashMap::new(),
            last_age: 0,
            waiting: 0,
            granted: 0,
            leaving: 0,
        }
    }

    /// Bytes that messages hold.
    pub fn in_use(&self) -> usize {
        self.capacity - self.free
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Draws bytes, or waits for them. After `Pending`, the call must be repeated with the
    /// same number once the waker was woken.
    ///
    /// # Errors
    /// [`NoRoom`]: the message must [leave](Self::leave) then.
    pub fn draw(
        &mut self,
        place: &mut Place,
        bytes: usize,
        waker: &Waker,
    ) -> Poll<Result<(), NoRoom>> {
        if place.held.saturating_add(bytes) > self.capacity {
            return Poll::Ready(Err(NoRoom::TooLarge));
        }
        if !place.began() {
            self.enter(place);
        }
        if let Some(outcome) = self.outcome(place, waker) {
            return outcome;
        }
        let waits_for_none = self.waiting == 0;
        let free = self.free;
        let of_holder = self.of(&place.holder);
        let waiter = WaitingMessage {
            bytes,
            held: place.held,
            is_whole: place.whole.is_some(),
            waker: waker.clone(),
            outcome: WaitOutcome::Waits,
        };
        if (waits_for_none || waiter.is_small())
            && of_holder.may_have(&waiter, free)
            && bytes <= free
        {
            of_holder.held += bytes;
            place.held += bytes;
            self.free -= bytes;
            return Poll::Ready(Ok(()));
        }
        of_holder.waiters.insert(place.age, waiter);
        self.waiting += 1;
        self.advance();
        self.outcome(place, waker).unwrap_or(Poll::Pending)
    }

    /// What became of a message that waits; `None` if it does not.
    fn outcome(&mut self, place: &mut Place, waker: &Waker) -> Option<Poll<Result<(), NoRoom>>> {
        let of_holder = self.of(&place.holder);
        let waiter = of_holder.waiters.get_mut(&place.age)?;
        if waiter.outcome == WaitOutcome::Waits {
            waiter.waker.clone_from(waker);
            return Some(Poll::Pending);
        }
        let waiter = of_holder.waiters.remove(&place.age)?;
        self.waiting -= 1;
        if waiter.outcome == WaitOutcome::MustLeave {
            place.must_leave = true;
            return Some(Poll::Ready(Err(NoRoom::Busy)));
        }
        self.granted -= 1;
        place.held += waiter.bytes;
        // Those that still wait may now wait for each other.
        self.advance();
        Some(Poll::Ready(Ok(())))
    }

    fn enter(&mut self, place: &mut Place) {
        self.last_age += 1;
        place.age = self.last_age;
        let of_holder = self.holders.entry(place.holder.clone());
        let of_holder = of_holder.or_insert_with(|| HeldBytes::of(place.holder.is_some()));
        // The clients file may have been reloaded.
        of_holder.weight = place.weight.max(1) as usize;
        of_holder.messages += 1;
    }

    /// The message has arrived as a whole, and is decompressed.
    pub fn whole(&mut self, place: &mut Place) {
        if place.began() && place.whole.is_none() {
            place.whole = Some(place.held);
            self.of(&place.holder).whole += place.held;
        }
    }

    /// Gives a message that [began](Place::began) to another holder, with what it holds.
    pub fn give(&mut self, place: &mut Place, holder: Option<Holder>, weight: u32) {
        self.remove(place);
        (place.holder, place.weight) = (holder, weight);
        self.enter(place);
        self.free -= place.held;
        let of_holder = self.of(&place.holder);
        of_holder.held += place.held;
        of_holder.whole += place.whole.unwrap_or(0);
        self.advance();
    }

    /// Takes back what a message that [began](Place::began) holds.
    pub fn leave(&mut self, place: &mut Place) {
        self.remove(place);
        self.advance();
    }

    fn remove(&mut self, place: &mut Place) {
        let of_holder = self.of(&place.holder);
        of_holder.messages -= 1;
        of_holder.whole -= place.whole.unwrap_or(0);
        let waiter = of_holder.waiters.remove(&place.age);
        let outcome = waiter.as_ref().map(|it| it.outcome);
        let is_granted = outcome == Some(WaitOutcome::Granted);
        let held = place.held + waiter.filter(|_| is_granted).map_or(0, |it| it.bytes);
        of_holder.held -= held;
        if of_holder.messages == 0 {
            self.holders.remove(&place.holder);
        }
        self.free += held;
        self.waiting -= usize::from(outcome.is_some());
        self.granted -= usize::from(is_granted);
        let must_leave = place.must_leave || outcome == Some(WaitOutcome::MustLeave);
        self.leaving -= usize::from(must_leave);
        place.must_leave = false;
    }

    fn of(&mut self, holder: &Option<Holder>) -> &mut HeldBytes {
        let of_holder = self.holders.get_mut(holder);
        of_holder.expect("a holder is known while it has messages")
    }

    /// Grants bytes to those whose turn it is.
    fn advance(&mut self) {
        if self.waiting == 0 {
            return;
        }
        while let Some((holder, age)) = self.next() {
            let of_holder = self.of(&holder);
            let waiter = of_holder.waiters.get_mut(&age);
            let waiter = waiter.expect("it waits");
            let bytes = waiter.bytes;
            waiter.resolve(WaitOutcome::Granted);
            of_holder.held += bytes;
            self.free -= bytes;
            self.granted += 1;
        }
        self.make_room();
    }

    /// The message that gets bytes next, if there are some for it.
    fn next(&self) -> Option<(Option<Holder>, Age)> {
        let small = self.first(|it| it.is_small() && it.bytes <= self.free);
        let next = small.or_else(|| self.first(|_| true).filter(|it| it.2.bytes <= self.free));
        next.map(|(holder, age, _)| (holder.clone(), age))
    }

    /// The first one that waits, of those that are looked for and that do not exceed the
    /// share of their holder.
    fn first(&self, is_looked_for: impl Fn(&WaitingMessage) -> bool) -> Option<Turn<'_>> {
        let oldest = self.holders.iter().filter_map(|(holder, of_holder)| {
            let (age, waiter) = of_holder.waits().find(|it| is_looked_for(it.1))?;
            let may_have = of_holder.may_have(waiter, self.free);
            may_have.then_some((of_holder.held_by_weight(), (holder, age, waiter)))
        });
        let first = oldest.min_by_key(|(held, (_, age, _))| (*held, *age));
        first.map(|(_, turn)| turn)
    }

    /// Those that wait may wait for each other: when nothing else is about to happen, one
    /// of them must leave. It is the youngest large message of a holder, or else its
    /// youngest.
    fn make_room(&mut self) {
        if self.granted > 0 || self.leaving > 0 {
            return;
        }
        let leaves = self.blocks_itself().or_else(|| self.blocks_others());
        let waiter = leaves.and_then(|holder| self.of(&holder).youngest());
        if let Some(waiter) = waiter {
            waiter.resolve(WaitOutcome::MustLeave);
            self.leaving += 1;
        }
    }

    /// The holder that holds most of those whose other messages keep the oldest one from
    /// its turn, also once its whole ones have ended.
    fn blocks_itself(&self) -> Option<Option<Holder>> {
        self.most(|of_holder| {
            let mut waits = of_holder.waits();
            let oldest = waits.next().filter(|_| waits.next().is_some());
            oldest.is_some_and(|(_, it)| !of_holder.may_have_later(it, self.free))
        })
    }

    /// The holder that holds most of those that wait, if the message whose turn it is needs
    /// more than will become free by itself.
    fn blocks_others(&self) -> Option<Option<Holder>> {
        let whole: usize = self.holders.values().map(|it| it.whole).sum();
        let (_, _, next) = self.first(|_| true)?;
        let is_blocked = next.bytes > self.free + whole && self.waiting > 1;
        self.most(|of_holder| is_blocked && of_holder.waits().next().is_some())
    }

    /// The holder that holds most by its weight of those that are looked for. If two do,
    /// the one with the youngest message.
    fn most(&self, is_looked_for: impl Fn(&HeldBytes) -> bool) -> Option<Option<Holder>> {
        let found = self.holders.iter().filter(|(_, it)| is_looked_for(it));
        let most = found.max_by_key(|(_, it)| {
            let youngest = it.waits().next_back().map(|(age, _)| age);
            (it.held_by_weight(), youngest)
        });
        most.map(|(holder, _)| holder.clone())
    }
}

/// A message that waits, and its holder.
type Turn<'a> = (&'a Option<Holder>, Age, &'a WaitingMessage);
