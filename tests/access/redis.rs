//! Limits and nonces that all replicas share, in a real Redis.

use crate::harness::{GENERATE, Running, START, Setup, limit_of, limited, prompt};
pub use crate::redis_server::RedisServer as Redis;
use claude_grpc::access::{
    RejectReason,
    limits::{StoreAddress, StoreFailureMode},
    signature::{Signer, SigningLayer},
};
use claude_grpc::proto::v1::claude_service_client::ClaudeServiceClient;
use secrecy::SecretString;
use std::time::Duration;
use tonic::{Code, Status};

/// Where a Redis keeps figures.
pub fn store(redis: &Redis) -> StoreAddress {
    StoreAddress::Redis(SecretString::from(redis.url()))
}

/// Two replicas with the same client.
async fn replicas(
    redis: &Redis,
    limits: &str,
    on_failure: StoreFailureMode,
) -> ([Running; 2], String) {
    let (first, key) = limited(limits);
    let second = Setup::of(first.clients.clients.clone());
    let start = async |mut setup: Setup| {
        setup.limits.store = store(redis);
        setup.limits.store_failure_mode = on_failure;
        setup.start().await
    };
    ([start(first).await, start(second).await], key)
}

async fn generate(server: &Running, key: &str) -> Result<(), Status> {
    server
        .client(key)
        .await
        .generate(prompt())
        .await
        .map(|_| ())
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn replicas_share_the_limits_and_each_decision_is_one_round_trip() {
    let redis = Redis::start().await;
    let ([one, two], key) = replicas(
        &redis,
        "requests_per_minute = 3",
        StoreFailureMode::FailClosed,
    )
    .await;
    generate(&one, &key).await.unwrap();
    generate(&two, &key).await.unwrap();
    // Connecting and loading the scripts are over.
    redis.ask(&["config", "resetstat"]);
    generate(&one, &key).await.unwrap();
    for server in [&one, &two] {
        let refused = generate(server, &key).await.unwrap_err();
        let (limit, after) = limit_of(&refused);
        assert_eq!(limit, "requests_per_minute");
        assert!((15..=20).contains(&after.as_secs()), "{after:?}");
    }
    let stats = redis.ask(&["info", "commandstats"]);
    assert!(stats.contains("cmdstat_evalsha:calls=3,"), "{stats}");
    assert!(!stats.contains("cmdstat_eval:"), "{stats}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn replicas_share_budgets_and_places_and_settle_them() {
    let redis = Redis::start().await;
    let limits = "calls_in_flight = 1\ntokens_per_day = 10_000\noutput_tokens_per_minute = 10_000";
    let ([one, two], key) = replicas(&redis, limits, StoreFailureMode::FailClosed).await;
    one.api.stall(true);
    let mut client = one.client(&key).await;
    let mut request = prompt();
    request.max_tokens = Some(9000);
    let streamed = claude_grpc::proto::v1::GenerateStreamRequest {
        request: Some(request.clone()),
    };
    let mut held = client.generate_stream(streamed).await.unwrap().into_inner();
    held.message().await.unwrap();
    let refused = generate(&two, &key).await.unwrap_err();
    assert_eq!(limit_of(&refused).0, "calls_in_flight");
    drop(held);
    // The place is given back, and the 9,000 tokens become the few that were
    // used, so that 9,000 more fit.
    let free = async {
        while two
            .client(&key)
            .await
            .generate(request.clone())
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free)
        .await
        .unwrap();
    assert_eq!(two.api.calls(), 1);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_redis_each_counts_for_itself_until_it_is_back() {
    let mut redis = Redis::start().await;
    let ([one, two], key) = replicas(
        &redis,
        "requests_per_minute = 2",
        StoreFailureMode::FailOpen,
    )
    .await;
    generate(&one, &key).await.unwrap();
    generate(&two, &key).await.unwrap();
    generate(&one, &key).await.unwrap_err();
    redis.stop();
    for server in [&one, &two] {
        generate(server, &key).await.unwrap();
        generate(server, &key).await.unwrap();
        assert_eq!(
            limit_of(&generate(server, &key).await.unwrap_err()).0,
            "requests_per_minute"
        );
        assert!(server.access.usage_store().health().is_down());
    }
    redis.run().await;
    // A new Redis has forgotten: the shared limit is whole again.
    let back = async {
        while one.access.usage_store().health().is_down() {
            let _ = generate(&one, &key).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back)
        .await
        .unwrap();
    assert!(one.access.usage_store().health().failures() > 0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_redis_who_has_limits_is_refused_if_so_configured() {
    let mut redis = Redis::start().await;
    let ([one, _two], key) = replicas(
        &redis,
        "requests_per_minute = 2",
        StoreFailureMode::FailClosed,
    )
    .await;
    redis.stop();
    let refused = generate(&one, &key).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(one.api.calls(), 0);
    redis.run().await;
    let back = async { while generate(&one, &key).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), back)
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_replay_at_another_replica_is_refused() {
    const SECRET: &str = "cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let redis = Redis::start().await;
    let toml =
        format!("[[clients]]\nname = 'a'\nsigning_keys = [{{ id = 'k', secret = '{SECRET}' }}]");
    let start = async || {
        let mut setup = Setup::new(&toml);
        setup.limits.store = store(&redis);
        setup.start().await
    };
    let (one, two) = (start().await, start().await);
    // The same clock and the same nonce: the second call is a replay.
    let call = async |server: &Running| {
        let signer = Signer::new("k", SecretString::from(SECRET));
        let message = prost::Message::encode_to_vec(&prompt());
        let header = signer.sign_with(GENERATE, &message, START, "0123456789abcdef");
        let mut request = tonic::Request::new(prompt());
        request
            .metadata_mut()
            .insert("x-signature", header.parse().unwrap());
        let mut client = ClaudeServiceClient::new(server.channel().await);
        client.generate(request).await.map(|_| ())
    };
    call(&one).await.unwrap();
    assert_eq!(call(&two).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(two.refusals(RejectReason::Replayed), 1);
    // The signing layer takes a new one each time.
    let signer = Signer::new("k", SecretString::from(SECRET)).with_clock(two.hands.clock());
    let signing = tower::ServiceBuilder::new()
        .layer(SigningLayer::new(signer))
        .service(two.channel().await);
    ClaudeServiceClient::new(signing)
        .generate(prompt())
        .await
        .unwrap();
}
