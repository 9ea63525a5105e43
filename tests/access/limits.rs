//! The limits of a client, kept in the process.

use crate::harness::{Running, START, limit_of, limited, prompt, usage};
use claude_grpc::{access::RejectReason, claude::answer::Usage, models::ModelPrice, proto::v1};
use futures::StreamExt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const DAY: u64 = 24 * 60 * 60;

fn with_max_tokens(max_tokens: u32) -> v1::GenerateRequest {
    v1::GenerateRequest {
        max_tokens: Some(max_tokens.try_into().unwrap()),
        ..prompt()
    }
}

async fn generate(server: &Running, key: &str, max_tokens: u32) -> Result<(), Status> {
    let mut client = server.client(key).await;
    let generated = client.generate(with_max_tokens(max_tokens)).await;
    generated.map(|_| ())
}

async fn stream(
    server: &Running,
    key: &str,
) -> Result<tonic::Streaming<v1::GenerateStreamResponse>, Status> {
    let mut client = server.client(key).await;
    let request = v1::GenerateStreamRequest {
        request: Some(with_max_tokens(1000)),
    };
    client
        .generate_stream(request)
        .await
        .map(|it| it.into_inner())
}

/// Waits for what happens as soon as the server sees that a caller is gone.
async fn eventually(mut happened: impl FnMut() -> bool) {
    let waiting = async {
        while !happened() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("it happens");
}

#[tokio::test]
async fn requests_in_a_minute_and_the_retry_info_is_true() {
    let (setup, key) = limited("requests_per_minute = 2");
    let server = setup.start().await;
    for _ in 0..2 {
        generate(&server, &key, 100).await.unwrap();
    }
    let refused = generate(&server, &key, 100).await.unwrap_err();
    let expected = ("requests_per_minute".to_owned(), Duration::from_secs(30));
    assert_eq!(limit_of(&refused), expected);
    assert_eq!(server.api.calls(), 2, "nothing reaches the API");

    server.hands.set(START + 29);
    let refused = generate(&server, &key, 100).await.unwrap_err();
    assert_eq!(limit_of(&refused).1, Duration::from_secs(1));
    server.hands.set(START + 30);
    generate(&server, &key, 100).await.unwrap();
}

#[tokio::test]
async fn a_stream_holds_its_place_until_it_is_dropped() {
    let (setup, key) = limited("calls_in_flight = 1");
    let server = setup.start().await;
    server.api.stall(true);
    let mut held = stream(&server, &key).await.unwrap();
    held.next().await.unwrap().unwrap();
    let refused = generate(&server, &key, 100).await.unwrap_err();
    assert_eq!(limit_of(&refused).0, "calls_in_flight");
    assert_eq!(server.access.usage_store().spent("a").calls_in_flight, 1);
    drop(held);
    eventually(|| server.access.usage_store().spent("a").calls_in_flight == 0).await;
    generate(&server, &key, 100).await.unwrap();
    eventually(|| server.access.usage_store().spent("a").calls_in_flight == 0).await;
}

#[tokio::test]
async fn the_estimate_is_charged_first_and_the_usage_settles_it() {
    let (setup, key) = limited("output_tokens_per_minute = 1000");
    let server = setup.start().await;
    // Each is held for 900 tokens and uses 20.
    for _ in 0..3 {
        generate(&server, &key, 900).await.unwrap();
    }
    server.api.stall(true);
    let mut held = stream(&server, &key).await;
    // 60 are used and 1000 asked for: there is room in 3.6 s.
    let refused = held.as_mut().map(|_| ()).unwrap_err();
    let expected = (
        "output_tokens_per_minute".to_owned(),
        Duration::from_millis(3600),
    );
    assert_eq!(limit_of(refused), expected);
    server.hands.set(START + 4);
    held = stream(&server, &key).await;
    assert!(
        held.is_ok(),
        "a call as large as the limit goes when it is alone"
    );
    let refused = generate(&server, &key, 900).await.unwrap_err();
    assert_eq!(limit_of(&refused).0, "output_tokens_per_minute");
}

#[tokio::test]
async fn a_stream_is_charged_for_what_it_used_also_when_it_is_dropped() {
    let (setup, key) = limited("tokens_per_day = 100_000\ndollars_per_month = 100.0");
    let server = setup.start().await;
    let spent = || server.access.usage_store().spent("a");

    let mut whole = stream(&server, &key).await.unwrap();
    while let Some(event) = whole.next().await {
        event.unwrap();
    }
    eventually(|| spent().tokens_in_day == 30).await;
    // 10 in and 20 out of Sonnet 5.5.
    assert_eq!(spent().nanodollars_in_month, 10 * 2000 + 20 * 10_000);

    server.api.stall(true);
    let mut dropped = stream(&server, &key).await.unwrap();
    for _ in 0..2 {
        dropped.next().await.unwrap().unwrap();
    }
    assert!(
        spent().tokens_in_day > 1000,
        "while it runs, the estimate is charged"
    );
    drop(dropped);
    // 10 in, 1 counted at the start, 14 by the 40 bytes since.
    eventually(|| spent().tokens_in_day == 30 + 25).await;
}

#[tokio::test]
async fn budgets_end_with_their_day_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("budgets");
    let start = async || {
        let (mut setup, key) = limited("tokens_per_day = 2000\ntokens_per_month = 1_000_000");
        setup.limits.budget_file = Some(file.clone());
        (setup.start().await, key)
    };
    let (server, key) = start().await;
    generate(&server, &key, 1000).await.unwrap();
    server.access.usage_store().flush().await;
    assert_eq!(server.access.usage_store().spent("a").tokens_in_day, 30);
    server.stop().await;

    let (server, key) = start().await;
    assert_eq!(server.access.usage_store().spent("a").tokens_in_day, 30);
    let refused = generate(&server, &key, 1980).await.unwrap_err();
    // The test begins at 08:00 UTC.
    let until_midnight = Duration::from_secs(16 * 60 * 60);
    assert_eq!(
        limit_of(&refused),
        ("tokens_per_day".to_owned(), until_midnight)
    );
    generate(&server, &key, 1900).await.unwrap();
    server.hands.set(START + DAY);
    generate(&server, &key, 1980).await.unwrap();
    let spent = server.access.usage_store().spent("a");
    assert_eq!((spent.tokens_in_day, spent.tokens_in_month), (30, 90));
}

