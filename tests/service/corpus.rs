//! The bodies that go to the API, one for each sample request, in
//! `tests/corpus/`. `tests/sdk` holds the same files against the parameter
//! types of the official SDK.
//!
//! `UPDATE_CORPUS=1 cargo test --test service corpus` writes them anew.

use crate::{
    classify,
    full_bodies::filled,
    sample_blocks, sample_requests, sample_tools, samples, summarize,
    support::{World, ask, soon, streamed},
};
use claude_grpc::{claude::request::MessagesRequest, proto::v1, simulator::Behaviour};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

/// A request, and the name of its body.
pub struct Case {
    name: String,
    asked: Asked,
}

enum Asked {
    Generate(Box<v1::GenerateRequest>),
    GenerateStream(Box<v1::GenerateRequest>),
    CountTokens(Box<v1::GenerateRequest>),
    Summarize(v1::SummarizeRequest),
    Classify(v1::ClassifyRequest),
}

fn cases() -> Vec<Case> {
    let case = |name: &str, asked| Case {
        name: name.to_owned(),
        asked,
    };
    let mut cases = vec![
        case(
            "generate-stream",
            Asked::GenerateStream(Box::new(ask("Hello"))),
        ),
        case(
            "generate-other-blocks",
            Asked::Generate(Box::new(sample_requests::other_blocks())),
        ),
        case(
            "generate-given-blocks",
            Asked::Generate(Box::new(sample_blocks::given_blocks())),
        ),
        case(
            "generate-toolset",
            Asked::Generate(Box::new(sample_blocks::toolset())),
        ),
        case(
            "count-tokens-everything",
            Asked::CountTokens(Box::new(sample_requests::everything())),
        ),
        case(
            "count-tokens-minimal",
            Asked::CountTokens(Box::new(ask("Hello"))),
        ),
    ];
    cases.extend(
        samples::samples()
            .into_iter()
            .map(|(name, request)| case(&name, Asked::Generate(Box::new(request)))),
    );
    cases.extend(
        sample_tools::samples()
            .into_iter()
            .map(|(name, request)| case(&name, Asked::Generate(Box::new(request)))),
    );
    cases.extend(
        summarize::samples()
            .into_iter()
            .map(|(name, request)| case(name, Asked::Summarize(request))),
    );
    cases.extend(
        classify::samples()
            .into_iter()
            .map(|(name, request)| case(name, Asked::Classify(request))),
    );
    cases
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Asks, and gives the body that reached the API.
async fn body_of(world: &World, asked: Asked) -> Value {
    let mut grpc = world.grpc.clone();
    let outcome = match asked {
        Asked::Generate(request) => soon(grpc.generate(*request)).await.map(drop),
        Asked::GenerateStream(request) => {
            let call = grpc.generate_stream(streamed(*request));
            soon(call).await.map(drop)
        }
        Asked::CountTokens(request) => {
            let request = v1::CountTokensRequest {
                request: Some(*request),
            };
            soon(grpc.count_tokens(request)).await.map(drop)
        }
        Asked::Summarize(request) => soon(grpc.summarize(request)).await.map(drop),
        Asked::Classify(request) => soon(grpc.classify(request)).await.map(drop),
    };
    outcome.unwrap();
    world.bodies().pop().unwrap()
}

#[tokio::test]
async fn every_request_reaches_the_api_as_the_corpus_has_it() {
    // The samples name containers and more that are nowhere.
    let world = World::with(|setup| setup.simulator.shapes_only = true).await;
    let update = env::var_os("UPDATE_CORPUS").is_some();
    let mut names = BTreeSet::new();
    for Case { name, asked } in cases() {
        if name == "generate-other-blocks" {
            // The simulator does not know them; this answer does not look at what was
            // asked.
            world.simulator.next([Behaviour::Error(400)]);
            let Asked::Generate(request) = asked else {
                unreachable!()
            };
            soon(world.grpc.clone().generate(*request))
                .await
                .unwrap_err();
            compare(&name, world.bodies().last().unwrap(), update);
        } else {
            compare(&name, &body_of(&world, asked).await, update);
        }
        assert!(names.insert(format!("{name}.json")), "{name} comes twice");
    }
    let files: BTreeSet<String> = files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(files, names, "files that no request makes");
}

fn compare(name: &str, body: &Value, update: bool) {
    let path = directory().join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(body).unwrap() + "\n";
    if update {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    // As text: the order of the keys counts.
    assert_eq!(
        text,
        expected,
        "the body of {name} is not that of {}",
        path.display()
    );
}

fn files() -> Vec<(String, Value)> {
    let mut files: Vec<(String, Value)> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect();
    files.sort_by(|one, two| one.0.cmp(&two.0));
    files
}

#[test]
fn no_body_has_a_sampling_parameter_or_a_forced_tool_unasked() {
    for (name, body) in files() {
        for parameter in ["temperature", "top_p", "top_k"] {
            assert!(body.get(parameter).is_none(), "{name} has {parameter}");
        }
        if !name.starts_with("generate") && !name.starts_with("count") {
            assert!(body.get("tools").is_none(), "{name} has tools");
            assert!(body.get("tool_choice").is_none(), "{name} forces a tool");
        }
    }
}

#[test]
fn every_body_is_one_that_the_wire_types_know() {
    for (name, body) in files() {
        let read: MessagesRequest = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), body, "{name}");
    }
}

