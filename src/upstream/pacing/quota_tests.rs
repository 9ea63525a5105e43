//! How calls wait, and which ones go first.

use super::{super::cold_start::FIRST_CALLS, *};
use crate::{
    call::Holder,
    upstream::{Call, limits},
};
use futures::FutureExt;
use tokio::time::Instant;

fn reported(requests: u64) -> RateLimits {
    RateLimits {
        requests: Some(limits::Bucket {
            limit: 60,
            remaining: requests,
        }),
        accepted: true,
        ..RateLimits::default()
    }
}

const ONE: Cost = Cost {
    requests: 1.0,
    input_tokens: 10.0,
    output_tokens: 10.0,
};

const BATCH: Rank<'_> = Rank {
    priority: Priority::Batch,
    holder: &None,
    weight: 1,
};

const INTERACTIVE: Rank<'_> = Rank {
    priority: Priority::Interactive,
    ..BATCH
};

fn minute() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// A quota with one request left, of sixty per minute.
async fn nearly_empty() -> Arc<Quota> {
    let quota = Arc::new(Quota::default());
    let reservation = quota.admit(ONE, BATCH, minute()).await.unwrap();
    quota.observe(&reported(1), &reservation.levels(), ONE);
    assert_eq!(quota.remaining().requests, Some((1.0, 60.0)));
    quota
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_fit_waits_for_the_refill() {
    let quota = nearly_empty().await;
    let began = Instant::now();
    for seconds in [0, 1, 2] {
        quota.admit(ONE, INTERACTIVE, minute()).await.unwrap();
        let waited = began.elapsed();
        assert_eq!(waited.as_secs(), seconds, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn interactive_calls_go_first_and_each_kind_in_order() {
    let quota = nearly_empty().await;
    let _last = quota.admit(ONE, BATCH, minute()).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = [
        ("batch 1", BATCH),
        ("batch 2", BATCH),
        ("interactive 1", INTERACTIVE),
        ("interactive 2", INTERACTIVE),
    ]
    .into_iter()
    .map(|(name, rank)| {
        let (quota, order) = (Arc::clone(&quota), Arc::clone(&order));
        async move {
            quota.admit(ONE, rank, minute()).await.unwrap();
            order.lock().push(name);
        }
    })
    .collect();
    futures::future::join_all(tasks).await;
    assert_eq!(
        *order.lock(),
        ["interactive 1", "interactive 2", "batch 1", "batch 2"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_fit_in_time_is_refused_at_once_and_truly() {
    let quota = nearly_empty().await;
    let _last = quota.admit(ONE, BATCH, minute()).await.unwrap();
    let waiting = quota.admit(ONE, INTERACTIVE, minute());
    let mut waiting = Box::pin(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    let soon = Deadline::after(Duration::from_millis(500));
    let refused = quota.admit(ONE, INTERACTIVE, soon).now_or_never();
    let retry_after = refused.unwrap().unwrap_err();
    assert_eq!(retry_after, Duration::from_secs(2));
    // The estimate was right: after this time there is room, and not before.
    tokio::time::advance(retry_after).await;
    waiting.await.unwrap();
    assert!(
        quota
            .admit(ONE, BATCH, soon)
            .now_or_never()
            .is_some_and(|it| it.is_ok())
    );
}

#[tokio::test(start_paused = true)]
async fn batch_is_told_of_the_interactive_calls_that_will_come_before_it() {
    let quota = nearly_empty().await;
    // Half of the refill goes to interactive calls.
    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(2)).await;
        quota.admit(ONE, INTERACTIVE, minute()).await.unwrap();
        quota.lock().take(ONE, Priority::Batch);
    }
    let left = quota.lock().levels();
    quota.lock().take(left, Priority::Batch);
    // Alone it would have its turn after a second.
    let wait = quota.lock().wait(ONE, BATCH).as_secs_f64();
    assert!((1.6..=2.4).contains(&wait), "{wait}");
}

#[tokio::test(start_paused = true)]
async fn no_call_is_begun_that_has_no_time_for_its_answer() {
    let quota = nearly_empty().await;
    let slow = quota.admit(ONE, INTERACTIVE, minute()).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    slow.answered();
    drop(slow);
    let left = quota.lock().levels();
    quota.lock().take(left, Priority::Batch);
    let soon = Deadline::after(Duration::from_secs(4));
    let refused = quota.admit(ONE, INTERACTIVE, soon).now_or_never();
    assert!(refused.unwrap().is_err());
    let later = Deadline::after(Duration::from_secs(7));
    quota.admit(ONE, INTERACTIVE, later).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_is_no_obstacle() {
    let quota = nearly_empty().await;
    let _last = quota.admit(ONE, BATCH, minute()).await.unwrap();
    let mut first = Box::pin(quota.admit(ONE, INTERACTIVE, minute()));
    assert!((&mut first).now_or_never().is_none());
    let second = tokio::spawn({
        let quota = Arc::clone(&quota);
        async move { quota.admit(ONE, INTERACTIVE, minute()).await }
    });
    tokio::task::yield_now().await;
    drop(first);
    let began = Instant::now();
    second.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 1);
    assert!(quota.lock().interactive.is_empty());
    assert_eq!(quota.lock().interactive.cost(), Cost::default());
}

fn output_tokens(remaining: u64) -> RateLimits {
    RateLimits {
        output_tokens: Some(limits::Bucket {
            limit: 6000,
            remaining,
        }),
        accepted: true,
        ..RateLimits::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_call_is_counted_once() {
    let whole = Cost {
        output_tokens: 6000.0,
        ..ONE
    };
    let quota = Arc::new(Quota::default());
    let mut first = quota.admit(whole, BATCH, minute()).await.unwrap();
    // As the API reports it: it has counted the call.
    quota.observe(&output_tokens(0), &first.levels(), whole);
    first.uses(Cost {
        output_tokens: 200.0,
        ..whole
    });
    drop(first);
    // Until the 200 are refilled.
    assert_eq!(quota.wait(whole, BATCH), Duration::from_secs(2));

    // It has not counted a call that it rejected.
    let quota = Arc::new(Quota::default());
    let mut first = quota.admit(whole, BATCH, minute()).await.unwrap();
    let refusal = RateLimits {
        refused: true,
        accepted: false,
        ..output_tokens(5000)
    };
    quota.observe(&refusal, &first.levels(), whole);
    first.refund();
    drop(first);
    assert_eq!(quota.wait(whole, BATCH), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn what_was_charged_too_much_is_given_back() {
    let quota = Arc::new(Quota::default());
    let cost = Cost {
        output_tokens: 5000.0,
        ..ONE
    };
    let mut reservation = quota.admit(cost, BATCH, minute()).await.unwrap();
    quota.observe(&output_tokens(1000), &reservation.levels(), cost);
    assert_eq!(quota.remaining().output_tokens, Some((1000.0, 6000.0)));
    reservation.uses(Cost {
        output_tokens: 200.0,
        ..cost
    });
    drop(reservation);
    assert_eq!(quota.remaining().output_tokens, Some((5800.0, 6000.0)));
}

#[tokio::test(start_paused = true)]
async fn until_the_limits_are_known_only_some_calls_are_in_flight() {
    let quota = Arc::new(Quota::default());
    let mut reservations = Vec::new();
    for _ in 0..FIRST_CALLS {
        reservations.push(quota.admit(ONE, BATCH, minute()).await.unwrap());
    }
    let mut next = Box::pin(quota.admit(ONE, BATCH, minute()));
    assert!((&mut next).now_or_never().is_none());
    let unlimited = |accepted| RateLimits {
        accepted,
        ..RateLimits::default()
    };
    // A failure says nothing about the limits.
    quota.observe(&unlimited(false), &reservations[0].levels(), ONE);
    assert!((&mut next).now_or_never().is_none());
    // An API that reports no limits is not paced.
    quota.observe(&unlimited(true), &reservations[0].levels(), ONE);
    next.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn slow_answers_do_not_throttle_an_api_that_names_no_limits() {
    let quota = Arc::new(Quota::default());
    let began = Instant::now();
    let calls = (0..60).map(|_| {
        let quota = Arc::clone(&quota);
        async move {
            let deadline = Deadline::after(Duration::from_secs(6));
            let admitted = quota.admit(ONE, INTERACTIVE, deadline).await;
            let _reservation = admitted.unwrap();
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
    });
    futures::future::join_all(calls).await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn slow_long_answers_leave_time_for_short_ones() {
    let quota = nearly_empty().await;
    let long = Cost {
        output_tokens: 64_000.0,
        ..ONE
    };
    let slow = quota.admit(long, INTERACTIVE, minute()).await;
    let slow = slow.unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;
    slow.answered();
    drop(slow);
    let left = quota.lock().levels();
    quota.lock().take(left, Priority::Batch);
    // Both must wait for a second.
    let rejected = quota.admit(long, INTERACTIVE, minute());
    assert!(rejected.now_or_never().unwrap().is_err());
    let admitted = quota.admit(ONE, INTERACTIVE, minute()).await;
    assert!(admitted.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_one_tenant_do_not_keep_another_from_its_turn() {
    let quota = nearly_empty().await;
    let _last = quota.admit(ONE, BATCH, minute()).await.unwrap();
    let [greedy, small] = ["greedy", "small"].map(|name| Some(Holder::Tenant(Arc::from(name))));
    let rank = |holder| Rank { holder, ..BATCH };
    let mut waiting: Vec<_> = (0..30)
        .map(|_| Box::pin(quota.admit(ONE, rank(&greedy), minute())))
        .collect();
    for call in &mut waiting {
        assert!(call.now_or_never().is_none());
    }
    let soon = Deadline::after(Duration::from_secs(3));
    let refused = quota.admit(ONE, rank(&greedy), soon).now_or_never();
    assert_eq!(refused.unwrap().unwrap_err(), Duration::from_secs(31));

    let began = Instant::now();
    let others = futures::future::join_all(waiting);
    let turn = quota.admit(ONE, rank(&small), soon);
    let (_, took) = tokio::join!(others, async {
        turn.await.unwrap();
        began.elapsed()
    });
    assert_eq!(took.as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_back_after_a_rejection_take_turns() {
    let quota = nearly_empty().await;
    let until = Instant::now() + Duration::from_secs(10);
    quota.lock().block(RequestShape::default(), until);
    let order = Arc::new(Mutex::new(Vec::new()));
    let names = std::iter::repeat_n("greedy", 30).chain(["small"]);
    let calls = names.map(|name| {
        let (quota, order) = (Arc::clone(&quota), Arc::clone(&order));
        async move {
            let mut call = Call::for_tests();
            call.holder = Some(Holder::Tenant(Arc::from(name)));
            let admitted = crate::upstream::pacing::admitted(&quota, &call).await;
            order.lock().push(name);
            // Its reservation is kept.
            admitted.unwrap()
        }
    });
    futures::future::join_all(calls).await;
    // There was room for ten of them at once.
    let turn = order.lock().iter().position(|name| *name == "small");
    assert!(turn.is_some_and(|turn| turn <= 1), "{turn:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_the_first_from_when_those_before_it_are_gone() {
    let quota = nearly_empty().await;
    let place = || quota.place(&mut quota.lock(), ONE, BATCH);
    let (one, other) = (place(), place());
    assert_eq!(one.first_for(), Duration::ZERO);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(one.first_for(), Duration::from_secs(5));
    drop(one);
    assert_eq!(other.first_for(), Duration::ZERO);
}
