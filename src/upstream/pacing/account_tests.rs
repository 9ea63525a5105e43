//! How calls wait, and who goes first.

use super::{super::state::CALLS_BEFORE_LIMITS_ARE_KNOWN, *};
use crate::upstream::limits;
use futures::FutureExt;
use tokio::time::Instant;

fn told(requests: u64) -> RateLimits {
    RateLimits {
        requests: Some(limits::Bucket {
            limit: 60,
            remaining: requests,
        }),
        ..RateLimits::default()
    }
}

const ONE: Cost = Cost {
    requests: 1.0,
    input_tokens: 10.0,
    output_tokens: 10.0,
};

fn minute() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// An account with one request left, of sixty a minute.
async fn nearly_empty() -> Arc<Account> {
    let account = Arc::new(Account::default());
    let charge = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
    account.observe(&told(2), &charge.levels(), ONE);
    assert_eq!(account.remaining().requests, Some((1.0, 60.0)));
    account
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_fit_waits_for_the_refill() {
    let account = nearly_empty().await;
    let began = Instant::now();
    for seconds in [0, 1, 2] {
        account
            .admit(ONE, Priority::Interactive, minute())
            .await
            .unwrap();
        let waited = began.elapsed();
        assert_eq!(waited.as_secs(), seconds, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn interactive_calls_go_first_and_each_kind_in_order() {
    let account = nearly_empty().await;
    let _last = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = [
        ("batch 1", Priority::Batch),
        ("batch 2", Priority::Batch),
        ("interactive 1", Priority::Interactive),
        ("interactive 2", Priority::Interactive),
    ]
    .into_iter()
    .map(|(name, priority)| {
        let (account, order) = (Arc::clone(&account), Arc::clone(&order));
        async move {
            account.admit(ONE, priority, minute()).await.unwrap();
            order.lock().unwrap().push(name);
        }
    })
    .collect();
    futures::future::join_all(tasks).await;
    assert_eq!(
        *order.lock().unwrap(),
        ["interactive 1", "interactive 2", "batch 1", "batch 2"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_fit_in_time_is_refused_at_once_and_truly() {
    let account = nearly_empty().await;
    let _last = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
    let waiting = account.admit(ONE, Priority::Interactive, minute());
    let mut waiting = Box::pin(waiting);
    assert!((&mut waiting).now_or_never().is_none());
    let soon = Deadline::after(Duration::from_millis(500));
    let refused = account
        .admit(ONE, Priority::Interactive, soon)
        .now_or_never();
    let retry_after = refused.unwrap().unwrap_err();
    assert_eq!(retry_after, Duration::from_secs(2));
    // It was true: so much later there is room, and not before.
    tokio::time::advance(retry_after).await;
    waiting.await.unwrap();
    assert!(
        account
            .admit(ONE, Priority::Batch, soon)
            .now_or_never()
            .is_some_and(|it| it.is_ok())
    );
}

#[tokio::test(start_paused = true)]
async fn batch_is_told_of_the_interactive_calls_that_will_come_before_it() {
    let account = nearly_empty().await;
    // Half of what refills goes to interactive calls.
    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(2)).await;
        account
            .admit(ONE, Priority::Interactive, minute())
            .await
            .unwrap();
        account.lock().take(ONE, Priority::Batch);
    }
    let left = account.lock().levels();
    account.lock().take(left, Priority::Batch);
    // Alone it would have its turn after a second.
    let wait = account.lock().wait(ONE, Priority::Batch).as_secs_f64();
    assert!((1.6..=2.4).contains(&wait), "{wait}");
}

#[tokio::test(start_paused = true)]
async fn no_call_is_begun_that_has_no_time_for_its_answer() {
    let account = nearly_empty().await;
    let slow = account
        .admit(ONE, Priority::Interactive, minute())
        .await
        .unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    slow.answered();
    drop(slow);
    let left = account.lock().levels();
    account.lock().take(left, Priority::Batch);
    let soon = Deadline::after(Duration::from_secs(4));
    let refused = account
        .admit(ONE, Priority::Interactive, soon)
        .now_or_never();
    assert!(refused.unwrap().is_err());
    let later = Deadline::after(Duration::from_secs(7));
    account
        .admit(ONE, Priority::Interactive, later)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_is_no_obstacle() {
    let account = nearly_empty().await;
    let _last = account.admit(ONE, Priority::Batch, minute()).await.unwrap();
    let mut first = Box::pin(account.admit(ONE, Priority::Interactive, minute()));
    assert!((&mut first).now_or_never().is_none());
    let second = tokio::spawn({
        let account = Arc::clone(&account);
        async move { account.admit(ONE, Priority::Interactive, minute()).await }
    });
    tokio::task::yield_now().await;
    drop(first);
    let began = Instant::now();
    second.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 1);
    assert!(account.lock().interactive.is_empty());
    assert_eq!(account.lock().interactive.cost(), Cost::default());
}

#[tokio::test(start_paused = true)]
async fn what_was_charged_too_much_is_given_back() {
    let account = Arc::new(Account::default());
    let tokens = |remaining| RateLimits {
        output_tokens: Some(limits::Bucket {
            limit: 6000,
            remaining,
        }),
        ..RateLimits::default()
    };
    let cost = Cost {
        output_tokens: 5000.0,
        ..ONE
    };
    let mut charge = account
        .admit(cost, Priority::Batch, minute())
        .await
        .unwrap();
    account.observe(&tokens(6000), &charge.levels(), cost);
    assert_eq!(account.remaining().output_tokens, Some((1000.0, 6000.0)));
    charge.uses(Cost {
        output_tokens: 200.0,
        ..cost
    });
    drop(charge);
    assert_eq!(account.remaining().output_tokens, Some((5800.0, 6000.0)));
}

#[tokio::test(start_paused = true)]
async fn until_the_limits_are_known_only_some_calls_are_in_flight() {
    let account = Arc::new(Account::default());
    let mut charges = Vec::new();
    for _ in 0..CALLS_BEFORE_LIMITS_ARE_KNOWN {
        charges.push(account.admit(ONE, Priority::Batch, minute()).await.unwrap());
    }
    let mut next = Box::pin(account.admit(ONE, Priority::Batch, minute()));
    assert!((&mut next).now_or_never().is_none());
    // An API that names no limits is not paced.
    account.observe(&RateLimits::default(), &charges[0].levels(), ONE);
    next.await.unwrap();
}
