//! One caller cannot stop the others by what it asks: whatever the API answers
//! to its requests, theirs are sent and answered.

use crate::{
    scripted::{Asked, Script, ScriptedWorld, answer, outcome},
    support::{ask, within},
};
use claude_grpc::{
    proto::v1::{
        self, AdaptiveThinking, Effort, ServiceTier, content_block::Block,
        image_block::Source as ImageSource, thinking::Mode,
    },
    upstream::{CircuitState, Quota},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The default of `Generate`.
const MODEL: &str = "claude-sonnet-5-5";

/// The limits of one bucket, in the headers of an answer.
#[derive(Debug, Clone, Copy)]
struct Reported {
    bucket: &'static str,
    limit: &'static str,
    remaining: &'static str,
}

/// An answer with these headers.
fn reporting(status: u16, headers: &[(&str, &str)], reported: &[Reported], body: &str) -> Script {
    let mut all: Vec<(String, &str)> = Vec::new();
    for Reported {
        bucket,
        limit,
        remaining,
    } in reported
    {
        all.push((format!("anthropic-ratelimit-{bucket}-limit"), limit));
        all.push((format!("anthropic-ratelimit-{bucket}-remaining"), remaining));
    }
    let mut headers = headers.to_vec();
    headers.extend(all.iter().map(|(name, value)| (&**name, *value)));
    Script::http(status, &headers, body)
}

/// A 429 that asks for half a minute.
fn rejected(message: &str, reported: &[Reported]) -> Script {
    let error = json!({"type": "rate_limit_error", "message": message});
    let body = json!({"type": "error", "error": error}).to_string();
    reporting(429, &[("retry-after", "30")], reported, &body)
}

/// What a 429 of a long-context request may say.
fn rejections() -> Vec<Script> {
    let bucket = |bucket, limit, remaining| Reported {
        bucket,
        limit,
        remaining,
    };
    vec![
        rejected("This request would exceed your rate limit", &[]),
        rejected("Extra usage is required for long context requests.", &[]),
        // The limits of the others, which have room.
        rejected("m", &[bucket("input-tokens", "80000", "79000")]),
        // Its own limits, which have none.
        rejected("m", &[bucket("input-tokens", "1000000", "0")]),
        rejected(
            "m",
            &[
                bucket("requests", "5", "0"),
                bucket("output-tokens", "200", "0"),
            ],
        ),
    ]
}

fn is_long(asked: &Asked) -> bool {
    asked.text().len() > 100_000
}

/// A prompt of about this many tokens.
fn long(tokens: usize) -> v1::GenerateRequest {
    ask(&"word".repeat(tokens))
}

/// A call that must not wait for half a minute.
fn short() -> tonic::Request<v1::GenerateRequest> {
    within(Duration::from_secs(10), ask("hello"))
}

#[tokio::test]
async fn a_long_request_that_is_rejected_holds_back_no_other() {
    let common = [
        Reported {
            bucket: "requests",
            limit: "1000",
            remaining: "999",
        },
        Reported {
            bucket: "input-tokens",
            limit: "80000",
            remaining: "79000",
        },
        Reported {
            bucket: "output-tokens",
            limit: "16000",
            remaining: "15000",
        },
    ];
    for keys in [&["sk-1"][..], &["sk-1", "sk-2"]] {
        for script in rejections() {
            let what = String::from_utf8_lossy(&script.bytes).into_owned();
            let world = ScriptedWorld::with(
                keys,
                |config| config.retry.max_retries = 0,
                move |asked: &Asked| match is_long(asked) {
                    true => script.clone(),
                    false => reporting(200, &[], &common, &answer().to_string()),
                },
            )
            .await;
            assert_eq!(outcome(&world, short()).await, "ok");
            // Also one that is estimated as shorter than the limit.
            for tokens in [250_000, 250_000, 150_000] {
                let rejected = within(Duration::from_secs(10), long(tokens));
                assert_ne!(outcome(&world, rejected).await, "ok", "{what}");
                assert_eq!(outcome(&world, short()).await, "ok", "{what}");
            }
        }
    }
}

#[tokio::test]
async fn those_of_its_shape_wait_as_the_api_asks() {
    let world = ScriptedWorld::with(
        &["sk-1"],
        |config| config.retry.max_retries = 0,
        |asked: &Asked| match is_long(asked) {
            true => rejected("m", &[]),
            false => Script::answer(asked),
        },
    )
    .await;
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(outcome(&world, within(Duration::from_secs(10), long(250_000))).await);
    }
    let waits = "UPSTREAM_QUOTA_EXHAUSTED";
    assert_eq!(outcomes, ["UPSTREAM_RATE_LIMITED", waits, waits]);
    assert_eq!(world.asked().await.len(), 1);
}

