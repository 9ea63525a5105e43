//! The port itself: health, reflection, compression, connections.

use crate::{
    raw_grpc::{GENERATE, framed, post},
    support::{Grpc, HttpClient, World, ask, connect, http_client, reason, soon, streamed},
};
use claude_grpc::{
    proto::{SERVICE_NAME, v1},
    simulator::Behaviour,
};
use http::Uri;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::Message as _;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio_stream::StreamExt;
use tonic::{Code, Status, codec::CompressionEncoding};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use tower::Service;

pub fn health(world: &World) -> HealthClient<HttpClient> {
    HealthClient::with_origin(http_client(), origin(world))
}

fn origin(world: &World) -> Uri {
    format!("http://{}", world.address).parse().unwrap()
}

pub fn health_of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn health_is_told_for_the_server_and_for_the_service() {
    let world = World::start().await;
    let mut health = health(&world);
    for name in ["", SERVICE_NAME] {
        let answer = soon(health.check(health_of(name))).await.unwrap();
        assert_eq!(
            answer.into_inner().status(),
            ServingStatus::Serving,
            "{name:?}"
        );
    }
    let status = soon(health.check(health_of("nobody"))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status), "SERVICE_UNKNOWN");
    // An outage of the API is not one of this server.
    world.simulator.always(Some(Behaviour::Overloaded));
    soon(world.grpc.clone().generate(ask("Hello")))
        .await
        .unwrap_err();
    let answer = soon(health.check(health_of(""))).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
}

/// `grpc.health.v1.HealthListResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthList {
    #[prost(map = "string, message", tag = "1")]
    statuses: HashMap<String, HealthCheckResponse>,
}

#[tokio::test]
async fn health_lists_the_server_and_the_service() {
    let world = World::start().await;
    let answer = post(&world, "/grpc.health.v1.Health/List", &[], framed(b"")).await;
    assert_eq!(answer.status().code(), Code::Ok);
    let list = HealthList::decode(&answer.body[5..]).unwrap();
    for name in ["", SERVICE_NAME] {
        assert_eq!(list.statuses[name].status(), ServingStatus::Serving);
    }
    assert_eq!(list.statuses.len(), 2);
}

#[tokio::test]
async fn a_watcher_sees_the_drain_begin() {
    let world = World::start().await;
    let watch = soon(health(&world).watch(health_of(SERVICE_NAME))).await;
    let mut watched = watch.unwrap().into_inner();
    let mut next = async || soon(watched.next()).await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    world.drain.begin();
    assert_eq!(next().await, ServingStatus::NotServing);
}

#[tokio::test]
async fn a_watch_of_an_unknown_name_says_so_and_stays_open() {
    let world = World::start().await;
    let watch = soon(health(&world).watch(health_of("unknown"))).await;
    let mut watched = watch.unwrap().into_inner();
    let first = soon(watched.next()).await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let next = tokio::time::timeout(Duration::from_millis(200), watched.next());
    assert!(next.await.is_err(), "the watch ended");
}

/// Asks for the services, and for the file of ours, in one version of the
/// reflection protocol; they differ in nothing but their package.
macro_rules! reflect {
    ($world:expr, $version:ident) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let ask = |message_request| ServerReflectionRequest {
            host: String::new(),
            message_request: Some(message_request),
        };
        let asked = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(
                SERVICE_NAME.to_owned(),
            )),
        ];
        let mut client = ServerReflectionClient::with_origin(http_client(), origin($world));
        let call = client.server_reflection_info(tokio_stream::iter(asked));
        match soon(call).await {
            Err(status) => Err(status),
            Ok(answers) => {
                let mut answers = answers.into_inner();
                let mut next = async || soon(answers.next()).await.unwrap().unwrap();
                let Some(MessageResponse::ListServicesResponse(list)) =
                    next().await.message_response
                else {
                    panic!("no list of services");
                };
                let Some(MessageResponse::FileDescriptorResponse(files)) =
                    next().await.message_response
                else {
                    panic!("no file");
                };
                let names = list.service.into_iter().map(|service| service.name);
                Ok((names.collect::<Vec<String>>(), files.file_descriptor_proto))
            }
        }
    }};
}

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let world = World::start().await;
    for (services, files) in [reflect!(&world, v1), reflect!(&world, v1alpha)].map(Result::unwrap) {
        for name in [SERVICE_NAME, "grpc.health.v1.Health"] {
            assert!(
                services.iter().any(|service| service == name),
                "{services:?}"
            );
        }
        let file: prost_types::FileDescriptorProto = prost::Message::decode(&files[0][..]).unwrap();
        let methods: Vec<&str> = file.service[0].method.iter().map(|it| it.name()).collect();
        assert_eq!(
            methods,
            [
                "Generate",
                "GenerateStream",
                "Summarize",
                "SummarizeStream",
                "Classify",
                "ProcessItems",
                "CountTokens",
                "ListModels",
            ]
        );
    }
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let world = World::with(|setup| setup.server.reflection = Some(false)).await;
    for outcome in [reflect!(&world, v1), reflect!(&world, v1alpha)] {
        let status: Status = outcome.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn large_messages_are_compressed_both_ways() {
    let world = World::start().await;
    for (encoding, name) in [
        (CompressionEncoding::Gzip, "gzip"),
        (CompressionEncoding::Zstd, "zstd"),
    ] {
        let mut grpc = connect(world.address)
            .send_compressed(encoding)
            .accept_compressed(encoding);
        let said = "It rains. ".repeat(5000);
        world.simulator.next([Behaviour::Text(said.clone())]);
        let answer = soon(grpc.generate(ask(&said))).await.unwrap();
        assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), name);
        let sent = world.bodies().pop().unwrap();
        assert_eq!(sent["messages"][0]["content"], said);
        let text = answer.into_inner().content.remove(0);
        let Some(v1::content_block::Block::Text(text)) = text.block else {
            panic!("no text");
        };
        assert_eq!(text.text, said);
    }
}

