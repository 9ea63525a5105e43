//! Calls that need what some hosts lack: the next host that has it serves them, and
//! where there is none they are refused by name, before any request is made.

use crate::{
    generate_calls::generate,
    host_world::HostWorld,
    sample_requests::{message_of, tool},
    support::{Setup, ask, reason, streamed},
};
use claude_grpc::{
    host_features::MessageFeature,
    proto::v1::{self, content_block::Block, tool::Defined},
    upstream::HostKind::{self, BedrockMantle, BedrockRuntime, Claude, Foundry, Vertex},
};
use tonic::{Code, Request, Status};

/// A request that needs a feature, by its name, and what the caller says next to it.
struct Needing {
    feature: &'static str,
    request: v1::GenerateRequest,
    betas: &'static str,
}

fn needing(feature: &'static str, change: impl FnOnce(&mut v1::GenerateRequest)) -> Needing {
    let mut request = ask("Hello");
    change(&mut request);
    Needing {
        feature,
        request,
        betas: "",
    }
}

fn with_tool(defined: Defined) -> impl FnOnce(&mut v1::GenerateRequest) {
    move |request| {
        request.tools.push(v1::Tool {
            defined: Some(defined),
            ..v1::Tool::default()
        });
    }
}

fn with_block(block: Block) -> impl FnOnce(&mut v1::GenerateRequest) {
    move |request| request.messages = vec![message_of(v1::Role::User, vec![block])]
}

fn image(source: v1::image_block::Source) -> Block {
    Block::Image(v1::ImageBlock {
        source: Some(source),
        ..v1::ImageBlock::default()
    })
}

/// What Amazon Bedrock lacks.
fn needs() -> Vec<Needing> {
    use v1::image_block::Source;
    let id = || "file_011CNha8iCJcU1wXNR6q4V8w".to_owned();
    let url = || "https://example.com/a.png".to_owned();
    vec![
        needing(
            "web_search",
            with_tool(Defined::WebSearch(v1::WebSearchTool::default())),
        ),
        needing(
            "code_execution",
            with_tool(Defined::CodeExecution(v1::CodeExecutionTool::default())),
        ),
        needing("files", with_block(image(Source::FileId(id())))),
        needing("url_sources", with_block(image(Source::Url(url())))),
        needing("inference_geo", |request| {
            request.inference_geo = "us".to_owned();
        }),
        // Passed through: a tool, a field, a beta.
        needing("mcp_connector", |request| {
            request.tools.push(v1::Tool {
                other_json: r#"{"type":"mcp_toolset","mcp_server_name":"m"}"#.to_owned(),
                ..v1::Tool::default()
            });
        }),
        needing("mcp_connector", |request| {
            request.extra_json =
                r#"{"mcp_servers":[{"type":"url","name":"m","url":"https://example.com/mcp"}]}"#
                    .to_owned();
        }),
        Needing {
            betas: "fast-mode-2026-02-01",
            ..needing("fast_mode", |_| {})
        },
    ]
}

fn request(needing: &Needing) -> Request<v1::GenerateRequest> {
    let mut request = Request::new(needing.request.clone());
    if !needing.betas.is_empty() {
        let betas = needing.betas.parse().unwrap();
        request.metadata_mut().insert("anthropic-beta", betas);
    }
    request
}

async fn world(kinds: &[HostKind], change: impl FnOnce(&mut Setup)) -> HostWorld {
    HostWorld::with(kinds, |setup| {
        let all = || vec!["*".to_owned()];
        setup.service.passthrough.fields = all();
        setup.service.passthrough.tools = all();
        setup.service.passthrough.betas = all();
        change(setup);
    })
    .await
}

/// Where a call that fails was refused: by the service, which names what is lacking.
fn assert_refused(status: &Status, host: &str, feature: &str) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(reason(status), "HOST_UNAVAILABLE", "{status:?}");
    let named = format!("{host} lacks {feature}");
    assert!(status.message().contains(&named), "{status:?}");
}

#[tokio::test]
async fn a_call_goes_to_the_next_host_that_has_what_it_needs() {
    for bedrock in [BedrockMantle, BedrockRuntime] {
        let mut world = world(&[bedrock, Claude], |setup| {
            setup.upstream.retry.max_retries = 0;
        })
        .await;
        let name = bedrock.name().replace('_', "-");
        assert_eq!(generate(&mut world.grpc, ask("Hello")).await.host, name);
        let before = world.requests();
        for needing in needs() {
            let answered = world.grpc.generate(request(&needing)).await;
            // The simulator may know no such file; it is asked nevertheless.
            if let Ok(answer) = answered {
                assert_eq!(answer.into_inner().host, "claude", "{}", needing.feature);
            }
        }
        let requests = world.requests();
        assert_eq!(requests[0], before[0], "Bedrock was asked");
        assert_eq!(requests[1], needs().len() as u64);
    }
}

