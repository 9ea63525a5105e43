//! Summarize and SummarizeStream, on real text.

use crate::{
    sample_requests::PDF,
    sample_texts::{INCIDENT_REPORT, ORIGIN_OF_SPECIES, SUPPORT_MAIL, assert_is_data, injections},
    support::{Grpc, World, reason, soon, within, wrong_fields},
};
use bytes::Bytes;
use claude_grpc::{
    models::{Day, KnownModel, catalogue},
    proto::v1::{self, summarize_request::Length, summarize_stream_response::Event},
    simulator::Behaviour,
};
use serde_json::Value;
use std::time::Duration;
use tokio_stream::StreamExt;
use tonic::{Code, Status};

pub fn summary_of(text: &str) -> v1::SummarizeRequest {
    v1::SummarizeRequest {
        text: text.to_owned(),
        ..v1::SummarizeRequest::default()
    }
}

/// Each request with the name of its body in the corpus.
pub fn samples() -> Vec<(&'static str, v1::SummarizeRequest)> {
    let length = |length| v1::SummarizeRequest {
        length: Some(length),
        ..summary_of(SUPPORT_MAIL)
    };
    let preset = |preset: v1::SummaryLength| length(Length::Preset(preset.into()));
    let format = |format: v1::SummaryFormat| v1::SummarizeRequest {
        format: format.into(),
        ..summary_of(SUPPORT_MAIL)
    };
    vec![
        ("summarize-defaults", summary_of(SUPPORT_MAIL)),
        ("summarize-one-sentence", length(Length::Sentences(1))),
        ("summarize-words", length(Length::Words(5000))),
        ("summarize-short", preset(v1::SummaryLength::Short)),
        ("summarize-medium", preset(v1::SummaryLength::Medium)),
        ("summarize-long", preset(v1::SummaryLength::Long)),
        ("summarize-paragraph", format(v1::SummaryFormat::Paragraph)),
        ("summarize-headline", format(v1::SummaryFormat::Headline)),
        (
            "summarize-everything",
            v1::SummarizeRequest {
                text: INCIDENT_REPORT.to_owned(),
                model: "claude-opus-5-5".to_owned(),
                length: Some(Length::Sentences(4)),
                format: v1::SummaryFormat::Bullets.into(),
                focus: "what went badly".to_owned(),
                language: "pt-BR".to_owned(),
                max_tokens: Some(700),
                title: "an incident report".to_owned(),
                pdf: Bytes::new(),
            },
        ),
        (
            "summarize-pdf",
            v1::SummarizeRequest {
                pdf: PDF.into(),
                ..v1::SummarizeRequest::default()
            },
        ),
    ]
}

async fn summarize(grpc: &mut Grpc, request: v1::SummarizeRequest) -> v1::SummarizeResponse {
    soon(grpc.summarize(request)).await.unwrap().into_inner()
}

/// The deltas together, and the end.
async fn streamed(
    grpc: &mut Grpc,
    request: v1::SummarizeRequest,
) -> Result<(String, v1::SummarizeResponse), Status> {
    let request = v1::SummarizeStreamRequest {
        request: Some(request),
    };
    let mut events = soon(grpc.summarize_stream(request)).await?.into_inner();
    let mut summary = String::new();
    let mut end = None;
    while let Some(event) = soon(events.next()).await {
        assert!(end.is_none(), "something comes after the end");
        match event?.event.unwrap() {
            Event::TextDelta(delta) => summary.push_str(&delta),
            Event::Finished(finished) => end = Some(finished),
        }
    }
    Ok((summary, end.expect("the stream ended without `finished`")))
}

#[tokio::test]
async fn each_real_text_gets_a_shorter_summary_of_its_own_words() {
    let mut world = World::start().await;
    for text in [SUPPORT_MAIL, INCIDENT_REPORT, ORIGIN_OF_SPECIES] {
        let request = v1::SummarizeRequest {
            length: Some(Length::Sentences(2)),
            ..summary_of(text)
        };
        let response = summarize(&mut world.grpc, request).await;
        let summary = response.summary.strip_prefix("[simulated] ").unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(!summary.is_empty());
        for word in summary.split_whitespace() {
            assert!(words.contains(&word), "{word:?} is not of the text");
        }
        let ratio = response.summary.chars().count() as f64 / text.chars().count() as f64;
        assert!((response.length_ratio - ratio).abs() < 1e-9);
        assert!(ratio < 0.6, "{ratio}: {summary}");
        assert_eq!(response.stop_reason(), v1::StopReason::EndTurn);
        assert_eq!(response.stop_reason_text, "end_turn");
        assert_eq!(response.model, "claude-sonnet-5-5");
        assert!(response.request_id.starts_with("req_"));
        let usage = response.usage.unwrap();
        assert!(usage.input_tokens > 0 && usage.output_tokens > 0);
        assert_eq!(usage.total_input_tokens, usage.input_tokens);
    }
}

