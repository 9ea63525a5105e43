//! What a call used is charged to its client, however its attempts ended, and
//! an account that may not spend more is reported as such.

use crate::{
    scripted::{Asked, Script, ScriptedWorld, answer, outcome},
    support::{ask, soon},
};
use claude_grpc::{
    access::{
        Access, AccessConfig, ClientLimits, Clients, ClientsFile, Clock, Identity,
        limits::{LimitsConfig, UsageStore},
    },
    call::{Deadline, Priority},
    claude::request::MessagesRequest,
    proto::v1,
    secrets::Reloadable,
    upstream::CallOptions,
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tonic_types::StatusExt;

const MODEL: &str = "claude-sonnet-5-5";
const INPUT: u64 = 100_000;

/// The beginning of a stream: 100,000 tokens of input, and 590 bytes of text.
fn begun() -> Vec<Value> {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": null, "usage": {"input_tokens": INPUT, "output_tokens": 1},
    });
    let text = "word ".repeat(118);
    assert_eq!(text.len(), 590);
    vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
    ]
}

/// What an attempt that ends there has used.
const BEGUN: u64 = INPUT + 1 + 590_u64.div_ceil(3);

fn then(events: &[Value]) -> Script {
    Script::events(&[begun(), events.to_vec()].concat())
}

fn failed() -> Script {
    then(&[json!({"type": "error", "error": {"type": "api_error", "message": "m"}})])
}

fn finished() -> Script {
    then(&[
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8000}}),
        json!({"type": "message_stop"}),
    ])
}

/// An answer that never ends.
fn stalled() -> Script {
    Script {
        hangs_up: false,
        ..then(&[])
    }
}

fn access() -> Access {
    let clients = Clients::new(ClientsFile::parse("").unwrap()).unwrap();
    let clock = || Clock::new(SystemTime::now);
    let day = Duration::from_secs(86_400);
    let store = UsageStore::with_store(&LimitsConfig::default(), None, day, clock()).unwrap();
    let signatures = AccessConfig::default().signatures;
    Access::new(
        Reloadable::fixed("clients", clients),
        &signatures,
        store,
        clock(),
    )
}

fn caller() -> Arc<Identity> {
    Arc::new(Identity {
        name: Arc::from("a"),
        tenant: Arc::from("a"),
        weight: 1,
        methods: Vec::new(),
        models: Vec::new(),
        hosts: Vec::new(),
        betas: Vec::new(),
        priority: Priority::Interactive,
        expires: None,
        limits: ClientLimits {
            tokens_per_day: Some(1_000_000_000),
            ..ClientLimits::default()
        },
    })
}

fn request(max_tokens: u32) -> MessagesRequest {
    let hello = json!([{"role": "user", "content": "hello"}]);
    let body = json!({"model": MODEL, "max_tokens": max_tokens, "messages": hello});
    serde_json::from_value(body).unwrap()
}

/// A stream that begins and ends without a usage.
fn uncounted(delta: &Value) -> Script {
    let mut message = begun()[0].clone();
    message["message"]["usage"] = Value::Null;
    let block = match delta["type"].as_str() {
        Some("input_json_delta") => {
            json!({"type": "tool_use", "id": "i", "name": "get", "input": {}})
        }
        Some("thinking_delta") => json!({"type": "thinking", "thinking": "", "signature": ""}),
        _ => json!({"type": "text", "text": ""}),
    };
    Script::events(&[
        message,
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": null}}),
        json!({"type": "message_stop"}),
    ])
}

/// A whole answer that is cut off in its text.
fn cut_whole() -> Script {
    let body = answer().to_string();
    let half = body.split("Hello").next().unwrap();
    let mut script = Script::http(200, &[("content-type", "application/json")], &body);
    let cut = script.bytes.len() - (body.len() - half.len());
    script.bytes.truncate(cut);
    script.hangs_up = true;
    script
}

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Whole,
    Gathered,
    Streamed,
}

/// Makes one call whose attempts are answered like this, in order; returns how
/// many attempts were made, and the tokens that were charged.
async fn charged(way: Way, scripts: Vec<Script>) -> (usize, u64) {
    let next = AtomicUsize::new(0);
    let access = access();
    let world = ScriptedWorld::with_access(
        &["sk-1"],
        |_| {},
        Some(&access),
        move |_| scripts[next.fetch_add(1, Ordering::Relaxed).min(scripts.len() - 1)].clone(),
    )
    .await;
    let request = request(match way {
        Way::Whole => 100,
        Way::Gathered | Way::Streamed => 64_000,
    });
    let options = CallOptions {
        caller: Some(caller()),
        ..CallOptions::new(Deadline::after(Duration::from_secs(2)))
    };
    match way {
        Way::Whole | Way::Gathered => {
            drop(soon(world.upstream.client.message(request, options)).await)
        }
        Way::Streamed => {
            if let Ok(answered) = soon(world.upstream.client.stream(request, options)).await {
                let mut events = answered.value;
                while let Some(Ok(_)) = events.next().await {}
            }
        }
    }
    let tokens = access.usage_store().spent("a").tokens_in_day;
    (world.asked().await.len(), tokens)
}

