//! Generate: what goes up is in the corpus; here is what comes down, and what
//! of it goes up again.

use crate::{
    generate_calls::{gathered, generate},
    sample_requests::{self, choice, mark, message_of, text, thinking, tool},
    support::{World, ask, message, reason, soon, wrong_fields},
};
use claude_grpc::{
    proto::v1::{self, content_block::Block, thinking::Mode},
    simulator::Behaviour,
};
use tonic::Code;

/// The conversation with an answer in it, and one more question.
fn next_turn(
    mut request: v1::GenerateRequest,
    answer: &v1::GenerateResponse,
) -> v1::GenerateRequest {
    request.messages.push(v1::Message {
        role: v1::Role::Assistant.into(),
        text: String::new(),
        content: answer.content.clone(),
        ..v1::Message::default()
    });
    let uses = answer.content.iter().filter_map(|it| match &it.block {
        Some(Block::ToolUse(block)) => Some(Block::ToolResult(sample_requests::result(&block.id))),
        _ => None,
    });
    let mut reply: Vec<Block> = uses.collect();
    reply.push(Block::Text(text("And then?")));
    request.messages.push(message_of(v1::Role::User, reply));
    request
}

/// Answers of every kind: what is asked, and what the API does with it.
fn answers() -> Vec<(v1::GenerateRequest, Option<Behaviour>)> {
    let thinks = v1::GenerateRequest {
        thinking: thinking(Mode::Adaptive(v1::AdaptiveThinking::default())),
        ..ask("Think about the weather.")
    };
    let uses_tool = v1::GenerateRequest {
        tools: vec![tool()],
        ..ask("How is the weather in Graz?")
    };
    let structured = v1::GenerateRequest {
        output_schema_json: r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}"#.to_owned(),
        ..ask("How many?")
    };
    let stops = v1::GenerateRequest {
        stop_sequences: vec!["wrote".to_owned()],
        ..ask("Hello")
    };
    let mut answers: Vec<_> = [ask("Hello"), thinks, uses_tool, structured, stops]
        .map(|request| (request, None))
        .to_vec();
    answers.extend(
        [
            Behaviour::Thinking,
            Behaviour::Citations,
            Behaviour::UnknownBlock,
            Behaviour::UnknownStopReason,
            Behaviour::Refusal,
            Behaviour::MaxTokens,
            Behaviour::Text("\"quotes\", \\ and 日本語 \u{1f600}\n".to_owned()),
            Behaviour::Text(String::new()),
        ]
        .map(|behaviour| (ask("Hello"), Some(behaviour))),
    );
    answers
}

#[tokio::test]
async fn an_answer_is_the_same_whole_gathered_and_streamed() {
    let mut world = World::start().await;
    for (request, behaviour) in answers() {
        let what = format!("{behaviour:?} {request:?}");
        let unknown = match behaviour {
            Some(Behaviour::UnknownBlock) => (1, 1),
            _ => (0, 0),
        };
        world
            .simulator
            .next(std::iter::repeat_n(behaviour, 3).flatten());
        let mut whole = generate(&mut world.grpc, request.clone()).await;
        // So many tokens could take minutes: they are streamed from the API.
        let long = v1::GenerateRequest {
            max_tokens: Some(64_000),
            ..request.clone()
        };
        let mut gathered_here = generate(&mut world.grpc, long).await;
        let mut gathered_there = gathered(&mut world.grpc, request).await;
        let streams: Vec<bool> = world.bodies()[world.attempts() as usize - 3..]
            .iter()
            .map(|body| body.get("stream").is_some_and(|it| it == true))
            .collect();
        assert_eq!(streams, [false, true, true]);
        let answers = [&mut whole, &mut gathered_here, &mut gathered_there];
        for answer in answers {
            assert!(answer.id.starts_with("msg_"));
            assert!(answer.request_id.starts_with("req_"));
            answer.id.clear();
            answer.request_id.clear();
            forget_ids(answer);
        }
        assert_eq!(gathered_here, gathered_there, "{what}");
        // Only a stream has these.
        let events = std::mem::take(&mut gathered_here.other_events);
        let deltas = std::mem::take(&mut gathered_here.other_deltas);
        assert_eq!((events.len(), deltas.len()), unknown, "{what}");
        assert_eq!(gathered_here, whole, "{what}");
    }
}