#[tokio::test]
async fn a_budget_in_dollars_follows_the_price_of_the_model() {
    let (setup, key) = limited("dollars_per_day = 0.02");
    let server = setup.start().await;
    // 2,000 tokens of output: 2 cents of Sonnet, 4 of Opus, 0.1 of Haiku.
    let ask = async |model: &str| {
        let request = v1::GenerateRequest {
            model: model.to_owned(),
            ..with_max_tokens(2000)
        };
        server
            .client(&key)
            .await
            .generate(request)
            .await
            .map(|_| ())
    };
    let refused = ask("claude-opus-5-5").await.unwrap_err();
    assert_eq!(limit_of(&refused).0, "dollars_per_day");
    ask("claude-haiku-5-5").await.unwrap();
}

#[tokio::test]
async fn a_budget_in_dollars_lets_through_what_it_pays_for() {
    let reads = || Usage {
        cache_read_input_tokens: Some(900_000),
        ..usage(0, 0)
    };
    let dear = || usage(100_000, 1000);
    for (model, usage, dollars, calls) in [
        ("claude-opus-5", reads(), 4.5, 10),
        ("claude-fable-5", reads(), 4.5, 5),
        ("claude-sonnet-5", dear(), 1.0, 5),
        ("claude-sonnet-5-5", dear(), 1.0, 5),
        ("claude-fable-5-2", dear(), 8.4, 10),
        ("claude-opus-4-8", reads(), 4.5, 10),
        ("claude-sonnet-5-5", reads(), 0.9, 10),
        ("claude-haiku-5-5", reads(), 0.45, 10),
        ("claude-sonnet-4-5-20250929", reads(), 2.7, 10),
        ("eu.anthropic.claude-opus-5", reads(), 4.95, 10),
    ] {
        let (setup, key) = limited(&format!("dollars_per_day = {dollars:?}"));
        let server = setup.start().await;
        server.api.reports(usage);
        let mut client = server.client(&key).await;
        let request = v1::GenerateRequest {
            model: model.to_owned(),
            ..with_max_tokens(1)
        };
        let refused = loop {
            if let Err(refused) = client.generate(request.clone()).await {
                break refused;
            }
            assert!(server.api.calls() <= calls, "{model}");
        };
        assert_eq!(limit_of(&refused).0, "dollars_per_day", "{model}");
        assert_eq!(server.api.calls(), calls, "{model}");
    }
}