#[tokio::test]
async fn every_attempt_is_charged_however_it_ends() {
    let overloaded = || Script::error(529, "overloaded_error");
    let rows = [
        (Way::Gathered, vec![finished()], 1, INPUT + 8000),
        (Way::Gathered, vec![failed()], 2, 2 * BEGUN),
        (Way::Gathered, vec![then(&[])], 2, 2 * BEGUN),
        (
            Way::Gathered,
            vec![overloaded(), failed(), overloaded(), finished()],
            4,
            BEGUN + INPUT + 8000,
        ),
        (Way::Gathered, vec![overloaded()], 4, 0),
        // The deadline ends it.
        (Way::Gathered, vec![stalled()], 1, BEGUN),
        (Way::Streamed, vec![failed()], 1, BEGUN),
        (Way::Streamed, vec![then(&[])], 1, BEGUN),
        (
            Way::Streamed,
            vec![overloaded(), finished()],
            2,
            INPUT + 8000,
        ),
    ];
    for (row, (way, scripts, attempts, tokens)) in rows.into_iter().enumerate() {
        let seen = charged(way, scripts).await;
        assert_eq!(seen, (attempts, tokens), "row {row}, {way:?}");
    }
}

/// Nothing came of the first attempt, which the API may have processed.
#[tokio::test]
async fn an_attempt_that_is_lost_is_charged_its_estimate_when_another_one_succeeds() {
    let nothing = || Script {
        bytes: Vec::new(),
        ..finished()
    };
    let seen = charged(Way::Gathered, vec![nothing(), finished()]).await;
    assert_eq!(seen, (2, ESTIMATED_INPUT + INPUT + 8000));
}

#[tokio::test]
async fn a_whole_answer_that_cannot_be_read_is_counted() {
    let access = access();
    let world = ScriptedWorld::with_access(
        &["sk-1"],
        |_| {},
        Some(&access),
        |_| {
            let mut odd = answer();
            odd["content"] = json!("no list");
            odd["usage"] = json!({"input_tokens": INPUT, "output_tokens": 50});
            Script::json(200, &odd)
        },
    )
    .await;
    let request = request(100);
    let options = CallOptions {
        caller: Some(caller()),
        ..CallOptions::new(Deadline::after(Duration::from_secs(20)))
    };
    let failed = soon(world.upstream.client.message(request, options)).await;
    assert!(failed.is_err());
    assert_eq!(access.usage_store().spent("a").tokens_in_day, INPUT + 50);
}

/// The estimate of the input of these calls: "hello".
const ESTIMATED_INPUT: u64 = 2;

