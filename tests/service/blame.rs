//! Odd answers of the API, and who is affected: only the call that got
//! one, or its model, but no other caller.

use crate::{
    scripted::{Asked, Script, ScriptedWorld, answer, outcome},
    support::{World, ask, soon},
};
use claude_grpc::{
    proto::v1,
    simulator::Behaviour,
    upstream::{CircuitState, LONGEST_RETRY_AFTER},
};
use serde_json::json;
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt;

const ODD: &str = "claude-opus-5-5";
const OTHER: &str = "claude-haiku-5-5";

fn asking(model: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        model: model.to_owned(),
        ..ask("hello")
    }
}

/// A page that an edge shows to people.
fn page(status: u16) -> Script {
    let html = "<!DOCTYPE html><title>Attention Required!</title>";
    Script::http(status, &[("content-type", "text/html")], html)
}

/// Answers to the one model, each of which says nothing about another.
fn odd_answers() -> Vec<Script> {
    let mut odd: Vec<Script> = [401, 402, 403, 404, 407, 418, 500, 503].map(page).into();
    odd.extend([
        Script::error(529, "overloaded_error"),
        Script::error(500, "api_error"),
        Script::error(403, "permission_error"),
        Script::http(200, &[], ""),
        Script::http(200, &[], "{}"),
        Script::http(200, &[], "[1, 2"),
        Script::json(200, &json!({"type": "message", "content": "no list"})),
        Script::http(200, &[("content-type", "text/html")], "<html>"),
        Script {
            bytes: Vec::new(),
            hangs_up: true,
            ..page(200)
        },
        Script {
            bytes: b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\"".to_vec(),
            hangs_up: true,
            ..page(200)
        },
        Script {
            bytes: b"no HTTP at all\r\n\r\n".to_vec(),
            hangs_up: true,
            ..page(200)
        },
    ]);
    odd
}