#[tokio::test]
async fn a_stream_is_the_summary_in_pieces() {
    let mut world = World::start().await;
    for (name, request) in samples() {
        let mut whole = summarize(&mut world.grpc, request.clone()).await;
        let (summary, mut end) = streamed(&mut world.grpc, request).await.unwrap();
        assert_eq!(summary, whole.summary, "{name}");
        assert_ne!(end.request_id, whole.request_id);
        assert!(end.request_id.starts_with("req_"));
        // The deltas are the summary; the request was another one.
        assert_eq!(end.summary, "");
        whole.summary.clear();
        whole.request_id.clear();
        end.request_id.clear();
        assert_eq!(end, whole, "{name}");
    }
}

#[tokio::test]
async fn the_length_ratio_counts_characters_and_not_bytes() {
    let mut world = World::start().await;
    world.simulator.next([
        Behaviour::Text("Größe".to_owned()),
        Behaviour::Text("Größe".to_owned()),
    ]);
    let text = "日本語の文章です。";
    assert_eq!(text.chars().count(), 9);
    let response = summarize(&mut world.grpc, summary_of(text)).await;
    assert_eq!(response.summary, "Größe");
    assert_eq!(response.length_ratio, 5.0 / 9.0);
    let (_, end) = streamed(&mut world.grpc, summary_of(text)).await.unwrap();
    assert_eq!(end.length_ratio, 5.0 / 9.0);
}

#[tokio::test]
async fn blanks_around_the_models_text_are_no_part_of_the_summary() {
    let mut world = World::start().await;
    let padded = || Behaviour::Text("\n\n In short. \n".to_owned());
    world.simulator.next([padded(), padded()]);
    let whole = summarize(&mut world.grpc, summary_of("A text.")).await;
    assert_eq!(whole.summary, "In short.");
    let (summary, end) = streamed(&mut world.grpc, summary_of("A text."))
        .await
        .unwrap();
    assert_eq!(summary, whole.summary);
    assert_eq!(end.length_ratio, whole.length_ratio);
}