#[tokio::test]
async fn what_the_api_does_not_count_is_estimated() {
    let text = |text: &str| json!({"type": "text_delta", "text": text});
    let json = json!({"type": "input_json_delta", "partial_json": "{\"city\":\"Zug\"}"});
    let thinking = json!({"type": "thinking_delta", "thinking": "so it is then"});
    let rows = [
        (uncounted(&text("Hello, Claude")), 5),
        (uncounted(&text("Привет")), 6),
        (uncounted(&text("你好世界")), 6),
        // The name of the tool, too.
        (uncounted(&json), 6),
        (uncounted(&thinking), 5),
    ];
    for way in [Way::Gathered, Way::Streamed] {
        for (script, output) in &rows {
            let what = String::from_utf8_lossy(&script.bytes);
            let seen = charged(way, vec![script.clone()]).await;
            assert_eq!(seen, (1, ESTIMATED_INPUT + output), "{way:?} {what}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_charged_also_without_a_usage_or_an_end() {
    let mut without = answer();
    without["usage"] = Value::Null;
    let body = without.to_string().len() as u64;
    let expected = ESTIMATED_INPUT + body.div_ceil(3);
    let whole = charged(Way::Whole, vec![Script::json(200, &without)]).await;
    assert_eq!(whole, (1, expected));
    // It is repeated once.
    let cut = charged(Way::Whole, vec![cut_whole()]).await;
    let came = answer().to_string().split("Hello").next().unwrap().len() as u64;
    assert_eq!(cut, (2, 2 * (ESTIMATED_INPUT + came.div_ceil(3))));
    // An error with the status of a success costs nothing.
    let error =
        json!({"type": "error", "error": {"type": "invalid_request_error", "message": "m"}});
    let failed = charged(Way::Whole, vec![Script::json(200, &error)]).await;
    assert_eq!(failed, (1, 0));
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_charged_for_what_came() {
    let access = access();
    let world = ScriptedWorld::with_access(&["sk-1"], |_| {}, Some(&access), |_| stalled()).await;
    for _ in 0..2 {
        let options = CallOptions {
            caller: Some(caller()),
            ..CallOptions::new(Deadline::after(Duration::from_secs(60)))
        };
        let streamed = world.upstream.client.stream(request(64_000), options);
        let mut events = soon(streamed).await.unwrap().value;
        for _ in 0..begun().len() {
            soon(events.next()).await.unwrap().unwrap();
        }
        drop(events);
    }
    let tokens = access.usage_store().spent("a").tokens_in_day;
    assert_eq!(tokens, 2 * BEGUN);
}

/// An error of the API with this message or code.
fn limit(status: u16, kind: &str, message: &str, code: Option<&str>) -> Script {
    let mut error = json!({"type": kind, "message": message});
    if let Some(code) = code {
        error["details"] = json!({"error_code": code});
    }
    Script::json(status, &json!({"type": "error", "error": error}))
}

const ACCOUNT: &str = "org 12345 of Example Ltd";

/// Every form in which the API says that the account may not spend more.
fn spend_limits() -> Vec<(Script, &'static str)> {
    let of_code = |status, kind, code| limit(status, kind, ACCOUNT, Some(code));
    let invalid = |text: &str| {
        limit(
            400,
            "invalid_request_error",
            &format!("{text}. {ACCOUNT}"),
            None,
        )
    };
    let (limited, billing) = ("rate_limit_error", "billing_error");
    let spend_limits = [
        of_code(429, limited, "enforced_spend_limit_reached"),
        of_code(429, limited, "contract_spend_limit_reached"),
        of_code(402, billing, "linked_organization_spend_limit_reached"),
        of_code(
            400,
            "invalid_request_error",
            "workspace_spend_limit_reached",
        ),
        invalid("You have reached your specified API usage limits"),
        invalid("You have reached your specified workspace API usage limits"),
        invalid("You've hit your monthly spend limit"),
        invalid("You're out of extra usage"),
    ];
    let unbillable = [
        invalid("Your credit balance is too low to access the API"),
        of_code(400, "invalid_request_error", "credit_balance_too_low"),
        of_code(402, billing, "linked_organization_billing_unavailable"),
        limit(402, billing, ACCOUNT, None),
        limit(400, billing, ACCOUNT, None),
    ];
    let disabled = [
        of_code(400, "invalid_request_error", "organization_on_hold"),
        invalid("This organization has been disabled"),
    ];
    let spend_limits = spend_limits.map(|it| (it, "UPSTREAM_SPEND_LIMIT"));
    let unbillable = unbillable.map(|it| (it, "UPSTREAM_BILLING"));
    let disabled = disabled.map(|it| (it, "UPSTREAM_AUTH"));
    spend_limits
        .into_iter()
        .chain(unbillable)
        .chain(disabled)
        .collect()
}

#[tokio::test]
async fn a_spend_limit_is_told_as_what_it_is_and_not_retried() {
    for (script, expected) in spend_limits() {
        let what = String::from_utf8_lossy(&script.bytes).into_owned();
        let world = ScriptedWorld::start(move |_| script.clone()).await;
        let failed = soon(world.grpc.clone().generate(ask("hello"))).await;
        let status = failed.unwrap_err();
        assert_eq!(crate::support::reason(&status), expected, "{what}");
        assert_eq!(world.asked().await.len(), 1, "{what}");
        let all = format!("{status:?}{:?}", status.get_error_details());
        assert!(!all.contains("Example"), "the account shows in {all}");
        assert!(status.get_details_retry_info().is_none(), "{what}");
        assert_ne!(status.code(), tonic::Code::InvalidArgument, "{what}");
    }
}

#[tokio::test]
async fn another_key_is_tried_when_one_may_not_spend_more() {
    for (script, _) in spend_limits() {
        let what = String::from_utf8_lossy(&script.bytes).into_owned();
        let reply = move |asked: &Asked| match asked.key.as_str() {
            "sk-1" => script.clone(),
            _ => Script::answer(asked),
        };
        let world = ScriptedWorld::with(&["sk-1", "sk-2"], |_| {}, reply).await;
        for conversation in 0..16 {
            let request = ask(&format!("conversation {conversation}"));
            assert_eq!(outcome(&world, request).await, "ok", "{what}");
        }
        let spent = world.asked().await;
        let spent = spent.iter().filter(|asked| asked.key == "sk-1").count();
        assert_eq!(spent, 1, "{what}");
    }
}

#[tokio::test]
async fn a_caller_cannot_forge_a_spend_limit() {
    let forged = "tools.0.name: 'You have reached your specified API usage limits' is not valid";
    let world = ScriptedWorld::start(move |asked| match asked.text() {
        "forge" => limit(400, "invalid_request_error", forged, None),
        _ => Script::answer(asked),
    })
    .await;
    let rejected = outcome(&world, ask("forge")).await;
    assert_eq!(rejected, "UPSTREAM_INVALID_REQUEST");
    let fine: v1::GenerateRequest = ask("hello");
    assert_eq!(outcome(&world, fine).await, "ok");
}
