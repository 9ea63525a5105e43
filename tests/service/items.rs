//! ProcessItems: many requests in one call, each with a result of its own.

use crate::support::{World, ask};
use claude_grpc::{
    proto::v1::{
        self, Item, ItemsStart, ProcessItemsRequest, ProcessItemsResponse, item::Request,
        process_items_request::Content, process_items_response::Result as Outcome,
    },
    simulator::Behaviour,
};
use futures::{Stream, StreamExt, stream};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

fn start(parallel: i32, ordered: bool) -> ProcessItemsRequest {
    ProcessItemsRequest {
        content: Some(Content::Start(ItemsStart { parallel, ordered })),
    }
}

fn item(id: impl ToString, request: Request) -> ProcessItemsRequest {
    ProcessItemsRequest {
        content: Some(Content::Item(Item {
            id: id.to_string(),
            request: Some(request),
        })),
    }
}

fn summarize(text: impl Into<String>) -> Request {
    Request::Summarize(v1::SummarizeRequest {
        text: text.into(),
        ..v1::SummarizeRequest::default()
    })
}

fn classify(text: &str) -> Request {
    let label = |name: &str| v1::Label {
        name: name.to_owned(),
        ..v1::Label::default()
    };
    Request::Classify(v1::ClassifyRequest {
        text: text.to_owned(),
        labels: ["apples", "trains"].map(label).to_vec(),
        ..v1::ClassifyRequest::default()
    })
}

async fn process(
    world: &World,
    messages: impl Stream<Item = ProcessItemsRequest> + Send + 'static,
) -> Streaming<ProcessItemsResponse> {
    let mut grpc = world.grpc.clone();
    grpc.process_items(messages).await.unwrap().into_inner()
}

/// The ids of the results, and the error at the end.
async fn ids(results: Streaming<ProcessItemsResponse>) -> (Vec<String>, Option<Status>) {
    let (mut ids, mut error) = (Vec::new(), None);
    let mut results = std::pin::pin!(results);
    while let Some(result) = results.next().await {
        match result {
            Ok(result) => ids.push(result.id),
            Err(status) => error = Some(status),
        }
    }
    (ids, error)
}

#[tokio::test]
async fn each_item_has_its_result_and_a_failure_is_its_own() {
    let world = World::start().await;
    let items = [
        item("a", Request::Generate(ask("How are you?"))),
        item("b", summarize(" ")),
        item("c", classify("About trains.")),
        item("x".repeat(257), summarize("text")),
        item("a", summarize("The first sentence. The second one.")),
        ProcessItemsRequest {
            content: Some(Content::Item(Item {
                id: "e".to_owned(),
                request: None,
            })),
        },
    ];
    let results = process(&world, stream::iter(items)).await;
    let results: Vec<_> = results.map(Result::unwrap).collect().await;
    assert_eq!(results.len(), 6);
    let mut errors = Vec::new();
    let mut answers = 0;
    for result in results {
        match result.result.unwrap() {
            Outcome::Generate(answer) => assert!(!answer.content.is_empty()),
            Outcome::Summarize(answer) => assert_ne!(answer.summary, ""),
            Outcome::Classify(answer) => assert_eq!(answer.labels, ["trains"]),
            Outcome::Error(error) => {
                assert_eq!(error.code, Code::InvalidArgument as i32);
                assert_eq!(error.reason, "INVALID_REQUEST");
                assert_eq!(error.retry_delay, None);
                errors.push(error.message);
                continue;
            }
        }
        answers += 1;
    }
    assert_eq!(answers, 3);
    errors.sort();
    assert!(
        errors[0].contains("item.id: must have at most 256 bytes"),
        "{errors:?}"
    );
    assert!(
        errors[1].contains("item.request: must be set"),
        "{errors:?}"
    );
    assert!(errors[2].contains("text: "), "{errors:?}");
}

#[tokio::test]
async fn results_come_as_they_finish_or_in_order() {
    let world = World::with(|setup| setup.service.summarize.coalesce = false).await;
    for ordered in [false, true] {
        // The first one waits for its second attempt.
        let retry_after = Duration::from_millis(300);
        world
            .simulator
            .next([Behaviour::RateLimited { retry_after }]);
        let (sender, receiver) = mpsc::channel(10);
        sender.send(start(8, ordered)).await.unwrap();
        sender.send(item(0, summarize("text 0"))).await.unwrap();
        let before = world.attempts();
        let results = process(&world, ReceiverStream::new(receiver)).await;
        let all = tokio::spawn(ids(results));
        world
            .simulator
            .until(|counts| counts.requests > before)
            .await;
        for number in 1..5 {
            let item = item(number, summarize(format!("text {number}")));
            sender.send(item).await.unwrap();
        }
        drop(sender);
        let (ids, error) = all.await.unwrap();
        assert!(error.is_none(), "{error:?}");
        assert_eq!(ids.len(), 5);
        assert_eq!(ids[0] == "0", ordered, "{ids:?}");
        if ordered {
            assert!(ids.is_sorted(), "{ids:?}");
        }
    }
}

