//! Who draws bytes, who waits, and who must leave.

use super::*;
use crate::{call::PeerNetwork, memory::held_bytes::SMALL};
use futures::task::noop_waker;
use proptest::prelude::*;
use std::iter;

const WAIT: Duration = Duration::from_secs(1);

/// A message of nobody who is known.
fn message(budget: &MessageBudget) -> MessageBytes {
    budget.message(None, 1)
}

fn tenant(name: &str) -> Option<Holder> {
    Some(Holder::Tenant(Arc::from(name)))
}

fn draw(message: &MessageBytes, bytes: usize) -> Poll<Result<(), NoRoom>> {
    message.poll_draw(&mut Context::from_waker(&noop_waker()), bytes)
}

const DRAWN: Poll<Result<(), NoRoom>> = Poll::Ready(Ok(()));
const LEAVES: Poll<Result<(), NoRoom>> = Poll::Ready(Err(NoRoom::Busy));

#[test]
fn what_fits_is_drawn_and_becomes_free_again() {
    let budget = MessageBudget::new(10, WAIT);
    let message = message(&budget);
    assert_eq!(draw(&message, 4), DRAWN);
    assert_eq!(draw(&message, 6), DRAWN);
    assert_eq!(budget.in_use(), 10);
    assert_eq!(draw(&message, 1), Poll::Ready(Err(NoRoom::TooLarge)));
    drop(message);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn who_waits_is_served_in_the_order_of_arrival() {
    let budget = MessageBudget::new(10, WAIT);
    let (first, second, third) = (message(&budget), message(&budget), message(&budget));
    assert_eq!(draw(&first, 10), DRAWN);
    first.whole();
    assert_eq!(draw(&second, 6), Poll::Pending);
    assert_eq!(draw(&third, 2), Poll::Pending);
    drop(first);
    assert_eq!(budget.in_use(), 8);
    assert_eq!(draw(&third, 2), DRAWN);
    assert_eq!(draw(&second, 6), DRAWN);
}

#[test]
fn a_small_message_does_not_wait_behind_larger_ones() {
    let budget = MessageBudget::new(10 * SMALL, WAIT);
    let (first, second, small) = (message(&budget), message(&budget), message(&budget));
    assert_eq!(draw(&first, 9 * SMALL), DRAWN);
    first.whole();
    assert_eq!(draw(&second, 2 * SMALL), Poll::Pending);
    assert_eq!(draw(&small, SMALL), DRAWN);
    assert_eq!(draw(&small, 1), Poll::Pending);
}

#[test]
fn the_youngest_large_message_makes_room() {
    let budget = MessageBudget::new(9 * SMALL + 1, WAIT);
    let (first, second, small) = (message(&budget), message(&budget), message(&budget));
    for (message, bytes) in [(&first, 4 * SMALL), (&second, 5 * SMALL), (&small, 1)] {
        assert_eq!(draw(message, bytes), DRAWN);
    }
    assert_eq!(draw(&first, SMALL), Poll::Pending);
    assert_eq!(draw(&second, SMALL), LEAVES);
    assert_eq!(draw(&small, 1), Poll::Pending);
    drop(second);
    assert_eq!(draw(&first, SMALL), DRAWN);
    assert_eq!(draw(&small, 1), DRAWN);
}

#[test]
fn a_large_message_makes_room_for_a_small_one_even_if_it_is_the_oldest() {
    let budget = MessageBudget::new(3 * SMALL, WAIT);
    let (large, arriving, small) = (message(&budget), message(&budget), message(&budget));
    assert_eq!(draw(&large, 2 * SMALL), DRAWN);
    assert_eq!(draw(&arriving, SMALL), DRAWN);
    assert_eq!(draw(&large, SMALL), Poll::Pending);
    assert_eq!(draw(&small, 1), Poll::Pending);
    assert_eq!(draw(&large, SMALL), LEAVES);
    drop(large);
    assert_eq!(draw(&small, 1), DRAWN);
}

#[test]
fn the_youngest_makes_room_when_all_wait_for_each_other() {
    let budget = MessageBudget::new(10, WAIT);
    let messages = [message(&budget), message(&budget), message(&budget)];
    for message in &messages {
        assert_eq!(draw(message, 3), DRAWN);
    }
    let [first, second, third] = messages;
    assert_eq!(draw(&first, 4), Poll::Pending);
    assert_eq!(draw(&second, 4), LEAVES);
    drop(second);
    assert_eq!(draw(&first, 4), DRAWN);
    assert_eq!(draw(&third, 4), Poll::Pending);
    first.whole();
    drop(first);
    assert_eq!(draw(&third, 4), DRAWN);
}

/// How many whole messages of this size a holder has before one must wait.
fn whole_messages(
    budget: &MessageBudget,
    holder: Option<Holder>,
    weight: u32,
    size: usize,
) -> Vec<MessageBytes> {
    let message = || budget.message(holder.clone(), weight);
    let drawn = iter::repeat_with(message).take_while(|it| draw(it, size) == DRAWN);
    drawn.inspect(MessageBytes::whole).collect()
}

#[test]
fn one_that_begins_alone_leaves_some_to_others() {
    for (holder, weight, expected) in [
        (tenant("greedy"), 1, 44),
        (tenant("greedy"), 4, 48),
        // Messages of nobody who is known.
        (None, 1, 50),
    ] {
        let budget = MessageBudget::new(100 * SMALL, WAIT);
        let messages = whole_messages(&budget, holder, weight, 2 * SMALL);
        assert_eq!(messages.len(), expected);
    }
    let budget = MessageBudget::new(100 * SMALL, WAIT);
    let _large = whole_messages(&budget, tenant("greedy"), 1, 2 * SMALL);
    let _small = whole_messages(&budget, tenant("greedy"), 1, SMALL);
    assert_eq!(budget.in_use(), (88 + 6) * SMALL);
    let other = budget.message(tenant("other"), 1);
    assert_eq!(draw(&other, 6 * SMALL), DRAWN);
}

#[test]
fn a_single_message_may_take_all() {
    let budget = MessageBudget::new(10 * SMALL, WAIT);
    let message = budget.message(tenant("a"), 1);
    for _ in 0..10 {
        assert_eq!(draw(&message, SMALL), DRAWN);
    }
}

#[test]
fn who_holds_least_is_served_first() {
    let budget = MessageBudget::new(100 * SMALL, WAIT);
    let greedy = || budget.message(tenant("greedy"), 1);
    let mut held = whole_messages(&budget, tenant("greedy"), 1, 2 * SMALL);
    let waits = [greedy(), greedy()];
    for message in &waits {
        assert_eq!(draw(message, 2 * SMALL), Poll::Pending);
    }
    let others = ["b", "c"].map(|name| budget.message(tenant(name), 1));
    for other in &others {
        assert_eq!(draw(other, 6 * SMALL), DRAWN);
        assert_eq!(draw(other, 8 * SMALL), Poll::Pending);
    }
    // The greedy one holds too much for another one until the others have theirs.
    for other in &others {
        held.truncate(held.len() - 4);
        assert_eq!(draw(other, 8 * SMALL), DRAWN);
    }
    for message in &waits {
        assert_eq!(draw(message, 2 * SMALL), Poll::Pending);
    }
    drop(others);
    for message in &waits {
        assert_eq!(draw(message, 2 * SMALL), DRAWN);
    }
}

#[test]
fn messages_that_wait_for_others_of_their_holder_make_room() {
    let budget = MessageBudget::new(100 * SMALL, WAIT);
    let other = budget.message(tenant("other"), 1);
    assert_eq!(draw(&other, SMALL), DRAWN);
    other.whole();
    let messages: Vec<_> = (0..11)
        .map(|_| budget.message(tenant("greedy"), 1))
        .collect();
    for message in &messages {
        assert_eq!(draw(message, 8 * SMALL), DRAWN);
    }
    let (first, last) = (&messages[0], &messages[10]);
    assert_eq!(draw(first, 2 * SMALL), Poll::Pending);
    // Whatever the other one does.
    assert_eq!(draw(last, 2 * SMALL), LEAVES);
}

#[test]
fn what_is_at_work_is_not_kept_from_more_by_its_share() {
    let budget = MessageBudget::new(100 * SMALL, WAIT);
    let messages = whole_messages(&budget, tenant("a"), 1, 2 * SMALL);
    let arriving = budget.message(tenant("a"), 1);
    assert_eq!(draw(&arriving, 2 * SMALL), Poll::Pending);
    assert_eq!(draw(&messages[0], 2 * SMALL), DRAWN);
}

#[test]
fn a_message_is_its_holders_once_that_is_known() {
    let budget = MessageBudget::new(100 * SMALL, WAIT);
    let peer = Some(Holder::Peer(PeerNetwork([127, 0, 0, 1].into())));
    let mut messages = whole_messages(&budget, peer.clone(), 1, 2 * SMALL);
    let next = budget.message(peer, 1);
    assert_eq!(draw(&next, 2 * SMALL), Poll::Pending);
    for message in &messages {
        message.give(Holder::Tenant(Arc::from("a")), 1);
    }
    assert_eq!(draw(&next, 2 * SMALL), DRAWN);
    assert_eq!(budget.in_use(), 90 * SMALL);
    let of_tenant = messages[0].of_same_holder();
    assert_eq!(draw(&of_tenant, 2 * SMALL), Poll::Pending);
    messages.truncate(30);
    assert_eq!(draw(&of_tenant, 2 * SMALL), DRAWN);
}

/// What a message does: how much it draws, in parts of a small one, whether it is given
/// to another holder, and whether it ends.
type Step = (usize, usize, bool, bool);

/// The message with this number: of nobody, or of one of two tenants.
fn numbered(budget: &MessageBudget, number: usize) -> (MessageBytes, Option<usize>) {
    let holder = [None, tenant("a"), tenant("b")][number % 3].clone();
    (budget.message(holder, 1 + u32::from(number % 3 == 2)), None)
}

proptest! {
    /// However messages draw, wait, end, are given up and change hands: nothing is lost,
    /// and nobody waits for ever.
    #[test]
    fn nothing_is_lost(
        steps in prop::collection::vec(any::<Step>(), 1..300),
    ) {
        let capacity = 25 * SMALL;
        let budget = MessageBudget::new(capacity, WAIT);
        let mut messages: Vec<_> = (0..9).map(|number| numbered(&budget, number)).collect();
        for (number, parts, is_given, ends) in steps {
            let number = number % messages.len();
            let (message, waits) = &mut messages[number];
            if is_given && waits.is_none() {
                message.give(Holder::Tenant(Arc::from("c")), 3);
            }
            let wanted = waits.unwrap_or((1 + parts % 60) * SMALL / 4);
            let is_over = match draw(message, wanted) {
                Poll::Pending => {
                    *waits = Some(wanted);
                    ends
                }
                Poll::Ready(Ok(())) => {
                    *waits = None;
                    if ends {
                        message.whole();
                    }
                    ends
                }
                Poll::Ready(Err(_)) => true,
            };
            if is_over {
                messages[number] = numbered(&budget, number);
            }
            prop_assert!(budget.in_use() <= capacity);
        }
        // All that wait end, in some order, without further arrivals.
        messages.retain(|(_, waits)| waits.is_some());
        for _ in 0..100 {
            messages.retain(|(message, waits)| draw(message, waits.unwrap_or(1)).is_pending());
        }
        prop_assert!(messages.is_empty(), "{} wait for ever", messages.len());
        prop_assert_eq!(budget.in_use(), 0);
        prop_assert_eq!(budget.waiting(), 0);
    }
}