#[tokio::test]
async fn what_stops_the_model_is_told() {
    let mut world = World::start().await;
    let text = summary_of(INCIDENT_REPORT);
    for behaviour in [
        Behaviour::MaxTokens,
        Behaviour::Refusal,
        Behaviour::UnknownStopReason,
    ] {
        world.simulator.next([behaviour.clone(), behaviour.clone()]);
        let whole = summarize(&mut world.grpc, text.clone()).await;
        let (summary, end) = streamed(&mut world.grpc, text.clone()).await.unwrap();
        let (reason, in_words) = match behaviour {
            Behaviour::MaxTokens => (v1::StopReason::MaxTokens, "max_tokens"),
            Behaviour::Refusal => (v1::StopReason::Refusal, "refusal"),
            _ => (v1::StopReason::Unspecified, "simulated_unknown"),
        };
        for told in [&whole, &end] {
            assert_eq!(told.stop_reason(), reason);
            assert_eq!(told.stop_reason_text, in_words);
            let refused = behaviour == Behaviour::Refusal;
            assert_eq!(told.refusal.is_some(), refused, "{told:?}");
        }
        if behaviour == Behaviour::Refusal {
            let refusal = whole.refusal.as_ref().unwrap();
            assert_eq!(refusal.category, "general_harms");
            assert!(!refusal.explanation.is_empty());
            assert_eq!(whole.summary, "", "a refusal is no summary");
            assert_eq!((whole.length_ratio, end.length_ratio), (0.0, 0.0));
        } else {
            assert_eq!(summary, whole.summary);
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_has_no_end() {
    let mut world = World::start().await;
    world.simulator.next([Behaviour::Cut { after_events: 5 }]);
    let status = streamed(&mut world.grpc, summary_of(SUPPORT_MAIL))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reason(&status), "UPSTREAM_CONNECTION_BROKEN");
}

fn texts_of(body: &Value) -> Vec<&str> {
    let blocks = body["messages"][0]["content"].as_array().unwrap();
    blocks
        .iter()
        .map(|block| block["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn no_text_gets_out_of_its_document() {
    let mut world = World::start().await;
    summarize(&mut world.grpc, summary_of("Harmless.")).await;
    let harmless = world.bodies().pop().unwrap();
    for injection in injections() {
        summarize(&mut world.grpc, summary_of(&injection.text)).await;
        let body = world.bodies().pop().unwrap();
        assert_is_data(texts_of(&body)[0], &injection);
        // Whatever is in the text, all else is the same.
        let mut same = body.clone();
        same["messages"][0]["content"][0] = harmless["messages"][0]["content"][0].clone();
        assert_eq!(same, harmless, "{:?}", injection.text);
        assert_eq!(texts_of(&body).len(), 2);
    }
}

#[tokio::test]
async fn no_setting_becomes_a_line_of_instructions() {
    let mut world = World::start().await;
    for injection in injections() {
        let setting = |limit: usize| -> String {
            let text: String = injection.text.chars().take(limit).collect();
            format!("a\n{text}\nb")
        };
        let request = v1::SummarizeRequest {
            title: setting(900),
            focus: setting(900),
            language: setting(60),
            ..summary_of("Harmless.")
        };
        summarize(&mut world.grpc, request).await;
        let body = world.bodies().pop().unwrap();
        let instructions = texts_of(&body)[1];
        let lines: Vec<&str> = instructions
            .split(['\n', '\r', '\u{2028}', '\u{85}'])
            .collect();
        assert_eq!(lines.len(), 5, "{instructions:?}");
        for (line, begins) in lines.iter().zip([
            "Summarize the document above.",
            "The document is: a ",
            "Write running text. Write about five sentences.",
            "Dwell on: a ",
            "Write in this language: a ",
        ]) {
            assert!(line.starts_with(begins), "{line:?}");
        }
        for tag in ["<document", "</document"] {
            assert!(!instructions.contains(tag), "{instructions:?}");
        }
    }
}

#[tokio::test]
async fn a_long_summary_gets_the_tokens_that_it_needs() {
    let mut world = World::start().await;
    let mut max_tokens = async |length, max_tokens| {
        let request = v1::SummarizeRequest {
            length: Some(length),
            max_tokens,
            ..summary_of("A text.")
        };
        summarize(&mut world.grpc, request).await;
        world.bodies().pop().unwrap()["max_tokens"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(max_tokens(Length::Sentences(3), None).await, 2048);
    assert!(max_tokens(Length::Sentences(100), None).await > 6000);
    assert!(max_tokens(Length::Words(5000), None).await > 10_000);
    // The caller's own limit stays.
    assert_eq!(max_tokens(Length::Words(5000), Some(9)).await, 9);
}

#[tokio::test]
async fn every_bad_setting_is_named_at_once() {
    let mut world = World::start().await;
    let bad = v1::SummarizeRequest {
        text: " \n".to_owned(),
        model: "no model!".to_owned(),
        length: Some(Length::Sentences(0)),
        format: 99,
        focus: "x".repeat(1001),
        language: "x".repeat(65),
        max_tokens: Some(0),
        title: "é".repeat(1001),
        pdf: Bytes::new(),
    };
    let fields = [
        "text",
        "model",
        "sentences",
        "format",
        "focus",
        "language",
        "max_tokens",
        "title",
    ];
    let named = |status: &Status, prefix: &str| {
        assert_eq!(status.code(), Code::InvalidArgument);
        let mut named = wrong_fields(status);
        named.sort();
        let mut wanted = fields.map(|field| format!("{prefix}{field}"));
        wanted.sort();
        assert_eq!(named, wanted);
    };
    named(
        &soon(world.grpc.summarize(bad.clone())).await.unwrap_err(),
        "",
    );
    let wrapped = streamed(&mut world.grpc, bad).await.unwrap_err();
    named(&wrapped, "request.");
    let nothing = v1::SummarizeStreamRequest { request: None };
    let status = soon(world.grpc.summarize_stream(nothing))
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&status), ["request"]);

    for (length, field) in [
        (Length::Sentences(101), "sentences"),
        (Length::Sentences(-1), "sentences"),
        (Length::Words(4), "words"),
        (Length::Words(5001), "words"),
        (Length::Preset(4), "preset"),
    ] {
        let request = v1::SummarizeRequest {
            length: Some(length),
            ..summary_of("A text.")
        };
        let status = soon(world.grpc.summarize(request)).await.unwrap_err();
        assert_eq!(wrong_fields(&status), [field], "{length:?}");
    }
    let headline = v1::SummarizeRequest {
        length: Some(Length::Sentences(1)),
        format: v1::SummaryFormat::Headline.into(),
        ..summary_of("A text.")
    };
    let status = soon(world.grpc.summarize(headline)).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["length"]);
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn a_text_at_the_edge_of_what_is_allowed_passes() {
    let mut world = World::start().await;
    let request = v1::SummarizeRequest {
        length: Some(Length::Words(5)),
        focus: "é".repeat(1000),
        language: "é".repeat(64),
        title: "é".repeat(1000),
        ..summary_of("A text.")
    };
    let call = world
        .grpc
        .summarize(within(Duration::from_secs(10), request));
    soon(call).await.unwrap();
}

/// The effort is our default, so no caller can leave it out.
#[tokio::test]
async fn every_model_that_is_served_summarizes_and_classifies() {
    let mut world = World::start().await;
    let today = Day::today();
    let served = |model: &&KnownModel| model.lifecycle.retires.is_none_or(|day| day > today);
    let mut count = 0;
    for model in catalogue().models().iter().filter(served) {
        count += 1;
        let name = &model.name;
        let summary = v1::SummarizeRequest {
            model: name.clone(),
            ..summary_of(SUPPORT_MAIL)
        };
        let answer = soon(world.grpc.summarize(summary)).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
        let label = |name: &str| v1::Label {
            name: name.to_owned(),
            ..v1::Label::default()
        };
        let classify = v1::ClassifyRequest {
            model: name.clone(),
            text: "It rains.".to_owned(),
            labels: vec![label("weather"), label("other")],
            ..v1::ClassifyRequest::default()
        };
        let answer = soon(world.grpc.classify(classify)).await;
        assert!(answer.is_ok(), "{name}: {answer:?}");
    }
    assert!(count > 3);
}