#[tokio::test]
async fn five_odd_answers_to_one_model_cost_no_call_of_another() {
    for keys in [&["sk-1"][..], &["sk-1", "sk-2"]] {
        for odd in odd_answers() {
            let what = String::from_utf8_lossy(&odd.bytes).into_owned();
            let world = ScriptedWorld::with(
                keys,
                |config| config.retry.max_retries = 0,
                move |asked: &Asked| match asked.model() {
                    ODD => odd.clone(),
                    _ => Script::json(200, &answer()),
                },
            )
            .await;
            for _ in 0..6 {
                assert_ne!(outcome(&world, asking(ODD)).await, "ok", "{what}");
            }
            for model in [OTHER, "a-model-of-nobody", OTHER] {
                assert_eq!(outcome(&world, asking(model)).await, "ok", "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_prompt_that_an_edge_blocks_costs_no_other_prompt() {
    for status in [401, 402, 403] {
        let world = ScriptedWorld::with(
            &["sk-1", "sk-2"],
            |_| {},
            move |asked: &Asked| match asked.text() {
                "the forbidden word" => page(status),
                _ => Script::answer(asked),
            },
        )
        .await;
        for max_tokens in [Some(100), Some(8000)] {
            for _ in 0..3 {
                let forbidden = v1::GenerateRequest {
                    max_tokens,
                    ..ask("the forbidden word")
                };
                let blocked = outcome(&world, forbidden).await;
                assert_eq!(blocked, "UPSTREAM_UNEXPECTED", "{status}");
                assert_eq!(outcome(&world, ask("hello")).await, "ok", "{status}");
            }
        }
        let keys = world.upstream.hosts[0].keys.refused();
        assert!(keys.iter().all(|(_, refusal)| refusal.is_none()));
    }
}

#[tokio::test]
async fn a_feature_that_the_key_may_not_use_costs_no_other_call_of_the_model() {
    let world = ScriptedWorld::start(|asked| match asked.text() {
        "with the feature" => Script::error(403, "permission_error"),
        _ => Script::answer(asked),
    })
    .await;
    for _ in 0..3 {
        let refused = outcome(&world, ask("with the feature")).await;
        assert_eq!(refused, "UPSTREAM_AUTH");
        assert_eq!(outcome(&world, ask("hello")).await, "ok");
    }
}

#[tokio::test]
async fn a_key_without_a_permission_is_avoided_while_another_has_it() {
    let world = ScriptedWorld::with(
        &["sk-1", "sk-2"],
        |_| {},
        |asked: &Asked| match asked.key.as_str() {
            "sk-1" => Script::error(403, "permission_error"),
            _ => Script::answer(asked),
        },
    )
    .await;
    for conversation in 0..16 {
        let request = ask(&format!("conversation {conversation}"));
        assert_eq!(outcome(&world, request).await, "ok");
    }
    let asked = world.asked().await;
    let refused = asked.iter().filter(|asked| asked.key == "sk-1").count();
    assert_eq!((asked.len(), refused), (17, 1));
}

#[tokio::test]
async fn one_model_that_fails_opens_the_breaker_for_itself() {
    let world = ScriptedWorld::with(
        &["sk-1"],
        |config| config.retry.max_retries = 0,
        |asked: &Asked| match asked.model() {
            ODD => Script::error(529, "overloaded_error"),
            _ => Script::answer(asked),
        },
    )
    .await;
    let mut reasons = Vec::new();
    for round in 0..20 {
        let model = if round % 3 == 2 { OTHER } else { ODD };
        reasons.push((model, outcome(&world, asking(model)).await));
    }
    for (model, reason) in &reasons {
        assert_eq!(*model == OTHER, reason == "ok", "{reasons:?}");
    }
    assert_eq!(reasons.last().unwrap().1, "CIRCUIT_OPEN");
    assert_eq!(world.upstream.hosts[0].breaker.state(), CircuitState::Open);
}

#[tokio::test]
async fn limits_of_zero_say_nothing() {
    let zero = "0";
    let world = ScriptedWorld::start(move |_| {
        let limits = [
            ("anthropic-ratelimit-requests-limit", zero),
            ("anthropic-ratelimit-requests-remaining", zero),
            ("anthropic-ratelimit-input-tokens-limit", zero),
            ("anthropic-ratelimit-input-tokens-remaining", zero),
            ("anthropic-ratelimit-output-tokens-limit", zero),
            ("anthropic-ratelimit-output-tokens-remaining", zero),
        ];
        Script::http(200, &limits, &answer().to_string())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(outcome(&world, ask("hello")).await, "ok");
    }
}

#[tokio::test]
async fn a_retry_after_that_names_no_time_is_no_order_to_hurry() {
    for given in ["0", "-1", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let world = ScriptedWorld::with(
            &["sk-1"],
            |config| config.retry.max_retries = 1,
            move |_| {
                let headers = [("retry-after", given)];
                let body =
                    json!({"type": "error", "error": {"type": "rate_limit_error", "message": "m"}});
                Script::http(429, &headers, &body.to_string())
            },
        )
        .await;
        let status = soon(world.grpc.clone().generate(ask("hello")))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let delay = status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_millis(500)), "{given}");
        assert_eq!(world.asked().await.len(), 2);
    }
}

#[tokio::test]
async fn no_caller_is_asked_to_wait_for_years() {
    for given in ["86400", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let world =
            ScriptedWorld::start(move |_| Script::http(429, &[("retry-after", given)], "")).await;
        let status = soon(world.grpc.clone().generate(ask("hello")))
            .await
            .unwrap_err();
        let delay = status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(LONGEST_RETRY_AFTER), "{given}");
        assert_eq!(world.asked().await.len(), 1, "{given}");
    }
}

#[tokio::test]
async fn a_model_is_not_throttled_before_its_first_answer() {
    const CALLS: u64 = 60;
    let world = World::start().await;
    world.simulator.always(Some(Behaviour::Hang));
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let mut grpc = world.grpc.clone();
            tokio::spawn(async move { grpc.generate(ask("hello")).await })
        })
        .collect();
    soon(world.simulator.until(|counts| counts.in_flight == CALLS)).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}