#[tokio::test]
async fn a_feature_without_a_price_is_refused_where_dollars_count() {
    let fast = || v1::GenerateRequest {
        speed: v1::Speed::Fast.into(),
        ..with_max_tokens(100)
    };
    for (limits, is_refused) in [
        ("dollars_per_day = 1000.0", true),
        ("tokens_per_day = 1000000", false),
    ] {
        let (setup, key) = limited(limits);
        let server = setup.start().await;
        let answer = server.client(&key).await.generate(fast()).await;
        assert_eq!(answer.is_err(), is_refused, "{limits}");
        assert_eq!(server.api.calls(), u64::from(!is_refused), "{limits}");
        if let Err(refused) = answer {
            let details = refused.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, "FEATURE_UNPRICED");
            assert!(refused.message().contains("speed"), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_where_dollars_count() {
    let ask = async |limits: &str, prices: Vec<ModelPrice>| {
        let (mut setup, key) = limited(limits);
        setup.limits.prices = prices;
        let server = setup.start().await;
        let request = v1::GenerateRequest {
            model: "a-model-without-a-price".to_owned(),
            ..with_max_tokens(100)
        };
        let mut client = server.client(&key).await;
        let answer = client.generate(request).await.map(|_| ());
        (answer, server.api.calls())
    };
    for limits in ["dollars_per_day = 1000.0", "dollars_per_month = 1000.0"] {
        let (answer, calls) = ask(limits, Vec::new()).await;
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "MODEL_UNPRICED");
        assert_eq!(
            refused.message(),
            "the price of the model \"a-model-without-a-price\" is unknown, and the client has a \
             budget in dollars; use another model, or add the price to limits.prices"
        );
        assert!(details.retry_info().is_none());
        assert_eq!(calls, 0, "it does not reach the API");
    }
    let rates =
        "input = 1.0\noutput = 1.0\ncache_write = 1.0\ncache_write_1h = 1.0\ncache_read = 1.0";
    let price = ModelPrice {
        model: "a-model-without-a-price".to_owned(),
        rates: toml::from_str(rates).unwrap(),
        long_context_threshold: None,
        long_context_rates: None,
    };
    // With a price of the operator, and where tokens count alone, it passes.
    for (limits, prices) in [
        ("dollars_per_day = 1000.0", vec![price]),
        ("tokens_per_day = 1_000_000", Vec::new()),
        ("", Vec::new()),
    ] {
        let (answer, calls) = ask(limits, prices).await;
        assert_eq!((answer.is_ok(), calls), (true, 1), "{limits}");
    }
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_denied() {
    let (mut setup, key) = limited("");
    setup.clients.clients[0].models = vec!["claude-haiku-5-5".to_owned()];
    let server = setup.start().await;
    let denied = generate(&server, &key, 100).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(
        denied.message(),
        "the client is not allowed to make this call"
    );
    assert_eq!(server.refusals(RejectReason::Model), 1);
    assert_eq!(server.api.calls(), 0);

    let mut client = server.client(&key).await;
    let listed = client.list_models(v1::ListModelsRequest::default()).await;
    let models = listed.unwrap().into_inner().models;
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["claude-haiku-5-5"], "it does not see others either");
}
