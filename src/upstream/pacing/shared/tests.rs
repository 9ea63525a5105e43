//! The scripts in a real Redis. Its clock cannot be paused: limits are chosen
//! so that the time of a test hardly refills them.

#[path = "../../../../tests/replicas/redis_server.rs"]
#[allow(dead_code)] // It is not stopped in the middle of these.
mod redis_server;

use super::{
    quotas::{AdmissionDecision, AdmissionResponse},
    *,
};
use crate::{
    call::Deadline,
    claude::request::MessagesRequest,
    store::{RedisCommand, RedisConfig, StoreAddress, StoreFailureMode},
    upstream::{
        Bucket, RequestShape, UpstreamError,
        pacing::{Rank, cold_start::FIRST_CALLS, reservation::QuotaReservation},
    },
};
use redis_server::RedisServer;
use secrecy::SecretString;
use std::time::Duration;

/// The key of the quota under test.
const NAME: &str = "claude-grpc:{test}:quota";

const ONE: Cost = Cost {
    requests: 1.0,
    input_tokens: 10.0,
    output_tokens: 100.0,
};

/// One request per second, and as many tokens as needed.
fn reported(requests: u64) -> RateLimits {
    RateLimits {
        requests: Some(Bucket {
            limit: 60,
            remaining: requests,
        }),
        accepted: true,
        ..RateLimits::default()
    }
}

fn ask(priority: Priority) -> AdmissionRequest {
    AdmissionRequest {
        cost: ONE,
        priority,
        first_for: Duration::ZERO,
        interactive: Cost::default(),
        batch: Cost::default(),
        figures: [None; 3],
        shape: RequestShape::default(),
        blocked: Duration::ZERO,
    }
}

struct Replica(SharedQuotas);

impl Replica {
    fn of(redis: &RedisServer) -> Replica {
        let address = StoreAddress::Redis(SecretString::from(redis.url()));
        let store = Store::open(
            &address,
            &RedisConfig::default(),
            StoreFailureMode::FailClosed,
        )
        .unwrap();
        Replica(SharedQuotas::new(store.unwrap()))
    }

    async fn asks(&self, ask: AdmissionRequest) -> AdmissionResponse {
        self.0.admit(NAME, &ask).await.unwrap()
    }

    async fn observes(&self, reported: RateLimits, at_reservation: Option<f64>) {
        let observation = Observation {
            reported,
            at_reservation: at_reservation.map(|requests| Levels {
                requests,
                ..Levels::default()
            }),
            early: Cost::default(),
            back: ONE,
            cost: ONE,
        };
        self.0.observe(NAME, &observation).await.unwrap();
    }

    /// The remaining requests. The query reserves nothing: it asks for more
    /// than there ever is.
    async fn left(&self) -> f64 {
        let more = Cost {
            requests: 1000.0,
            ..Cost::default()
        };
        let answer = self.asks(AdmissionRequest {
            cost: more,
            ..ask(Priority::Batch)
        });
        let (left, limit) = answer.await.figures[0].unwrap();
        assert_eq!(limit, 60.0);
        left
    }
}

/// Two replicas of a quota with this number of requests left.
async fn with_left(requests: u64) -> (RedisServer, Replica, Replica) {
    let redis = RedisServer::start().await;
    let (one, two) = (Replica::of(&redis), Replica::of(&redis));
    one.observes(reported(requests), None).await;
    (redis, one, two)
}