#[test]
fn the_corpus_covers_every_field() {
    let covered: BTreeSet<String> = files().iter().flat_map(|(_, body)| paths(body)).collect();
    let wanted: BTreeSet<String> = filled()
        .iter()
        .flat_map(|request| paths(&serde_json::to_value(request).unwrap()))
        .collect();
    let missing: Vec<_> = wanted.difference(&covered).collect();
    assert!(missing.is_empty(), "the corpus lacks {missing:#?}");
    let unknown: Vec<_> = covered
        .difference(&wanted)
        .filter(|path| !path.contains("{server_tool_use}") && !path.contains("{web_search"))
        .collect();
    assert!(unknown.is_empty(), "not thought of: {unknown:#?}");
}

/// Where there is something in a JSON, with types of objects and values of
/// enumerations. What callers write themselves counts as a whole.
fn paths(value: &Value) -> BTreeSet<String> {
    const WHOLE: [&str; 4] = [
        ".input",
        ".input_schema",
        ".schema",
        ".citations[]{char_location}",
    ];
    const VALUES: [&str; 12] = [
        ".role",
        ".effort",
        ".ttl",
        ".display",
        ".service_tier",
        ".speed",
        ".oversized_image",
        ".response_inclusion",
        ".strict",
        ".stream",
        ".is_error",
        ".media_type",
    ];
    fn walk(value: &Value, at: String, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                let kind = fields.get("type").and_then(Value::as_str);
                let at = match kind {
                    Some(kind) if !at.ends_with("schema") => format!("{at}{{{kind}}}"),
                    _ => at,
                };
                if WHOLE.iter().any(|whole| at.ends_with(whole)) || fields.is_empty() {
                    found.insert(at);
                    return;
                }
                found.insert(at.clone());
                for (name, field) in fields.iter().filter(|(name, _)| *name != "type") {
                    walk(field, format!("{at}.{name}"), found);
                }
            }
            Value::Array(items) => {
                for item in items {
                    if at.ends_with("input_examples") {
                        found.insert(at.clone());
                    } else {
                        walk(item, format!("{at}[]"), found);
                    }
                }
            }
            scalar if VALUES.iter().any(|named| at.ends_with(named)) => {
                found.insert(format!("{at}={scalar}"));
            }
            _ => {
                found.insert(at);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(value, String::new(), &mut found);
    found
}
