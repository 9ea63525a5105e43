//! Classify, on real text.

use crate::{
    sample_requests::PDF,
    sample_texts::{INCIDENT_REPORT, ORIGIN_OF_SPECIES, SUPPORT_MAIL, assert_is_data, injections},
    support::{World, soon, wrong_fields},
};
use claude_grpc::proto::v1;
use serde_json::Value;
use tonic::{Code, Status};

pub fn label(name: &str, description: &str) -> v1::Label {
    v1::Label {
        name: name.to_owned(),
        description: description.to_owned(),
        examples: Vec::new(),
    }
}

fn labels() -> Vec<v1::Label> {
    vec![
        label("billing", "Invoices, payments, refunds and charges."),
        label(
            "outage",
            "A service that was down; incidents and their causes.",
        ),
        label("science", "Nature, species, and facts about their origin."),
    ]
}

pub fn question(text: &str) -> v1::ClassifyRequest {
    v1::ClassifyRequest {
        text: text.to_owned(),
        labels: labels(),
        ..v1::ClassifyRequest::default()
    }
}

/// Each request with the name of its body in the corpus.
pub fn samples() -> Vec<(&'static str, v1::ClassifyRequest)> {
    let base = || question(SUPPORT_MAIL);
    let with = |multi_label, allow_none| v1::ClassifyRequest {
        multi_label,
        allow_none,
        ..base()
    };
    let mut everything = v1::ClassifyRequest {
        include_reason: true,
        model: "claude-opus-5-5".to_owned(),
        task: "support tickets, by team".to_owned(),
        max_tokens: Some(900),
        ..with(true, true)
    };
    everything.labels[0].examples = vec!["I was charged twice.".to_owned()];
    vec![
        ("classify-single", with(false, false)),
        ("classify-single-or-none", with(false, true)),
        ("classify-multi", with(true, false)),
        ("classify-everything", everything),
        (
            "classify-pdf",
            v1::ClassifyRequest {
                text: String::new(),
                pdf: PDF.into(),
                ..base()
            },
        ),
    ]
}

pub async fn classify(
    world: &World,
    request: v1::ClassifyRequest,
) -> Result<v1::ClassifyResponse, Status> {
    let mut grpc = world.grpc.clone();
    let response = soon(grpc.classify(request)).await?;
    Ok(response.into_inner())
}

/// What every answer has to be.
pub fn assert_contract(request: &v1::ClassifyRequest, response: &v1::ClassifyResponse) {
    let set: Vec<&str> = request.labels.iter().map(|it| it.name.as_str()).collect();
    let positions: Vec<usize> = response
        .labels
        .iter()
        .map(|name| {
            set.iter()
                .position(|it| it == name)
                .expect("not of the set")
        })
        .collect();
    assert!(
        positions.is_sorted_by(|a, b| a < b),
        "{:?}",
        response.labels
    );
    assert!(request.multi_label || positions.len() <= 1);
    assert!(request.allow_none || !positions.is_empty());
    let given: Vec<&str> = response
        .confidences
        .iter()
        .map(|it| it.label.as_str())
        .collect();
    assert_eq!(given, set);
    for confidence in &response.confidences {
        assert!(
            (0.0..=1.0).contains(&confidence.confidence),
            "{confidence:?}"
        );
    }
    assert_eq!(response.reason.is_empty(), !request.include_reason);
    assert!(response.request_id.starts_with("req_"));
}

#[tokio::test]
async fn real_texts_fall_under_their_labels() {
    let world = World::start().await;
    for (text, expected) in [
        (SUPPORT_MAIL, "billing"),
        (INCIDENT_REPORT, "outage"),
        (ORIGIN_OF_SPECIES, "science"),
    ] {
        for (multi_label, allow_none, include_reason) in [
            (false, false, false),
            (false, true, true),
            (true, false, true),
            (true, true, false),
        ] {
            let request = v1::ClassifyRequest {
                multi_label,
                allow_none,
                include_reason,
                ..question(text)
            };
            let response = classify(&world, request.clone()).await.unwrap();
            assert_contract(&request, &response);
            assert!(
                response.labels.iter().any(|it| it == expected),
                "{response:?}"
            );
            assert_eq!(
                (response.model_calls, &*response.model),
                (1, "claude-haiku-5-5")
            );
            let best = response
                .confidences
                .iter()
                .max_by(|a, b| a.confidence.total_cmp(&b.confidence));
            assert_eq!(best.unwrap().label, expected);
        }
    }
}