#[tokio::test]
async fn small_messages_and_those_of_streams_are_not_compressed() {
    let world = World::start().await;
    let long = || Behaviour::Text("It rains. ".repeat(5000));
    let request = ask("Hello").encode_to_vec();
    let streaming = streamed(ask("Hello")).encode_to_vec();
    let stream = "/claude.v1.ClaudeService/GenerateStream";
    for encoding in ["gzip", "zstd"] {
        let accept = [("grpc-accept-encoding", encoding)];
        // The first byte of a message tells whether it is compressed.
        let small = post(&world, GENERATE, &accept, framed(&request)).await;
        assert_eq!(small.body[0], 0, "{encoding}");
        world.simulator.next([long(), long(), long()]);
        let large = post(&world, GENERATE, &accept, framed(&request)).await;
        assert_eq!(large.headers["grpc-encoding"], encoding);
        assert_eq!(large.body[0], 1, "{encoding}");
        let streamed = post(&world, stream, &accept, framed(&streaming)).await;
        assert_eq!(streamed.body[0], 0, "{encoding}");
        assert!(streamed.headers.get("grpc-encoding").is_none());
        // Nobody gets a compression that was not asked for.
        let plain = post(&world, GENERATE, &[], framed(&request)).await;
        assert_eq!(plain.body[0], 0);
        assert!(plain.headers.get("grpc-encoding").is_none());
    }
}

/// Counts the connections that a client opens.
#[derive(Clone)]
struct Counting {
    inner: HttpConnector,
    opened: Arc<AtomicU32>,
}

impl Service<Uri> for Counting {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = <HttpConnector as Service<Uri>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.inner.call(uri)
    }
}

#[tokio::test]
async fn a_connection_that_ages_out_loses_no_call() {
    let age = Duration::from_millis(50);
    let mut world = World::with(|setup| setup.server.max_connection_age = age).await;
    // Longer than many ages, on a connection of its own.
    let delay = Duration::from_millis(20);
    world.simulator.next([Behaviour::SlowBody { delay }]);
    let call = world
        .grpc
        .generate_stream(streamed(ask("Tell me a long story.")));
    let stream = soon(call).await.unwrap().into_inner();
    let old = tokio::spawn(stream.collect::<Vec<_>>());

    let opened = Arc::new(AtomicU32::new(0));
    let connector = Counting {
        inner: HttpConnector::new(),
        opened: Arc::clone(&opened),
    };
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    let mut grpc =
        v1::claude_service_client::ClaudeServiceClient::with_origin(client, origin(&world));
    let many = async {
        while opened.load(Ordering::Relaxed) < 6 {
            grpc.generate(ask("Hello")).await.unwrap();
        }
    };
    soon(many).await;
    let events = soon(old).await.unwrap();
    let last = events.into_iter().map(Result::unwrap).next_back();
    let last = last.unwrap().event.unwrap();
    use v1::generate_stream_response::Event;
    assert!(matches!(last, Event::Finished(_)), "{last:?}");
}

#[tokio::test]
async fn streams_beyond_the_limit_of_a_connection_wait() {
    let world = World::with(|setup| setup.server.max_concurrent_streams = 2).await;
    world.simulator.always(Some(Behaviour::Hang));
    let call = |grpc: &Grpc, text: &str| {
        let (mut grpc, request) = (grpc.clone(), ask(text));
        tokio::spawn(async move { grpc.generate(request).await })
    };
    // The limit is told when the connection is made: so one is made first.
    let mut first = world.grpc.clone();
    let models = v1::ListModelsRequest::default();
    world.simulator.always(None);
    soon(first.list_models(models)).await.unwrap();
    world.simulator.always(Some(Behaviour::Hang));

    let running = call(&world.grpc, "first");
    let _second = call(&world.grpc, "second");
    soon(world.simulator.until(|counts| counts.in_flight == 2)).await;
    let waiting = call(&world.grpc, "waits");
    let _elsewhere = call(&connect(world.address), "elsewhere");
    soon(world.simulator.until(|counts| counts.in_flight == 3)).await;
    let texts = || -> Vec<String> {
        let bodies = world.simulator.requests();
        let bodies = bodies.iter().filter(|it| it.method == "POST");
        bodies
            .map(|it| String::from_utf8_lossy(&it.body).into_owned())
            .collect()
    };
    assert!(texts()[2].contains("elsewhere"), "{:?}", texts());
    running.abort();
    soon(
        world
            .simulator
            .until(|counts| counts.hung_up == 1 && counts.in_flight == 3),
    )
    .await;
    assert!(texts()[3].contains("waits"), "{:?}", texts());
    waiting.abort();
}