/// Ids and signatures that the simulator makes from the whole request.
fn forget_ids(answer: &mut v1::GenerateResponse) {
    for block in &mut answer.content {
        match block.block.as_mut().unwrap() {
            Block::Thinking(block) => {
                assert!(!block.signature.is_empty());
                block.signature.clear();
            }
            Block::RedactedThinking(block) => {
                assert!(!block.data.is_empty());
                block.data.clear();
            }
            Block::ToolUse(block) => {
                assert!(block.id.starts_with("toolu_"));
                block.id.clear();
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_answer_can_be_sent_back_unchanged() {
    let mut world = World::start().await;
    for (request, behaviour) in answers() {
        let empty = behaviour == Some(Behaviour::Text(String::new()));
        world.simulator.next(behaviour.clone());
        let answer = gathered(&mut world.grpc, request.clone()).await;
        let next = soon(world.grpc.generate(next_turn(request, &answer))).await;
        if empty {
            // The API takes no empty texts, though it may give one.
            assert_eq!(
                wrong_fields(&next.unwrap_err()),
                ["messages[1].content[0].text.text"]
            );
            continue;
        }
        next.unwrap_or_else(|status| panic!("{behaviour:?}: {status:?}"));
        let body = world.bodies().pop().unwrap();
        let sent = body["messages"][1]["content"].as_array().unwrap();
        assert_eq!(sent.len(), answer.content.len());
        for (sent, block) in sent.iter().zip(&answer.content) {
            match block.block.as_ref().unwrap() {
                Block::Text(it) => {
                    assert_eq!(sent["text"], it.text);
                    let citations = sent.get("citations").and_then(|it| it.as_array());
                    assert_eq!(citations.map_or(0, Vec::len), it.citations_json.len());
                }
                Block::Thinking(it) => assert_eq!(sent["signature"], it.signature),
                Block::RedactedThinking(it) => assert_eq!(sent["data"], it.data),
                Block::ToolUse(it) => assert_eq!(sent["input"].to_string(), it.input_json),
                Block::Other(it) => assert_eq!(sent.to_string(), it.json),
                other => panic!("not in an answer: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn why_the_model_stopped_is_told_in_both_forms() {
    let mut world = World::start().await;
    use v1::StopReason;
    for (request, behaviour) in answers() {
        let expected = match &behaviour {
            Some(Behaviour::Refusal) => (StopReason::Refusal, "refusal"),
            Some(Behaviour::MaxTokens) => (StopReason::MaxTokens, "max_tokens"),
            Some(Behaviour::UnknownStopReason) => (StopReason::Unspecified, "simulated_unknown"),
            _ if !request.stop_sequences.is_empty() => (StopReason::StopSequence, "stop_sequence"),
            _ if !request.tools.is_empty() => (StopReason::ToolUse, "tool_use"),
            _ => (StopReason::EndTurn, "end_turn"),
        };
        world.simulator.next(behaviour);
        let sequence = request.stop_sequences.first().cloned();
        let answer = generate(&mut world.grpc, request).await;
        assert_eq!((answer.stop_reason(), &*answer.stop_reason_text), expected);
        assert_eq!(answer.stop_sequence, sequence.unwrap_or_default());
        match answer.refusal {
            Some(refusal) => {
                assert_eq!(expected.0, StopReason::Refusal);
                assert_eq!(refusal.category, "general_harms");
                assert!(!refusal.explanation.is_empty());
            }
            None => assert_ne!(expected.0, StopReason::Refusal),
        }
    }
}

#[tokio::test]
async fn the_usage_tells_what_the_cache_did() {
    let mut world = World::start().await;
    let request = |ttl| v1::GenerateRequest {
        system: vec![v1::TextBlock {
            cache_control: mark(ttl),
            ..text(&format!("{ttl:?} ").repeat(1000))
        }],
        ..ask("Hello")
    };
    for ttl in [v1::CacheTtl::CacheTtl5m, v1::CacheTtl::CacheTtl1h] {
        let first = generate(&mut world.grpc, request(ttl)).await.usage.unwrap();
        let again = gathered(&mut world.grpc, request(ttl)).await.usage.unwrap();
        let written = first.cache_creation_input_tokens;
        assert!(written > 1024, "{first:?}");
        let by_ttl = (
            first.cache_creation_5m_input_tokens,
            first.cache_creation_1h_input_tokens,
        );
        let kept_for_5m = ttl == v1::CacheTtl::CacheTtl5m;
        assert_eq!(
            by_ttl,
            if kept_for_5m {
                (written, 0)
            } else {
                (0, written)
            }
        );
        assert_eq!(first.cache_read_input_tokens, 0);
        assert_eq!(again.cache_read_input_tokens, written);
        assert_eq!(again.cache_creation_input_tokens, 0);
        assert_eq!(again.input_tokens, first.input_tokens);
        for usage in [first, again] {
            assert_eq!(usage.total_input_tokens, usage.input_tokens + written);
            assert_eq!(usage.service_tier, "standard");
        }
    }
}

#[tokio::test]
async fn thinking_is_counted_by_itself() {
    let mut world = World::start().await;
    world.simulator.next([Behaviour::Thinking]);
    let usage = generate(&mut world.grpc, ask("Hello")).await.usage.unwrap();
    assert!(usage.thinking_tokens > 0 && usage.thinking_tokens < usage.output_tokens);
}

#[tokio::test]
async fn the_model_is_the_callers_or_the_configured_one() {
    let mut world = World::with(|setup| {
        setup.service.generate.model = "claude-opus-4-8".to_owned();
        let allowed = ["claude-haiku-5-5", "claude-sonnet-5-5"];
        setup.service.allowed_models = allowed.map(str::to_owned).to_vec();
    })
    .await;
    let asked = |model: &str| v1::GenerateRequest {
        model: model.to_owned(),
        ..ask("Hello")
    };
    // The operator's own choice needs no permission.
    for (model, answers) in [
        ("", "claude-opus-4-8"),
        ("claude-haiku-5-5", "claude-haiku-5-5"),
    ] {
        let answer = generate(&mut world.grpc, asked(model)).await;
        assert_eq!(answer.model, answers);
        assert_eq!(world.bodies().pop().unwrap()["model"], answers);
    }
    let before = world.attempts();
    let status = soon(world.grpc.generate(asked("claude-opus-5-5")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&status), ["model"]);
    for allowed in ["claude-haiku-5-5", "claude-sonnet-5-5"] {
        assert!(status.message().contains(allowed), "{status:?}");
    }
    assert_eq!(world.attempts(), before);
}

#[tokio::test]
async fn a_model_that_the_api_does_not_know_is_not_found() {
    let mut world = World::start().await;
    let request = v1::GenerateRequest {
        model: "claude-nobody-1".to_owned(),
        ..ask("Hello")
    };
    let status = soon(world.grpc.generate(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status), "UPSTREAM_NOT_FOUND");
}

#[tokio::test]
async fn a_conversation_goes_on_over_a_tool() {
    let mut world = World::start().await;
    let request = v1::GenerateRequest {
        tools: vec![tool()],
        tool_choice: Some(choice(v1::ToolChoiceMode::Auto)),
        ..ask("How is the weather in Graz?")
    };
    let answer = generate(&mut world.grpc, request.clone()).await;
    let Some(Block::ToolUse(tool_use)) = &answer.content[0].block else {
        panic!("{answer:?}");
    };
    assert_eq!(tool_use.name, "weather");
    let mut request = next_turn(request, &answer);
    let result = v1::ToolResultBlock {
        content: sample_requests::blocks(vec![Block::Text(text("21 degrees"))]),
        ..sample_requests::result(&tool_use.id)
    };
    *request.messages.last_mut().unwrap() =
        message_of(v1::Role::User, vec![Block::ToolResult(result)]);
    request
        .messages
        .push(message(v1::Role::System, "Be brief."));
    let answer = generate(&mut world.grpc, request).await;
    let Some(Block::Text(said)) = &answer.content[0].block else {
        panic!("{answer:?}");
    };
    assert!(said.text.contains("21 degrees"), "{said:?}");
}

#[tokio::test]
async fn an_answer_of_no_tokens_is_empty() {
    let mut world = World::start().await;
    let request = v1::GenerateRequest {
        max_tokens: Some(0),
        cache_control: mark(v1::CacheTtl::Unspecified),
        ..ask("Hello")
    };
    let answer = soon(world.grpc.generate(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(world.bodies()[0]["max_tokens"], 0);
    assert_eq!(answer.content, []);
    assert_eq!(answer.usage.unwrap().output_tokens, 0);
}