#[tokio::test]
async fn none_is_an_answer_where_it_is_allowed() {
    let world = World::start().await;
    for text in ["Zzz.", "Zzz 42.", "7", "-3.5 zzz 1e9", "0.25, 99 % zzz"] {
        for multi_label in [false, true] {
            let request = v1::ClassifyRequest {
                multi_label,
                allow_none: true,
                ..question(text)
            };
            let response = classify(&world, request.clone()).await.unwrap();
            assert_contract(&request, &response);
            assert!(response.labels.is_empty(), "{response:?}");
            let mut confidences = response.confidences.iter();
            assert!(confidences.all(|it| it.confidence < 0.5), "{response:?}");
        }
    }
}

#[tokio::test]
async fn labels_that_look_the_same_are_named() {
    let world = World::start().await;
    for twin in [
        "BILLING",
        " billing",
        "bill\u{200b}ing",
        "bill\u{ad}ing",
        "\u{202e}billing",
        "billing\u{fe0f}",
        "\u{feff}billing",
        "\u{ff42}illing",
    ] {
        let mut request = question("A text.");
        request.labels[2].name = twin.to_owned();
        let status = classify(&world, request).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["labels[2].name"], "{twin:?}");
        assert!(status.message().contains("labels[0].name"), "{status:?}");
    }
    let mut request = question("A text.");
    request.labels[1].name = "\u{200b}\u{ad}".to_owned();
    let status = classify(&world, request).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["labels[1].name"]);
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn sets_from_the_smallest_to_the_largest_work() {
    let world = World::start().await;
    for count in [1, 2, 3, 40, 200] {
        let names = (0..count).map(|index| format!("label \"{index}\"\\ é"));
        let request = v1::ClassifyRequest {
            labels: names.map(|name| label(&name, "")).collect(),
            multi_label: count == 1,
            ..question(SUPPORT_MAIL)
        };
        let response = classify(&world, request.clone()).await.unwrap();
        assert_contract(&request, &response);
        assert_eq!(
            response.model_calls, 1,
            "{count} labels did not fit at once"
        );
    }
}

#[tokio::test]
async fn it_is_asked_by_structured_output_and_never_by_a_tool() {
    let world = World::start().await;
    for (_, request) in samples() {
        classify(&world, request.clone()).await.unwrap();
        let body = world.bodies().pop().unwrap();
        assert!(body.get("tools").is_none() && body.get("tool_choice").is_none());
        assert_eq!(body["output_config"]["format"]["type"], "json_schema");
        let schema = &body["output_config"]["format"]["schema"]["properties"];
        let mut names = match (request.multi_label, request.allow_none) {
            (true, _) => &schema["labels"]["items"]["enum"],
            (false, false) => &schema["label"]["enum"],
            (false, true) => &schema["label"]["anyOf"][0]["enum"],
        }
        .as_array()
        .unwrap()
        .iter();
        assert!(names.all(|name| {
            request
                .labels
                .iter()
                .any(|it| it.name == name.as_str().unwrap())
        }));
    }
}

fn user_message(body: &Value) -> &str {
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1);
    messages[0]["content"].as_str().unwrap()
}

#[tokio::test]
async fn no_text_gets_out_of_its_document() {
    let world = World::start().await;
    classify(&world, question("Harmless.")).await.unwrap();
    let harmless = world.bodies().pop().unwrap();
    for injection in injections() {
        let request = question(&injection.text);
        let response = classify(&world, request.clone()).await.unwrap();
        assert_contract(&request, &response);
        let body = world.bodies().pop().unwrap();
        assert_is_data(user_message(&body), &injection);
        let mut same = body.clone();
        same["messages"] = harmless["messages"].clone();
        assert_eq!(same, harmless, "{:?}", injection.text);
    }
}