/// A request that uses a feature with a limit of its own.
fn with_feature(change: impl FnOnce(&mut v1::GenerateRequest)) -> v1::GenerateRequest {
    let mut request = ask("with the feature");
    change(&mut request);
    request
}

fn features() -> Vec<v1::GenerateRequest> {
    let image = v1::ContentBlock {
        block: Some(Block::Image(v1::ImageBlock {
            source: Some(ImageSource::Url("https://example.com/a.png".to_owned())),
            ..v1::ImageBlock::default()
        })),
        ..v1::ContentBlock::default()
    };
    vec![
        with_feature(|it| it.max_tokens = Some(60_000)),
        with_feature(|it| it.effort = Effort::Max.into()),
        with_feature(|it| it.service_tier = ServiceTier::StandardOnly.into()),
        with_feature(|it| {
            it.thinking = Some(v1::Thinking {
                mode: Some(Mode::Adaptive(AdaptiveThinking::default())),
            });
        }),
        with_feature(|it| it.output_schema_json = r#"{"type":"object"}"#.to_owned()),
        with_feature(|it| {
            it.tools = vec![v1::Tool {
                name: "t".to_owned(),
                input_schema_json: r#"{"type":"object"}"#.to_owned(),
                ..v1::Tool::default()
            }];
        }),
        with_feature(|it| it.messages[0].content.push(image)),
    ]
}

#[tokio::test]
async fn a_feature_that_is_limited_holds_back_no_request_without_it() {
    for feature in features() {
        let world = ScriptedWorld::with(
            &["sk-1", "sk-2"],
            |config| config.retry.max_retries = 0,
            |asked: &Asked| match asked.body.to_string().contains("with the feature") {
                true => rejected("m", &[]),
                false => Script::answer(asked),
            },
        )
        .await;
        for _ in 0..3 {
            let limited = within(Duration::from_secs(10), feature.clone());
            assert_ne!(outcome(&world, limited).await, "ok", "{feature:?}");
            assert_eq!(outcome(&world, short()).await, "ok", "{feature:?}");
        }
    }
}

fn of_model(model: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        model: model.to_owned(),
        ..ask("hello")
    }
}

/// What the API may say about a model that does not exist, or a request that it
/// does not accept.
fn refusals() -> Vec<Script> {
    vec![
        Script::error(404, "not_found_error"),
        Script::error(400, "invalid_request_error"),
        Script::error(413, "request_too_large"),
        Script::error(422, "invalid_request_error"),
        Script::error(403, "permission_error"),
        Script::error(409, "conflict_error"),
        Script::error(529, "overloaded_error"),
        Script::error(500, "api_error"),
        Script::error(418, "new_error"),
        rejected("m", &[]),
    ]
}