fn waits(answer: &AdmissionResponse) -> f64 {
    match answer.decision {
        AdmissionDecision::Wait(wait) => wait.as_secs_f64(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_about(figure: f64, expected: f64) {
    let within = (expected - 0.3)..=(expected + 0.3);
    assert!(within.contains(&figure), "{figure} is not about {expected}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_one_replica_takes_the_other_has_not() {
    let (_redis, one, two) = with_left(2).await;
    for replica in [&one, &two] {
        let answer = replica.asks(ask(Priority::Batch)).await;
        assert_eq!(answer.decision, AdmissionDecision::Charged);
    }
    let answer = one.asks(ask(Priority::Batch)).await;
    assert_about(waits(&answer), 1.0);
    assert_about(answer.figures[0].unwrap().0, 0.0);
    assert_eq!(answer.figures[1], None);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn until_the_limits_are_known_only_some_calls_of_all_replicas_are_in_flight() {
    let redis = RedisServer::start().await;
    let (one, two) = (Replica::of(&redis), Replica::of(&redis));
    for _ in 0..FIRST_CALLS / 2 {
        for replica in [&one, &two] {
            let answer = replica.asks(ask(Priority::Batch)).await;
            assert_eq!(answer.decision, AdmissionDecision::ChargedEarly);
        }
    }
    for replica in [&one, &two] {
        waits(&replica.asks(ask(Priority::Interactive)).await);
    }
    // One call has ended: it used less than it reserved.
    let less = Cost {
        output_tokens: -90.0,
        ..Cost::default()
    };
    let settled = two.0.settle(NAME, Priority::Batch, less, Some(ONE), None);
    settled.await.unwrap();
    let answer = one.asks(ask(Priority::Batch)).await;
    assert_eq!(answer.decision, AdmissionDecision::ChargedEarly);
    // The first response reports the limits. The other fifteen calls may not be
    // included.
    let observation = Observation {
        reported: reported(40),
        at_reservation: None,
        early: ONE,
        back: ONE,
        cost: ONE,
    };
    one.0.observe(NAME, &observation).await.unwrap();
    assert_about(two.left().await, 25.0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn batch_fits_only_beside_what_interactive_calls_wait_for_elsewhere() {
    let (_redis, one, two) = with_left(0).await;
    let queue = AdmissionRequest {
        interactive: ONE.times(4.0),
        ..ask(Priority::Interactive)
    };
    assert_about(waits(&one.asks(queue).await), 1.0);
    let answer = two.asks(ask(Priority::Batch)).await;
    assert_about(waits(&answer), 6.0);
    assert_eq!(answer.others.interactive, ONE.times(5.0));
    assert_eq!(answer.others.batch, Cost::default());
    // An interactive call waits for the older one that is first in the queue.
    assert_about(waits(&two.asks(ask(Priority::Interactive)).await), 2.0);
    // The replica is gone: what waited there is forgotten.
    let forgotten = async {
        // In addition to the five there would be room after six seconds.
        while two.asks(ask(Priority::Batch)).await.decision != AdmissionDecision::Charged {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(4), forgotten)
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn among_equals_the_one_that_is_first_in_its_queue_for_longer_goes_first() {
    let (_redis, one, two) = with_left(0).await;
    let first_for = |seconds| AdmissionRequest {
        first_for: Duration::from_secs(seconds),
        ..ask(Priority::Batch)
    };
    assert_about(waits(&one.asks(first_for(5)).await), 1.0);
    assert_about(waits(&two.asks(first_for(2)).await), 2.0);
    assert_about(waits(&one.asks(first_for(5)).await), 1.0);
    assert_about(waits(&two.asks(first_for(8)).await), 1.0);
    // Interactive calls ignore batch calls.
    assert_about(waits(&two.asks(ask(Priority::Interactive)).await), 1.0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_settlement_gives_back_and_shows_in_the_demand() {
    let (_redis, one, two) = with_left(30).await;
    let answer = one.asks(ask(Priority::Interactive)).await;
    assert_eq!(answer.decision, AdmissionDecision::Charged);
    assert_about(two.left().await, 29.0);
    let taken = two.asks(ask(Priority::Batch)).await.others;
    assert_about(taken.interactive_demand.output_tokens, 10.0);
    let settled = one.0.settle(
        NAME,
        Priority::Interactive,
        Cost::default().minus(ONE),
        None,
        None,
    );
    settled.await.unwrap();
    let answer = two.asks(ask(Priority::Batch)).await;
    assert_about(answer.others.interactive_demand.output_tokens, 0.0);
    assert_about(two.left().await, 28.0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_refusal_of_the_api_holds_back_its_shape_in_all_replicas() {
    let (_redis, one, two) = with_left(30).await;
    let settled = one.0.settle(
        NAME,
        Priority::Batch,
        Cost::default(),
        None,
        Some((RequestShape::default(), Duration::from_secs(7))),
    );
    settled.await.unwrap();
    let answer = two.asks(ask(Priority::Interactive)).await;
    assert_eq!(answer.decision, AdmissionDecision::Blocked);
    assert_about(answer.blocked.as_secs_f64(), 7.0);
    let long = AdmissionRequest {
        shape: RequestShape::of(&MessagesRequest::default(), 500_000),
        ..ask(Priority::Batch)
    };
    let answer = two.asks(long).await;
    assert_eq!(answer.decision, AdmissionDecision::Charged);
    assert!(answer.blocked.is_zero());
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_api_is_believed_only_where_it_really_differs() {
    let (_redis, one, two) = with_left(50).await;
    for _ in 0..10 {
        one.asks(ask(Priority::Batch)).await;
    }
    // Any value between the count at the reservation and the count now.
    two.observes(reported(45), Some(50.0)).await;
    assert_about(two.left().await, 40.0);
    // Somebody else uses the key.
    two.observes(reported(30), Some(50.0)).await;
    assert_about(two.left().await, 30.0);
    two.observes(reported(55), Some(50.0)).await;
    assert_about(two.left().await, 35.0);
    // A call that was not counted here cannot know what is in flight.
    two.observes(reported(55), None).await;
    assert_about(two.left().await, 35.0);
    two.observes(reported(5), None).await;
    assert_about(two.left().await, 5.0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_refusal_tells_exactly_that_too_little_is_left() {
    let (_redis, one, two) = with_left(2).await;
    let charged = one.asks(ask(Priority::Batch)).await;
    assert_eq!(charged.decision, AdmissionDecision::Charged);
    // Within the rounding, and still too high.
    let refusal = RateLimits {
        refused: true,
        ..reported(0)
    };
    one.observes(refusal, Some(1.0)).await;
    assert_about(two.left().await, -1.0);
    // The reservation is returned.
    let back = Cost::default().minus(ONE);
    let settled = one.0.settle(NAME, Priority::Batch, back, None, None);
    settled.await.unwrap();
    assert_about(two.left().await, 0.0);
    // If there was room, the rejection says nothing about this bucket.
    two.observes(reported(40), Some(0.0)).await;
    let charged = two.asks(ask(Priority::Batch)).await;
    assert_eq!(charged.decision, AdmissionDecision::Charged);
    let refusal = RateLimits {
        refused: true,
        ..reported(40)
    };
    two.observes(refusal, Some(39.0)).await;
    assert_about(two.left().await, 39.0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_redis_that_has_forgotten_is_told_by_the_first_who_asks() {
    let redis = RedisServer::start().await;
    let (one, two) = (Replica::of(&redis), Replica::of(&redis));
    let answer = one.asks(AdmissionRequest {
        figures: [Some((20.0, 60.0)), None, None],
        ..ask(Priority::Batch)
    });
    assert_eq!(answer.await.decision, AdmissionDecision::Charged);
    // The second replica remembers other numbers, which are not adopted.
    let answer = two.asks(AdmissionRequest {
        figures: [Some((60.0, 60.0)), None, None],
        ..ask(Priority::Batch)
    });
    assert_about(answer.await.figures[0].unwrap().0, 18.0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn nothing_stays_forever_and_the_key_is_not_in_it() {
    let redis = RedisServer::start().await;
    let one = Replica::of(&redis);
    let address = StoreAddress::Redis(SecretString::from(redis.url()));
    let store = Store::open(
        &address,
        &RedisConfig::default(),
        StoreFailureMode::FailClosed,
    )
    .unwrap()
    .unwrap();
    let lives = async || {
        let seconds: Option<i64> = store.query(RedisCommand::new("TTL", NAME)).await;
        seconds.unwrap()
    };
    // Callers name the models, so many of them may not exist.
    one.asks(ask(Priority::Batch)).await;
    assert!((50..=60).contains(&lives().await));
    one.observes(reported(50), None).await;
    assert!((290..=300).contains(&lives().await));
    let shared = SharedQuota::new(&Arc::new(one.0), "f00", "claude", LimitKind::Standard, None);
    assert_eq!(&*shared.name, "claude-grpc:{f00:claude}:quota");
}

/// A quota in a Redis that is unreachable.
fn without_redis(on_failure: StoreFailureMode) -> Arc<Quota> {
    // Nothing listens on port 1.
    let address = StoreAddress::Redis(SecretString::from("redis://127.0.0.1:1"));
    let store = Store::open(&address, &RedisConfig::default(), on_failure)
        .unwrap()
        .unwrap();
    let quotas = Arc::new(SharedQuotas::new(store));
    let shared = SharedQuota::new(&quotas, "f00", "claude", LimitKind::Standard, None);
    Arc::new(Quota::new(Some(shared), None))
}

async fn admitted(quota: &Arc<Quota>) -> Result<QuotaReservation, UpstreamError> {
    let shape = RequestShape::default();
    let deadline = Deadline::after(Duration::from_secs(20));
    let shared = quota.shared().unwrap();
    let rank = Rank {
        priority: Priority::Batch,
        holder: &None,
        weight: 1,
    };
    let admitted = admit(quota, shared, ONE, rank, deadline, shape).await;
    admitted.map(|reservation| reservation.expect("no call was rejected"))
}

#[tokio::test]
async fn an_api_that_names_no_limits_is_not_asked_about() {
    let quota = without_redis(StoreFailureMode::FailClosed);
    let refused = admitted(&quota).await.unwrap_err();
    assert!(matches!(refused, UpstreamError::StoreUnreachable));
    let unlimited = RateLimits {
        accepted: true,
        ..RateLimits::default()
    };
    quota.observe(&unlimited, &Levels::default(), ONE);
    for _ in 0..100 {
        admitted(&quota).await.unwrap();
    }
}

#[tokio::test]
async fn without_redis_calls_go_by_what_is_known_here() {
    let quota = without_redis(StoreFailureMode::FailOpen);
    let reservation = admitted(&quota).await.unwrap();
    reservation.rate_limit_observer().observe(|| reported(1));
    // The API has counted the call, which has not ended.
    assert_eq!(quota.remaining().requests.unwrap().1, 60.0);
    let began = Instant::now();
    for _ in 0..2 {
        admitted(&quota).await.unwrap();
    }
    // One request was left; the other call had to wait for it.
    assert!(began.elapsed() > Duration::from_millis(800));
    drop(reservation);
}