#[tokio::test]
async fn with_only_a_host_that_lacks_it_a_call_is_refused_by_name() {
    for bedrock in [BedrockMantle, BedrockRuntime] {
        let mut world = world(&[bedrock], |_| {}).await;
        let name = bedrock.name().replace('_', "-");
        for needing in needs() {
            let status = world.grpc.generate(request(&needing)).await.unwrap_err();
            assert_refused(&status, &name, needing.feature);
            let stream = world
                .grpc
                .generate_stream(streamed(request(&needing).into_inner()));
            if needing.betas.is_empty() {
                assert_refused(&stream.await.unwrap_err(), &name, needing.feature);
            }
        }
        assert_eq!(world.requests(), [0]);
    }
}

#[tokio::test]
async fn each_host_is_named_with_what_it_lacks() {
    let mut world = world(&[Vertex, Foundry, BedrockMantle], |_| {}).await;
    let fast = needing("fast_mode", |request| {
        request.speed = v1::Speed::Fast.into();
    });
    let status = world.grpc.generate(request(&fast)).await;
    let status = status.unwrap_err();
    for host in ["vertex", "foundry", "bedrock-mantle"] {
        assert_refused(&status, host, "fast_mode");
    }
    assert_eq!(world.requests(), [0, 0, 0]);
}

#[tokio::test]
async fn counting_tokens_needs_the_same() {
    let mut world = world(&[BedrockMantle, Claude], |_| {}).await;
    for needing in needs().into_iter().take(4) {
        let counted = world.grpc.count_tokens(v1::CountTokensRequest {
            request: Some(needing.request),
        });
        if let Ok(counted) = counted.await {
            assert_eq!(counted.into_inner().host, "claude", "{}", needing.feature);
        }
    }
    assert_eq!(world.requests(), [0, 4]);
}

#[tokio::test]
async fn an_operator_says_what_a_host_has_and_lacks() {
    let mut world = world(&[BedrockMantle, Claude], |setup| {
        setup.upstream.hosts[0].has = vec![MessageFeature::InferenceGeo];
        setup.upstream.hosts[1].lacks = vec![MessageFeature::WebSearch];
    })
    .await;
    let mut needs = needs();
    let status = world.grpc.generate(request(&needs.remove(0))).await;
    let status = status.unwrap_err();
    assert_refused(&status, "bedrock-mantle", "web_search");
    assert_refused(&status, "claude", "web_search");
    assert_eq!(world.requests(), [0, 0]);
    let geo = needs.iter().find(|it| it.feature == "inference_geo");
    world.grpc.generate(request(geo.unwrap())).await.ok();
    assert_eq!(world.requests(), [1, 0]);
}

/// Vertex AI has web search, in its first version.
#[tokio::test]
async fn a_version_of_a_tool_may_be_there_and_another_not() {
    let mut world = world(&[Vertex], |_| {}).await;
    let search = |version: &str| {
        let tool = v1::WebSearchTool {
            version: version.to_owned(),
            ..v1::WebSearchTool::default()
        };
        needing("", with_tool(Defined::WebSearch(tool))).request
    };
    let answer = generate(&mut world.grpc, search("20250305")).await;
    assert_eq!(answer.host, "vertex");
    let status = world.grpc.generate(search("20260318")).await.unwrap_err();
    assert_refused(&status, "vertex", "dynamic_filtering");
}

#[tokio::test]
async fn a_named_host_that_lacks_it_is_not_asked() {
    let mut world = world(&[Claude, BedrockRuntime], |_| {}).await;
    let needing = needs().remove(0);
    let mut request = request(&needing);
    let named = "bedrock-runtime".parse().unwrap();
    request.metadata_mut().insert("claude-host", named);
    let status = world.grpc.generate(request).await.unwrap_err();
    assert_refused(&status, "bedrock-runtime", "web_search");
    assert_eq!(world.requests(), [0, 0]);
}

/// On Amazon Bedrock's runtime, some models answer by a schema.
#[tokio::test]
async fn classify_goes_where_the_model_answers_by_a_schema() {
    let mut world = world(&[BedrockRuntime, Claude], |_| {}).await;
    let classify = |model: &str| v1::ClassifyRequest {
        model: model.to_owned(),
        text: "It arrived broken".to_owned(),
        labels: ["complaint", "praise"]
            .map(|name| v1::Label {
                name: name.to_owned(),
                ..v1::Label::default()
            })
            .to_vec(),
        ..v1::ClassifyRequest::default()
    };
    for (model, host) in [
        ("claude-opus-4-6", "bedrock-runtime"),
        ("claude-opus-4-8", "claude"),
    ] {
        let answer = world.grpc.classify(classify(model)).await.unwrap();
        assert_eq!(answer.into_inner().host, host, "{model}");
    }
}

/// A tool of the caller's own needs nothing.
#[tokio::test]
async fn what_all_hosts_have_is_served_by_the_first() {
    let mut world = world(&[BedrockMantle, Claude], |_| {}).await;
    let request = v1::GenerateRequest {
        tools: vec![tool()],
        ..ask("How is the weather?")
    };
    assert_eq!(
        generate(&mut world.grpc, request).await.host,
        "bedrock-mantle"
    );
}
