//! A host that reports no rate limits is paced by those of its configuration.

use crate::{
    host_world::HostWorld,
    support::{ask, soon},
};
use claude_grpc::{
    proto::v1,
    upstream::{HostKind, ModelRateLimits},
};
use futures::future::join_all;
use std::time::{Duration, Instant};

/// Requests per minute that the host has room for.
const LIMIT: u64 = 60;

/// Calls at once: those that the host has room for, and as many as fit in two seconds.
const CALLS: u64 = LIMIT + 2;

/// Makes all calls at once; returns after how long they were answered.
async fn call(world: &HostWorld, calls: u64) -> Duration {
    let began = Instant::now();
    let calls = (0..calls).map(|_| {
        let mut grpc = world.grpc.clone();
        async move { soon(grpc.generate(ask("Hello"))).await.unwrap() }
    });
    join_all(calls).await;
    began.elapsed()
}

#[tokio::test]
async fn calls_wait_ahead_of_the_429() {
    for kind in [HostKind::Vertex, HostKind::BedrockMantle, HostKind::Foundry] {
        let world = HostWorld::limited(kind, LIMIT, |setup| {
            setup.upstream.hosts[0].rate_limits.requests_per_minute = Some(LIMIT);
        })
        .await;
        let took = call(&world, CALLS).await;
        // Each request was answered: there was no 429.
        assert_eq!(world.requests(), [CALLS], "{kind:?}");
        assert!(took >= Duration::from_millis(1900), "{kind:?}: {took:?}");
    }
}

/// What the test above would see without its configuration.
#[tokio::test]
async fn without_them_the_host_answers_429() {
    let world = HostWorld::limited(HostKind::Vertex, LIMIT, |_| {}).await;
    let calls = (0..CALLS).map(|_| {
        let mut grpc = world.grpc.clone();
        async move { soon(grpc.generate(ask("Hello"))).await.is_ok() }
    });
    join_all(calls).await;
    assert!(world.requests()[0] > CALLS, "{:?}", world.requests());
}

#[tokio::test]
async fn what_a_host_reports_takes_precedence() {
    let world = HostWorld::with(&[HostKind::Claude], |setup| {
        setup.upstream.hosts[0].rate_limits.requests_per_minute = Some(2);
    })
    .await;
    call(&world, 1).await;
    let took = call(&world, 30).await;
    assert_eq!(world.requests(), [31]);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_model_may_have_limits_of_its_own() {
    let mut world = HostWorld::with(&[HostKind::Vertex], |setup| {
        let limits = &mut setup.upstream.hosts[0].rate_limits;
        limits.requests_per_minute = Some(1000);
        let own = ModelRateLimits {
            requests_per_minute: Some(2),
            ..ModelRateLimits::default()
        };
        limits.models.insert("claude-haiku-4-5".to_owned(), own);
    })
    .await;
    for model in ["claude-haiku-4-5", "claude-sonnet-4-5"] {
        let request = v1::GenerateRequest {
            model: model.to_owned(),
            ..ask("Hello")
        };
        soon(world.grpc.generate(request)).await.unwrap();
    }
    let mut limits: Vec<_> = world.upstream.hosts[0]
        .rate_limiter
        .quotas()
        .into_iter()
        .map(|(_, model, quota)| {
            let (_, limit) = quota.remaining().requests.unwrap();
            (model.to_string(), limit)
        })
        .collect();
    limits.sort_by(|one, other| one.0.cmp(&other.0));
    // Less what a second refills, which is kept in reserve.
    let limits: Vec<_> = limits.into_iter().map(|(_, limit)| limit.ceil()).collect();
    assert_eq!(limits, [2.0, 984.0]);
}
