//! What callers say to the API that has no field of ours, within what the operator
//! allows.

use crate::{
    sample_requests::message_of,
    support::{PROTOCOLS, World, ask, message, soon, streamed, user, wrong_fields},
};
use claude_grpc::{
    claude::request::Effort,
    proto::v1::{self, content_block::Block},
    service::PassthroughConfig,
    simulator::Behaviour,
};
use tonic::{Code, Request, Status};

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

async fn allowing(change: impl FnOnce(&mut PassthroughConfig)) -> World {
    World::with(|setup| change(&mut setup.service.passthrough)).await
}

async fn allowing_all() -> World {
    allowing(|it| {
        *it = PassthroughConfig {
            fields: all(),
            tools: all(),
            blocks: all(),
            betas: all(),
            workspaces: all(),
            user_profiles: all(),
        };
    })
    .await
}

/// The body that the API gets, whatever it makes of it.
async fn sent(world: &mut World, request: v1::GenerateRequest) -> String {
    world.simulator.next([Behaviour::Error(400)]);
    let status = soon(world.grpc.generate(request)).await.unwrap_err();
    let body = world.simulator.requests().pop();
    let body = body.unwrap_or_else(|| panic!("{status:?}")).body;
    String::from_utf8(body.to_vec()).unwrap()
}