#[tokio::test]
async fn who_reads_no_results_is_asked_for_no_more_items() {
    const ITEMS: usize = 3000;
    let world = World::start().await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let text = "a sentence of some length. ".repeat(40);
    let items = (0..ITEMS).map(move |number| {
        counter.fetch_add(1, Ordering::Relaxed);
        item(number, summarize(format!("{number} {text}")))
    });
    let results = process(&world, stream::iter(items)).await;
    // Until the windows of both directions are full.
    let mut before = 0;
    while taken.load(Ordering::Relaxed) > before {
        before = taken.load(Ordering::Relaxed);
        sleep(Duration::from_millis(500)).await;
    }
    assert!(before < ITEMS / 2, "{before}");
    let (ids, error) = ids(results).await;
    assert!(error.is_none(), "{error:?}");
    let ids: HashSet<_> = ids.into_iter().collect();
    assert_eq!(ids.len(), ITEMS);
}

#[tokio::test]
async fn a_drain_loses_no_item_that_was_read() {
    let world = World::with(|setup| {
        setup.simulator.time_to_first_token = Duration::from_millis(50);
        setup.service.summarize.coalesce = false;
    })
    .await;
    let items = stream::iter(0..).map(|number| item(number, summarize(format!("text {number}."))));
    let results = process(&world, items).await;
    let all = tokio::spawn(ids(results));
    world.simulator.until(|counts| counts.requests > 100).await;
    world.drain.begin();
    let (ids, error) = all.await.unwrap();
    let error = error.unwrap();
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    assert!(error.message().contains("shutting down"), "{error:?}");
    assert_eq!(ids.len() as u64, world.attempts());
}

#[tokio::test]
async fn a_caller_may_wait_for_results_and_not_be_silent_without() {
    let patience = Duration::from_millis(300);
    let world = World::with(|setup| {
        setup.server.body_timeout = patience;
        setup.simulator.time_to_first_token = patience * 4;
    })
    .await;
    let (sender, receiver) = mpsc::channel(10);
    sender.send(item(1, summarize("text"))).await.unwrap();
    let mut results = process(&world, ReceiverStream::new(receiver)).await;
    assert_eq!(results.next().await.unwrap().unwrap().id, "1");
    sender.send(item(2, summarize("text"))).await.unwrap();
    assert_eq!(results.next().await.unwrap().unwrap().id, "2");
    let error = results.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
}

#[tokio::test]
async fn what_is_no_item_ends_the_stream_behind_the_results() {
    let world = World::start().await;
    let text = || item(1, summarize("text"));
    let nothing = || ProcessItemsRequest { content: None };
    for (messages, results, problem) in [
        (
            vec![text(), start(1, false)],
            1,
            "start: must be the first message",
        ),
        (
            vec![start(1, true), text(), nothing()],
            1,
            "content: must be set",
        ),
        (
            vec![start(-1, true)],
            0,
            "start.parallel: must be between 1 and 32",
        ),
        (vec![nothing()], 0, "content: must be set"),
    ] {
        let mut grpc = world.grpc.clone();
        let begun = grpc.process_items(stream::iter(messages)).await;
        let (ids, error) = match begun {
            Ok(results) => ids(results.into_inner()).await,
            Err(status) => (Vec::new(), Some(status)),
        };
        let error = error.unwrap();
        assert_eq!(ids.len(), results, "{error:?}");
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
        assert!(error.message().contains(problem), "{error:?}");
    }
}

/// An item holds what it takes once it is decoded, for as long as the work on it lasts.
#[tokio::test]
async fn an_item_holds_what_its_elements_take() {
    let world = World::with(|setup| {
        setup.simulator.time_to_first_token = Duration::from_secs(600);
    })
    .await;
    let mut request = ask("hello");
    request.stop_sequences = vec!["x".to_owned(); 1_000];
    let (sender, receiver) = mpsc::channel(10);
    let first = item(1, Request::Generate(request));
    sender.send(first).await.unwrap();
    let mut grpc = world.grpc.clone();
    let call = tokio::spawn(async move { grpc.process_items(ReceiverStream::new(receiver)).await });
    // The next one is asked for, so that this one holds nothing as a message.
    world.simulator.until(|counts| counts.requests > 0).await;
    let held = world.messages.in_use();
    assert!(
        held >= 1_000 * size_of::<String>() + 16 * 1024,
        "{held}: the elements, and what each item takes"
    );
    call.abort();
}

/// What a small item takes is many times its bytes: so few of them are in flight that they
/// fit the memory, and the others are not read.
#[tokio::test]
async fn items_wait_for_room_while_others_are_in_flight() {
    let world = World::with(|setup| {
        setup.server.max_bytes_in_flight = Some(100 * 1024);
        setup.server.bytes_timeout = Duration::from_millis(10);
        setup.simulator.time_to_first_token = Duration::from_millis(100);
        setup.service.summarize.coalesce = false;
    })
    .await;
    let items = (0..30).map(|number| item(number, summarize(format!("text {number}."))));
    let results = process(&world, stream::iter(items)).await;
    let results: Vec<_> = results.map(Result::unwrap).collect().await;
    let failed = |it: &ProcessItemsResponse| matches!(it.result, Some(Outcome::Error(_)));
    assert_eq!(results.len(), 30);
    assert!(!results.iter().any(failed), "{results:?}");
}