#[tokio::test]
async fn names_of_models_without_number_cost_the_known_ones_nothing() {
    const NAMES: usize = 260;
    for refusal in [
        Script::error(404, "not_found_error"),
        Script::error(403, "permission_error"),
        Script::error(529, "overloaded_error"),
        rejected("m", &[]),
    ] {
        let what = String::from_utf8_lossy(&refusal.bytes).into_owned();
        let known = [Reported {
            bucket: "requests",
            limit: "1000",
            remaining: "900",
        }];
        let world = ScriptedWorld::with(
            &["sk-1", "sk-2"],
            |config| config.retry.max_retries = 0,
            move |asked: &Asked| match asked.model() {
                MODEL => reporting(200, &[], &known, &answer().to_string()),
                _ => refusal.clone(),
            },
        )
        .await;
        assert_eq!(outcome(&world, short()).await, "ok");
        let circuits = world.upstream.hosts[0].breaker.states().len();
        for index in 0..NAMES {
            let invented = outcome(&world, of_model(&format!("invented-{index}"))).await;
            assert_ne!(invented, "ok");
        }
        let states = world.upstream.hosts[0].breaker.states();
        assert_eq!(states.len(), circuits, "{what}");
        let open = states
            .iter()
            .filter(|(_, state)| *state != CircuitState::Closed);
        assert!(open.count() <= 1, "{states:?}");
        let keys = world.upstream.hosts[0].keys.refused();
        assert!(keys.iter().all(|(_, refusal)| refusal.is_none()), "{what}");
        // What is known of the limits of the model is not forgotten.
        let quotas = world.upstream.hosts[0].rate_limiter.quotas();
        assert!(quotas.len() <= 257, "{}", quotas.len());
        let of_known = |(_, model, quota): &(Arc<str>, Arc<str>, Arc<Quota>)| {
            **model == *MODEL && quota.remaining().requests.is_some()
        };
        assert!(quotas.iter().any(of_known), "{what}");
        for model in [MODEL, MODEL] {
            assert_eq!(outcome(&world, of_model(model)).await, "ok", "{what}");
        }
    }
}

#[tokio::test]
async fn a_model_that_is_refused_again_and_again_stops_no_other_unknown_one() {
    for refusal in refusals() {
        let what = String::from_utf8_lossy(&refusal.bytes).into_owned();
        let world = ScriptedWorld::with(
            &["sk-1"],
            |config| config.retry.max_retries = 0,
            move |asked: &Asked| match asked.model() {
                "invented" => refusal.clone(),
                _ => Script::answer(asked),
            },
        )
        .await;
        for _ in 0..12 {
            let invented = within(Duration::from_secs(10), of_model("invented"));
            assert_ne!(outcome(&world, invented).await, "ok");
        }
        for model in ["rare", MODEL] {
            assert_eq!(outcome(&world, of_model(model)).await, "ok", "{what}");
        }
    }
}

#[tokio::test]
async fn a_shape_of_request_that_always_fails_stops_no_other_of_the_model() {
    for failure in [529, 500, 504] {
        let world = ScriptedWorld::with(
            &["sk-1"],
            |config| config.retry.max_retries = 0,
            move |asked: &Asked| match is_long(asked) {
                true => Script::error(failure, "overloaded_error"),
                false => Script::answer(asked),
            },
        )
        .await;
        for _ in 0..8 {
            assert_ne!(outcome(&world, long(250_000)).await, "ok");
        }
        assert_eq!(outcome(&world, long(250_000)).await, "CIRCUIT_OPEN");
        for _ in 0..8 {
            assert_eq!(outcome(&world, short()).await, "ok", "{failure}");
        }
    }
}

#[tokio::test]
async fn a_limit_of_all_is_learned_by_one_rejection_of_each_shape() {
    let world = ScriptedWorld::with(
        &["sk-1"],
        |config| config.retry.max_retries = 0,
        |_: &Asked| rejected("m", &[]),
    )
    .await;
    for _ in 0..5 {
        assert_ne!(outcome(&world, short()).await, "ok");
        let longer = within(Duration::from_secs(10), long(30_000));
        assert_ne!(outcome(&world, longer).await, "ok");
    }
    assert_eq!(world.asked().await.len(), 2);
}
