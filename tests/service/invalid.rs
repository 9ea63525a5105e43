//! Requests that are refused before anything goes upstream, each bad field by
//! its name. Those of Summarize and Classify are tested with them.

use crate::{
    bad_blocks::bad_blocks,
    bad_requests::{changed, table, with},
    sample_requests::{choice, image, message_of, text},
    support::{World, ask, message, reason, soon, streamed, user, wrong_fields},
};
use claude_grpc::proto::v1::{
    self, Role, content_block::Block, image_block::Source as ImageSource,
};
use tonic::{Code, Request, Status};

fn assert_refused(status: &Status, mut fields: Vec<String>) {
    let mut named = wrong_fields(status);
    named.sort();
    fields.sort();
    assert_eq!(named, fields, "{status:?}");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason(status), "INVALID_REQUEST");
    assert!(
        status.message().starts_with("invalid request: "),
        "{status:?}"
    );
}

#[tokio::test]
async fn each_bad_field_is_named_and_nothing_goes_upstream() {
    let mut world = World::start().await;
    for (request, fields) in table() {
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        let status = soon(world.grpc.generate(request.clone())).await;
        let status = status.expect_err(&format!("{fields:?} passed"));
        assert_refused(&status, fields.clone());
        let below = fields.iter().map(|field| format!("request.{field}"));
        let call = world.grpc.generate_stream(streamed(request));
        assert_refused(&soon(call).await.unwrap_err(), below.collect());
    }
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn many_bad_fields_are_named_at_once() {
    let mut world = World::start().await;
    let mut request = v1::GenerateRequest {
        model: "?".to_owned(),
        messages: vec![message(Role::Unspecified, "x")],
        system: vec![text("")],
        max_tokens: Some(-1),
        stop_sequences: vec![String::new()],
        tools: vec![v1::Tool::default()],
        tool_choice: Some(choice(v1::ToolChoiceMode::Tool)),
        thinking: Some(v1::Thinking { mode: None }),
        effort: 99,
        output_schema_json: "?".to_owned(),
        user_id: "x".repeat(257),
        service_tier: 99,
        cache_control: Some(v1::CacheControl { ttl: 99 }),
        container: Some(v1::ContainerParams::default()),
        inference_geo: " ".to_owned(),
        speed: 99,
        ..v1::GenerateRequest::default()
    };
    let mut fields = vec![
        "model",
        "messages[0].role",
        "system[0].text",
        "max_tokens",
        "stop_sequences[0]",
        "tools[0].name",
        "tools[0].input_schema_json",
        "tool_choice.name",
        "thinking",
        "effort",
        "output_schema_json",
        "user_id",
        "service_tier",
        "cache_control.ttl",
        "container",
        "inference_geo",
        "speed",
    ];
    for (index, (role, block, place)) in bad_blocks().into_iter().enumerate().take(12) {
        request.messages.push(message_of(role, vec![block]));
        fields.push(format!("messages[{}].content[0]{place}", index + 1).leak());
    }
    let status = soon(world.grpc.generate(request)).await.unwrap_err();
    assert_refused(&status, fields.into_iter().map(str::to_owned).collect());
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn metadata_that_is_not_understood_is_refused() {
    let mut world = World::start().await;
    let wrong = [("claude-priority", "urgent"), ("claude-coalesce", "yes")];
    let mut both = Request::new(ask("Hello"));
    for (key, value) in wrong {
        let mut request = Request::new(ask("Hello"));
        for request in [&mut request, &mut both] {
            request.metadata_mut().insert(key, value.parse().unwrap());
        }
        let status = soon(world.grpc.generate(request)).await.unwrap_err();
        assert_refused(&status, vec![format!("metadata.{key}")]);
    }
    let status = soon(world.grpc.generate(both)).await.unwrap_err();
    assert_refused(
        &status,
        wrong.map(|(key, _)| format!("metadata.{key}")).to_vec(),
    );
    assert_eq!(world.attempts(), 0);
    for (key, value) in [
        ("claude-priority", "interactive"),
        ("claude-priority", "batch"),
        ("claude-coalesce", "true"),
        ("claude-coalesce", "false"),
    ] {
        let mut request = Request::new(ask("Hello"));
        request.metadata_mut().insert(key, value.parse().unwrap());
        soon(world.grpc.generate(request)).await.unwrap();
    }
}

#[tokio::test]
async fn what_only_looks_odd_is_let_through() {
    let mut world = World::start().await;
    let url = |url: &str| Block::Image(image(ImageSource::Url(url.to_owned())));
    let gif = Block::Image(image(ImageSource::Data("GIF87a".into())));
    let blank = v1::Message {
        text: "\u{200b}".to_owned(),
        ..user("")
    };
    for request in [
        with(
            Role::User,
            vec![url("HTTPS://EXAMPLE.com:8443/a?b=c#d"), gif],
        ),
        changed(|it| it.messages = vec![user("a"), user("b")]),
        changed(|it| it.messages.push(blank)),
        changed(|it| it.user_id = "é".repeat(256)),
        changed(|it| it.max_tokens = Some(128_000)),
    ] {
        soon(world.grpc.generate(request)).await.unwrap();
    }
}