async fn refused(world: &mut World, request: v1::GenerateRequest) -> Status {
    let before = world.attempts();
    let status = soon(world.grpc.generate(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(world.attempts(), before);
    status
}

fn with_extra(json: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        extra_json: json.to_owned(),
        effort: v1::Effort::Low.into(),
        ..ask("Hello")
    }
}

#[tokio::test]
async fn fields_are_merged_as_they_are_written() {
    let mut world = allowing_all().await;
    let thread = r#"{ "type" : "create", "n":123456789012345678901234567890, "x":1.0 }"#;
    let extra =
        format!(r#"{{"thread":{thread},"output_config":{{"task_budget":{{"total":1E2}}}}}}"#);
    let body = sent(&mut world, with_extra(&extra)).await;
    assert!(body.contains(&format!(r#""thread":{thread}"#)), "{body}");
    let merged = r#""output_config":{"effort":"low","task_budget":{"total":1E2}}"#;
    assert!(body.contains(merged), "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["messages"][0]["role"], "user");
    assert_eq!(
        Effort::Low,
        serde_json::from_value(body["output_config"]["effort"].clone()).unwrap()
    );
}

#[tokio::test]
async fn fields_that_are_not_allowed_are_refused_by_name() {
    let mut world = allowing(|it| {
        it.fields = vec!["thread".to_owned(), "output_config.task_budget".to_owned()]
    })
    .await;
    sent(
        &mut world,
        with_extra(r#"{"thread":1,"output_config":{"task_budget":1}}"#),
    )
    .await;
    let status = refused(
        &mut world,
        with_extra(r#"{"context_management":{},"output_config":{"other":1}}"#),
    )
    .await;
    assert_eq!(
        wrong_fields(&status),
        [
            "extra_json.context_management",
            "extra_json.output_config.other"
        ]
    );
    for name in [
        "context_management",
        "output_config.other",
        "service.passthrough.fields",
    ] {
        assert!(status.message().contains(name), "{status:?}");
    }
}

#[tokio::test]
async fn fields_that_others_rely_on_are_refused_however_they_are_written() {
    let mut world = allowing_all().await;
    for (extra, field) in [
        (r#"{"model":"claude-opus-5-5"}"#, "extra_json.model"),
        (r#"{"\u006dodel":"claude-opus-5-5"}"#, "extra_json.model"),
        (r#"{"max_tokens":1000000}"#, "extra_json.max_tokens"),
        (r#"{"stream":true}"#, "extra_json.stream"),
        (r#"{"messages":[]}"#, "extra_json.messages"),
        (r#"{"system":"x"}"#, "extra_json.system"),
        (r#"{"tools":[]}"#, "extra_json.tools"),
        (
            r#"{"fallbacks":[{"model":"claude-opus-5-5"}]}"#,
            "extra_json.fallbacks",
        ),
        (
            r#"{"output_config":{"effort":"max"}}"#,
            "extra_json.output_config.effort",
        ),
        (r#"{"output_config":null}"#, "extra_json.output_config"),
        (
            r#"{"thinking":{"type":"disabled"}}"#,
            "extra_json.thinking.type",
        ),
        (r#"{"thread":1,"thread":2}"#, "extra_json.thread"),
        (r#"{"a b":1}"#, "extra_json.a b"),
        ("[]", "extra_json"),
        (r#"{"a":1"#, "extra_json"),
    ] {
        let status = refused(&mut world, with_extra(extra)).await;
        assert_eq!(wrong_fields(&status), [field], "{extra}");
    }
}

#[tokio::test]
async fn fields_of_messages_and_blocks_are_sent() {
    let mut world = allowing(|it| {
        it.fields = vec![
            "messages.clear_at".to_owned(),
            "messages.content.new_field".to_owned(),
        ];
        it.blocks = vec!["mcp_tool_listing".to_owned()];
    })
    .await;
    let listing = r#"{"type":"mcp_tool_listing", "n":1.0}"#;
    let other = |json: &str| {
        Block::Other(v1::OtherBlock {
            json: json.to_owned(),
            ..v1::OtherBlock::default()
        })
    };
    let request = |extra: &str, listing: &str, of_block: &str| {
        let mut blocks = message_of(
            v1::Role::User,
            vec![
                other(listing),
                Block::Text(crate::sample_requests::text("x")),
            ],
        );
        blocks.content[1].extra_json = of_block.to_owned();
        v1::GenerateRequest {
            messages: vec![
                user("Hello"),
                v1::Message {
                    extra_json: extra.to_owned(),
                    ..message(v1::Role::System, "Be brief.")
                },
                blocks,
            ],
            ..ask("")
        }
    };
    let body = sent(
        &mut world,
        request(r#"{"clear_at":1.0}"#, listing, r#"{"new_field":[1.0]}"#),
    )
    .await;
    for part in [
        r#"{"role":"system","content":"Be brief.","clear_at":1.0}"#,
        listing,
        r#"{"type":"text","text":"x","new_field":[1.0]}"#,
    ] {
        assert!(body.contains(part), "{body}");
    }
    let wrong = request(
        r#"{"role":"user","x":1}"#,
        r#"{"type":"compaction"}"#,
        r#"{"y":1}"#,
    );
    let status = refused(&mut world, wrong).await;
    assert_eq!(
        wrong_fields(&status),
        [
            "messages[1].extra_json.role",
            "messages[1].extra_json.x",
            "messages[2].content[0].other.json",
            "messages[2].content[1].extra_json.y",
        ]
    );
}

#[tokio::test]
async fn tools_are_sent_as_they_are_written() {
    let mut world = allowing(|it| it.tools = vec!["computer_20251124".to_owned()]).await;
    let with_tool = |json: &str, name: &str| v1::GenerateRequest {
        tools: vec![v1::Tool {
            other_json: json.to_owned(),
            name: name.to_owned(),
            ..v1::Tool::default()
        }],
        ..ask("Hello")
    };
    let computer = r#"{"type":"computer_20251124","name":"computer", "n":1.0}"#;
    let request = v1::GenerateRequest {
        tool_choice: Some(v1::ToolChoice {
            mode: v1::ToolChoiceMode::Tool.into(),
            name: "computer".to_owned(),
            ..v1::ToolChoice::default()
        }),
        ..with_tool(computer, "")
    };
    let body = sent(&mut world, request).await;
    assert!(body.contains(&format!(r#""tools":[{computer}]"#)), "{body}");
    for (json, name, field) in [
        (r#"{"type":"mcp_toolset"}"#, "", "tools[0].other_json"),
        (r#"{"type":"custom","name":"x"}"#, "", "tools[0].other_json"),
        (r#"{"name":"x"}"#, "", "tools[0].other_json"),
        (computer, "computer", "tools[0]"),
    ] {
        let status = refused(&mut world, with_tool(json, name)).await;
        assert_eq!(wrong_fields(&status), [field], "{json}");
    }
}

fn with_metadata<T>(message: T, metadata: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in metadata {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}

const HEADERS: [(&str, &str); 4] = [
    ("anthropic-beta", "first-2026-01-01, second-2026-01-01"),
    ("anthropic-beta", "third-2026-01-01"),
    ("anthropic-workspace-id", "wrkspc_1"),
    ("anthropic-user-profile-id", "profile_1"),
];

#[tokio::test]
async fn headers_are_sent_with_each_attempt_of_each_rpc() {
    for protocol in PROTOCOLS {
        let mut world = World::over(protocol, |setup| {
            let passthrough = &mut setup.service.passthrough;
            for list in [
                &mut passthrough.betas,
                &mut passthrough.workspaces,
                &mut passthrough.user_profiles,
            ] {
                *list = all();
            }
            setup.upstream.betas =
                vec!["ours-2026-01-01".to_owned(), "second-2026-01-01".to_owned()];
            setup.upstream.workspace_id = Some("wrkspc_ours".to_owned());
        })
        .await;
        world.simulator.next([Behaviour::Error(529)]);
        let generate = with_metadata(ask("Hello"), &HEADERS);
        soon(world.grpc.generate(generate)).await.unwrap();
        let stream = with_metadata(streamed(ask("Hello")), &HEADERS);
        soon(world.grpc.generate_stream(stream)).await.unwrap();
        let models = with_metadata(v1::ListModelsRequest::default(), &HEADERS);
        soon(world.grpc.list_models(models)).await.unwrap();
        let count = v1::CountTokensRequest {
            request: Some(ask("Hello")),
        };
        soon(world.grpc.count_tokens(with_metadata(count, &HEADERS)))
            .await
            .unwrap();
        let summarize = v1::SummarizeRequest {
            text: "A text.".to_owned(),
            ..v1::SummarizeRequest::default()
        };
        soon(world.grpc.summarize(with_metadata(summarize, &HEADERS)))
            .await
            .unwrap();
        let requests = world.simulator.requests();
        assert_eq!(requests.len(), 6);
        for request in &requests {
            let of = |name: &str| request.headers[name].to_str().unwrap();
            assert_eq!(
                of("anthropic-beta"),
                "ours-2026-01-01,second-2026-01-01,first-2026-01-01,third-2026-01-01"
            );
            assert_eq!(of("anthropic-workspace-id"), "wrkspc_1");
            assert_eq!(of("anthropic-user-profile-id"), "profile_1");
            assert_eq!(of("anthropic-version"), "2026-10-21");
        }
        // Those that are configured go with all calls.
        soon(world.grpc.generate(ask("Hello"))).await.unwrap();
        let last = world.simulator.requests().pop().unwrap();
        assert_eq!(
            last.headers["anthropic-beta"],
            "ours-2026-01-01,second-2026-01-01"
        );
        assert_eq!(last.headers["anthropic-workspace-id"], "wrkspc_ours");
        assert!(!last.headers.contains_key("anthropic-user-profile-id"));
    }
}

#[tokio::test]
async fn headers_that_are_not_allowed_are_refused_by_name() {
    let mut world = allowing(|it| it.betas = vec!["first-2026-01-01".to_owned()]).await;
    let metadata = [&HEADERS[..], &[("anthropic-version", "2023-06-01")]].concat();
    let status = soon(world.grpc.generate(with_metadata(ask("Hello"), &metadata)))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let mut fields = wrong_fields(&status);
    fields.sort();
    assert_eq!(
        fields,
        [
            "metadata.anthropic-beta",
            "metadata.anthropic-beta",
            "metadata.anthropic-user-profile-id",
            "metadata.anthropic-version",
            "metadata.anthropic-workspace-id",
        ]
    );
    assert!(
        format!("{status:?}").contains("second-2026-01-01 is not allowed"),
        "{status:?}"
    );
    let twice = [
        ("anthropic-workspace-id", "a"),
        ("anthropic-workspace-id", "b"),
    ];
    let status = soon(world.grpc.generate(with_metadata(ask("Hello"), &twice)))
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&status), ["metadata.anthropic-workspace-id"]);
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn calls_with_different_headers_do_not_share_a_response() {
    let world = World::with(|setup| {
        setup.service.passthrough.workspaces = all();
        setup.service.generate.coalesce = true;
    })
    .await;
    world
        .simulator
        .next([Behaviour::Hang, Behaviour::Hang, Behaviour::Hang]);
    let call = |workspace: &'static str| {
        let mut grpc = world.grpc.clone();
        let request = with_metadata(ask("Hello"), &[("anthropic-workspace-id", workspace)]);
        tokio::spawn(async move { grpc.generate(request).await })
    };
    let calls = [call("a"), call("b"), call("a")];
    soon(async {
        while world.upstream.coalesced.count() < 1 || world.attempts() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((world.upstream.coalesced.count(), world.attempts()), (1, 2));
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn extra(json: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        extra_json: json.to_owned(),
        ..ask("Hello")
    }
}

fn among_many(metadata: &[(&'static str, &str)]) -> Request<v1::GenerateRequest> {
    let mut request = Request::new(ask("Hello"));
    for (key, value) in metadata {
        request.metadata_mut().append(*key, value.parse().unwrap());
    }
    for number in 0..40 {
        let key: tonic::metadata::MetadataKey<_> = format!("x-{number}").parse().unwrap();
        request.metadata_mut().insert(key, "1".parse().unwrap());
    }
    request
}

#[tokio::test]
async fn unknown_metadata_is_refused_among_many_headers_too() {
    let mut world = World::start().await;
    let call = world.grpc.generate(among_many(&[("anthropic-new", "1")]));
    let status = soon(call).await.expect_err("anthropic-new was dropped");
    assert_eq!(wrong_fields(&status), ["metadata.anthropic-new"]);
}

#[tokio::test]
async fn no_beta_is_dropped_among_many_headers() {
    let mut world = World::with(|it| it.service.passthrough.betas = names(&["*"])).await;
    let betas = ["b-1", "b-2", "b-3", "b-4", "b-5"].map(|beta| ("anthropic-beta", beta));
    soon(world.grpc.generate(among_many(&betas))).await.unwrap();
    let sent = world.simulator.requests().pop().unwrap();
    assert_eq!(sent.headers["anthropic-beta"], "b-1,b-2,b-3,b-4,b-5");
}

#[tokio::test]
async fn a_dotted_path_is_allowed_also_without_a_sibling() {
    let mut world = World::with(|it| {
        it.service.passthrough.fields = names(&["output_config.task_budget"]);
    })
    .await;
    world.simulator.next([Behaviour::Error(400)]);
    let json = r#"{"output_config":{"task_budget":{"total":1}}}"#;
    let _ = soon(world.grpc.generate(extra(json))).await;
    assert_eq!(world.attempts(), 1, "refused without `effort`");
}

#[tokio::test]
async fn typed_fields_are_refused_also_when_they_are_not_set() {
    let mut passed = Vec::new();
    for json in [
        r#"{"metadata":{"user_id":"u"}}"#,
        r#"{"output_config":{"effort":"max"}}"#,
        r#"{"output_config":{"format":{"type":"json_schema","schema":{}}}}"#,
        r#"{"service_tier":"auto"}"#,
        r#"{"thinking":{"type":"enabled","budget_tokens":100000}}"#,
        r#"{"stop_sequences":[""]}"#,
        r#"{"tool_choice":{"type":"any"}}"#,
        r#"{"cache_control":{"type":"ephemeral"}}"#,
        r#"{"container":"container_1"}"#,
        r#"{"diagnostics":{"previous_message_id":null}}"#,
        r#"{"inference_geo":"us"}"#,
        r#"{"speed":"fast"}"#,
    ] {
        let mut world = World::with(|it| it.service.passthrough.fields = names(&["*"])).await;
        world.simulator.next([Behaviour::Error(400)]);
        let _ = soon(world.grpc.generate(extra(json))).await;
        if world.attempts() > 0 {
            passed.push(json);
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
}

#[tokio::test]
async fn a_tool_that_is_passed_through_names_no_model() {
    let mut world = World::with(|it| {
        it.service.allowed_models = names(&["claude-sonnet-5-5", "claude-haiku-5-5"]);
        it.service.passthrough.tools = names(&["advisor_20260301"]);
    })
    .await;
    let deep = format!(r#""x":{}{},"model""#, "[".repeat(200), "]".repeat(200));
    for model in [r#""model""#, r#""\u006dodel""#, &deep] {
        let json = format!(r#"{{"type":"advisor_20260301",{model}:"claude-opus-5-5"}}"#);
        let tool = v1::Tool {
            other_json: json,
            ..v1::Tool::default()
        };
        let request = v1::GenerateRequest {
            tools: vec![tool],
            ..ask("Hello")
        };
        let status = refused(&mut world, request).await;
        assert_eq!(wrong_fields(&status), ["tools[0].other_json"], "{status:?}");
    }
}

#[tokio::test]
async fn fields_are_sent_with_counts_of_tokens_too() {
    let mut world = World::with(|it| it.service.passthrough.fields = names(&["*"])).await;
    world.simulator.next([Behaviour::Error(400)]);
    let request = v1::CountTokensRequest {
        request: Some(extra(r#"{"context_management":{"edits":[]}}"#)),
    };
    let _ = soon(world.grpc.count_tokens(request)).await;
    let body = &world.bodies()[0];
    assert!(body.get("context_management").is_some(), "{body}");
}
