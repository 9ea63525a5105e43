//! With several API keys, what belongs together is asked with one of them.

use crate::{
    scripted::{Script, ScriptedWorld, outcome},
    support::{ask, message, user, wrong_fields},
};
use claude_grpc::proto::v1;
use std::collections::BTreeSet;
use tonic::Request;

const KEYS: [&str; 4] = ["sk-1", "sk-2", "sk-3", "sk-4"];
const TURNS: usize = 12;

/// The conversation up to the n-th turn of the caller.
fn turn(topic: &str, number: usize) -> v1::GenerateRequest {
    let mut messages = vec![user(topic)];
    for turn in 1..number {
        messages.push(message(v1::Role::Assistant, &format!("answer {turn}")));
        messages.push(user(&format!("question {turn}")));
    }
    v1::GenerateRequest {
        messages,
        ..ask("")
    }
}

fn named<T>(name: &str, request: T) -> Request<T> {
    let mut request = Request::new(request);
    let name = name.parse().unwrap();
    request.metadata_mut().insert("claude-conversation", name);
    request
}

async fn keys_of(world: &ScriptedWorld, from: usize) -> BTreeSet<String> {
    let asked = world.asked().await;
    asked[from..]
        .iter()
        .map(|asked| asked.key.clone())
        .collect()
}

#[tokio::test]
async fn the_turns_of_a_conversation_are_asked_with_one_key() {
    let world = ScriptedWorld::with(&KEYS, |_| {}, Script::answer).await;
    let mut all = BTreeSet::new();
    for topic in 0..8 {
        let before = world.asked().await.len();
        for number in 1..=TURNS {
            let request = turn(&format!("topic {topic}"), number);
            assert_eq!(outcome(&world, request).await, "ok");
        }
        let keys = keys_of(&world, before).await;
        assert_eq!(keys.len(), 1, "{keys:?}");
        all.extend(keys);
    }
    assert!(all.len() > 1, "all conversations with one key");
}

#[tokio::test]
async fn a_conversation_that_has_a_name_stays_with_its_key() {
    let world = ScriptedWorld::with(&KEYS, |_| {}, Script::answer).await;
    for number in 0..TURNS {
        let request = ask(&format!("unlike {number}"));
        let request = named("conversation-7", request);
        assert_eq!(outcome(&world, request).await, "ok");
    }
    assert_eq!(keys_of(&world, 0).await.len(), 1);
    for wrong in [String::new(), "x".repeat(129)] {
        let request = named(&wrong, ask("hello"));
        let status = world.grpc.clone().generate(request).await.unwrap_err();
        assert_eq!(wrong_fields(&status), ["metadata.claude-conversation"]);
    }
}

#[tokio::test]
async fn a_conversation_goes_on_when_its_key_is_rejected() {
    let world = ScriptedWorld::with(
        &KEYS[..2],
        |_| {},
        |asked| match asked.key.as_str() {
            "sk-1" => Script::error(401, "authentication_error"),
            _ => Script::answer(asked),
        },
    )
    .await;
    for topic in 0..16 {
        let request = turn(&format!("topic {topic}"), 3);
        assert_eq!(outcome(&world, request).await, "ok");
    }
    let asked = world.asked().await;
    let rejected = asked.iter().filter(|asked| asked.key == "sk-1").count();
    assert_eq!((asked.len(), rejected), (17, 1));
}

#[tokio::test]
async fn texts_that_share_a_cached_prompt_are_asked_with_one_key() {
    let world = ScriptedWorld::with(&KEYS, |_| {}, Script::answer).await;
    for number in 0..TURNS {
        let request = v1::SummarizeRequest {
            text: format!("text {number}"),
            ..v1::SummarizeRequest::default()
        };
        world.grpc.clone().summarize(request).await.unwrap();
    }
    assert_eq!(keys_of(&world, 0).await.len(), 1);
}