/// The system prompt, which is a marked block if it is long.
fn system(body: &Value) -> &str {
    let system = &body["system"];
    let text = system.as_str().or_else(|| system[0]["text"].as_str());
    text.unwrap()
}

#[tokio::test]
async fn no_label_becomes_more_than_its_line() {
    let world = World::start().await;
    let lines_of = |body: &Value| -> usize {
        system(body)
            .split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
            .count()
    };
    classify(
        &world,
        v1::ClassifyRequest {
            task: "x".to_owned(),
            ..question("Harmless.")
        },
    )
    .await
    .unwrap();
    let lines = lines_of(&world.bodies().pop().unwrap());
    let breaks = "a\nb\rc\u{85}d\u{2028}e\u{2029}f";
    for text in injections()
        .iter()
        .map(|it| it.text.as_str())
        .chain([breaks])
    {
        let mut request = v1::ClassifyRequest {
            task: text.to_owned(),
            ..question("Harmless.")
        };
        request.labels[0].description = text.to_owned();
        request.labels[1].examples = vec![format!("an example: {text}")];
        let name: String = text.chars().filter(|c| !c.is_control()).take(90).collect();
        request.labels[2].name = format!("x{name}");
        let response = classify(&world, request.clone()).await.unwrap();
        assert_contract(&request, &response);
        let body = world.bodies().pop().unwrap();
        assert_eq!(lines_of(&body), lines, "{text:?}");
        let system = system(&body);
        // The rules name the two tags once, and nothing else does.
        assert_eq!(system.matches("<document").count(), 1, "{system}");
        assert_eq!(system.matches("</document").count(), 1, "{system}");
    }
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let world = World::start().await;
    let mut many: Vec<v1::Label> = (0..201).map(|i| label(&format!("l{i}"), "")).collect();
    many[1].name = " ".to_owned();
    many[2].name = " L3 ".to_owned();
    many[4].name = "x".repeat(101);
    many[5].name = "a\nb".to_owned();
    many[6].description = "é".repeat(2001);
    many[7].examples = vec!["x".to_owned(); 21];
    many[8].examples = vec!["x".to_owned(), String::new(), "é".repeat(4001)];
    let request = v1::ClassifyRequest {
        text: String::new(),
        labels: many,
        model: "no model".to_owned(),
        task: "é".repeat(1001),
        max_tokens: Some(-1),
        ..v1::ClassifyRequest::default()
    };
    let status = classify(&world, request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let mut named = wrong_fields(&status);
    named.sort();
    assert_eq!(
        named,
        [
            "labels",
            "labels[1].name",
            "labels[3].name",
            "labels[4].name",
            "labels[5].name",
            "labels[6].description",
            "labels[7].examples",
            "labels[8].examples[1]",
            "labels[8].examples[2]",
            "max_tokens",
            "model",
            "task",
            "text",
        ]
    );
    for (labels, one_is_enough) in [(0, true), (0, false), (1, false)] {
        let request = v1::ClassifyRequest {
            labels: labels_of(labels),
            allow_none: one_is_enough,
            ..question("A text.")
        };
        let status = classify(&world, request).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["labels"]);
    }
    assert_eq!(world.attempts(), 0);
}

fn labels_of(count: usize) -> Vec<v1::Label> {
    labels().into_iter().take(count).collect()
}

/// What is made of each would take far more than the label.
#[tokio::test]
async fn labels_beyond_the_maximum_are_not_looked_at() {
    let world = World::start().await;
    let mut request = question("A text.");
    request.labels = (0..300)
        .map(|it| label(&format!("label {it}"), ""))
        .collect();
    request.labels[250].name.clear();
    let status = classify(&world, request).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["labels"]);
}
