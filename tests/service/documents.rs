//! SummarizeDocument: any length, in bounded memory, without a part that is lacking or
//! paid twice.

use crate::support::{HttpClient, Setup, World, http_client, soon};
use claude_grpc::{
    proto::v1::{
        self, SummarizeDocumentRequest, SummarizeDocumentResponse, SummarizeDocumentStart,
        SummarizedPart, classify_document_request::Content as ToClassify,
        classify_document_response::Event as Classified,
        claude_service_client::ClaudeServiceClient, document_service_client::DocumentServiceClient,
        summarize_document_request::Content, summarize_document_response::Event,
    },
    simulator::Behaviour,
};
use futures::{Stream, StreamExt, stream};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;
use tonic::{Code, Status, transport::Channel};

/// A model with a window of 200,000 tokens, and one price.
const MODEL: &str = "claude-haiku-4-5";

fn small_parts(setup: &mut Setup) {
    setup.service.documents.part_tokens = 10_000;
}

fn client(world: &World) -> DocumentServiceClient<HttpClient> {
    let origin = format!("http://{}", world.address).parse().unwrap();
    DocumentServiceClient::with_origin(http_client(), origin)
}

fn start() -> SummarizeDocumentStart {
    SummarizeDocumentStart {
        settings: Some(v1::SummarizeRequest {
            model: MODEL.to_owned(),
            ..v1::SummarizeRequest::default()
        }),
        ..SummarizeDocumentStart::default()
    }
}

fn message(content: Content) -> SummarizeDocumentRequest {
    SummarizeDocumentRequest {
        content: Some(content),
    }
}

/// A document in chunks of a size that no character has.
fn messages(
    start: SummarizeDocumentStart,
    finished: Vec<SummarizedPart>,
    text: &str,
) -> impl Stream<Item = SummarizeDocumentRequest> + Send + use<> {
    let chunks: Vec<_> = text
        .as_bytes()
        .chunks(10_007)
        .map(|chunk| message(Content::Chunk(chunk.to_vec().into())))
        .collect();
    let finished = finished.into_iter().map(Content::FinishedPart).map(message);
    let begin = std::iter::once(message(Content::Start(start))).chain(finished);
    stream::iter(begin.collect::<Vec<_>>()).chain(stream::iter(chunks))
}

/// What came of a document.
#[derive(Default)]
struct Came {
    parts: Vec<SummarizedPart>,
    plan: Option<v1::DocumentPlan>,
    summary: Option<v1::DocumentSummary>,
    error: Option<Status>,
}

async fn summarized(
    world: &World,
    messages: impl Stream<Item = SummarizeDocumentRequest> + Send + 'static,
) -> Came {
    let mut came = Came::default();
    let events = match client(world).summarize_document(messages).await {
        Ok(response) => response.into_inner(),
        Err(status) => {
            came.error = Some(status);
            return came;
        }
    };
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event.map(|it: SummarizeDocumentResponse| it.event) {
            Ok(Some(Event::PartFinished(part))) => came.parts.push(part),
            Ok(Some(Event::Plan(plan))) => came.plan = Some(plan),
            Ok(Some(Event::Finished(summary))) => came.summary = Some(summary),
            Ok(_) => {}
            Err(status) => came.error = Some(status),
        }
    }
    came
}

/// Sections of about this many bytes together.
fn document(bytes: usize) -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&format!(
            "# Section {number}\n\nThe {number}th section says that naïve résumés — 漢字 — are read. \
             It has a second sentence as well.\n\n| a | b |\n|---|---|\n| {number} | row |\n\n"
        ));
    }
    text
}

#[tokio::test]
async fn what_fits_goes_in_one_call() {
    let world = World::with(small_parts).await;
    let text = document(100_000);
    let came = summarized(&world, messages(start(), Vec::new(), &text)).await;
    let summary = came.summary.unwrap_or_else(|| panic!("{:?}", came.error));
    assert_eq!(world.bodies().len(), 1);
    let total = summary.total.unwrap();
    assert_eq!((total.parts, total.levels, total.calls), (1, 1, 1));
    assert_eq!(total.bytes, text.len() as i64);
    assert!(total.dollars > Some(0.0), "{total:?}");
    // The same as in one message.
    let whole = v1::SummarizeRequest {
        text,
        ..start().settings.unwrap()
    };
    let whole = world
        .grpc
        .clone()
        .summarize(whole)
        .await
        .unwrap()
        .into_inner();
    let summary = summary.summary.unwrap();
    assert_eq!(summary.summary, whole.summary);
    assert_eq!(summary.length_ratio, whole.length_ratio);
    assert_eq!(world.bodies()[0], world.bodies()[1]);
}

#[tokio::test]
async fn a_long_document_is_all_in_its_parts_and_its_plan_holds() {
    let world = World::with(small_parts).await;
    let text = document(1_000_000);
    let mut plan_only = start();
    plan_only.plan_only = true;
    let planned = summarized(&world, messages(plan_only, Vec::new(), &text)).await;
    let plan = planned
        .plan
        .unwrap_or_else(|| panic!("{:?}", planned.error));
    assert!(world.bodies().is_empty(), "a plan is not paid");
    assert!(plan.parts > 20, "{plan:?}");

    let came = summarized(&world, messages(start(), Vec::new(), &text)).await;
    let summary = came.summary.unwrap_or_else(|| panic!("{:?}", came.error));
    let total = summary.total.unwrap();
    assert_eq!(total.parts, plan.parts);
    let calls = world.bodies().len() as i64;
    assert_eq!(total.calls, calls);
    assert!(
        (plan.calls - calls).abs() as f64 <= calls as f64 * 0.05,
        "{plan:?}"
    );
    assert_eq!(came.parts.len() as i64 + 1, calls);
    assert_eq!(
        summary.summary.unwrap().stop_reason,
        v1::StopReason::EndTurn as i32
    );

    // Each section reached the API, whole and once.
    let asked: String = world.bodies().iter().map(|body| body.to_string()).collect();
    for number in 0..text.matches("# Section").count() {
        let section = format!("# Section {number}\\n\\nThe {number}th section says that");
        assert_eq!(asked.matches(&section).count(), 1, "{number}");
    }
}

#[tokio::test]
async fn an_interruption_pays_no_part_again() {
    let world = World::with(small_parts).await;
    let text = document(700_000);
    // The first ten calls succeed, and then the API fails for good.
    let mut behaviours: Vec<_> = vec![Behaviour::GoAway; 10];
    behaviours.extend(vec![Behaviour::Error(400); 1]);
    world.simulator.next(behaviours);
    let mut one_by_one = start();
    one_by_one.parallel = 1;
    let failed = summarized(&world, messages(one_by_one, Vec::new(), &text)).await;
    let error = failed.error.unwrap();
    assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    assert!(
        error.message().starts_with("part 10 of the document: "),
        "{error:?}"
    );
    assert!(failed.summary.is_none());
    assert_eq!(failed.parts.len(), 10);
    let paid = world.bodies().len();

    world.simulator.next([]);
    let again = summarized(&world, messages(start(), failed.parts, &text)).await;
    let summary = again.summary.unwrap_or_else(|| panic!("{:?}", again.error));
    let total = summary.total.unwrap();
    assert_eq!(world.bodies().len() - paid, total.calls as usize);
    assert_eq!(again.parts.len() as i64 + 1, total.calls + 10);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let world = World::with(small_parts).await;
    let begun = |content| stream::iter([message(Content::Start(start())), message(content)]);
    let chunk = |bytes: &'static [u8]| Content::Chunk(bytes.into());
    let mut wrong_digest = start();
    wrong_digest.sha256 = vec![7; 32].into();
    for (messages, expected) in [
        (
            begun(chunk(b"text \xff")).boxed(),
            "chunk: must be UTF-8: invalid byte at offset 5",
        ),
        (
            begun(chunk(b" \n")).boxed(),
            "chunk: the document must not be empty",
        ),
        (
            begun(Content::Start(start())).boxed(),
            "start: must not be sent twice",
        ),
        (
            stream::iter([message(chunk(b"text"))]).boxed(),
            "content: the first message must have `start`",
        ),
        (
            messages(wrong_digest, Vec::new(), "text").boxed(),
            "start.sha256: must be the SHA-256 of the document",
        ),
    ] {
        let error = summarized(&world, messages).await.error.unwrap();
        assert_eq!(error.code(), Code::InvalidArgument, "{expected}: {error:?}");
        assert!(error.message().contains(expected), "{error:?}");
    }
    assert!(world.bodies().is_empty());
}

fn classify(multi_label: bool, plan_only: bool) -> v1::ClassifyDocumentStart {
    let label = |name: &str| v1::Label {
        name: name.to_owned(),
        ..v1::Label::default()
    };
    v1::ClassifyDocumentStart {
        settings: Some(v1::ClassifyRequest {
            model: MODEL.to_owned(),
            labels: ["apples", "trains", "whales"].map(label).to_vec(),
            multi_label,
            include_reason: true,
            ..v1::ClassifyRequest::default()
        }),
        plan_only,
        ..v1::ClassifyDocumentStart::default()
    }
}

/// The events about a document, whose last one may be an error.
async fn classified(
    world: &World,
    start: v1::ClassifyDocumentStart,
    finished: Vec<v1::ClassifiedPart>,
    text: &str,
) -> Vec<Result<Classified, Status>> {
    let message = |content| v1::ClassifyDocumentRequest {
        content: Some(content),
    };
    let begin = std::iter::once(ToClassify::Start(start));
    let finished = finished.into_iter().map(ToClassify::FinishedPart);
    let chunks = text.as_bytes().chunks(10_007);
    let chunks = chunks.map(|chunk| ToClassify::Chunk(chunk.to_vec().into()));
    let messages: Vec<_> = begin.chain(finished).chain(chunks).map(message).collect();
    let events = client(world)
        .classify_document(stream::iter(messages))
        .await;
    let events = events.unwrap().into_inner();
    let events = events.map(|event| event.map(|it| it.event.unwrap()));
    events.collect().await
}

fn labels_of(events: &[Result<Classified, Status>]) -> &v1::DocumentClassification {
    match events.last() {
        Some(Ok(Classified::Finished(finished))) => finished,
        other => panic!("{other:?}"),
    }
}

fn parts_of(events: Vec<Result<Classified, Status>>) -> Vec<v1::ClassifiedPart> {
    let parts = events.into_iter().filter_map(|event| match event {
        Ok(Classified::PartFinished(part)) => Some(part),
        _ => None,
    });
    parts.collect()
}

#[tokio::test]
async fn the_labels_of_a_document_are_those_of_its_parts() {
    let world = World::with(small_parts).await;
    let section = |what: &str| format!("About {what} again, and nothing else of interest.\n\n");
    let text = section("trains").repeat(10_000) + &section("apples").repeat(3_000);
    let plan = classified(&world, classify(false, true), Vec::new(), &text).await;
    let Some(Ok(Classified::Plan(plan))) = plan.last() else {
        panic!("{plan:?}");
    };
    assert!(world.bodies().is_empty(), "a plan is not paid");

    let events = classified(&world, classify(false, false), Vec::new(), &text).await;
    let finished = labels_of(&events);
    let total = finished.total.clone().unwrap();
    let labels = finished.classification.clone().unwrap();
    assert_eq!(labels.labels, ["trains"]);
    assert_ne!(labels.reason, "");
    assert_eq!((total.parts, total.calls), (plan.parts, plan.calls));
    assert_eq!(world.bodies().len() as i64, total.calls);
    assert!(total.parts > 10, "{total:?}");
    let input = plan.input_tokens as f64 / total.input_tokens as f64;
    assert!((0.8..1.25).contains(&input), "{plan:?} {total:?}");

    let multi = classified(&world, classify(true, false), Vec::new(), &text).await;
    let labels = labels_of(&multi).classification.clone().unwrap();
    assert_eq!(labels.labels, ["apples", "trains"]);
    let parts = parts_of(multi);
    for (index, confidence) in labels.confidences.iter().enumerate() {
        let of_parts = parts.iter().map(|part| {
            let labels = part.classification.as_ref().unwrap();
            labels.confidences[index].confidence
        });
        assert_eq!(confidence.confidence, of_parts.fold(0.0, f64::max));
    }

    // Finished parts are paid once.
    let paid = world.bodies().len();
    let again = classified(&world, classify(true, false), parts, &text).await;
    assert_eq!(world.bodies().len(), paid);
    let again = labels_of(&again);
    assert_eq!(again.total.as_ref().unwrap().calls, 0);
    assert_eq!(again.classification.as_ref().unwrap().labels, labels.labels);
}

#[tokio::test]
async fn a_text_is_classified_as_in_one_message() {
    let world = World::with(small_parts).await;
    let text = "The whales are far away.";
    let events = classified(&world, classify(false, false), Vec::new(), text).await;
    let of_document = labels_of(&events).classification.clone().unwrap();
    let request = v1::ClassifyRequest {
        text: text.to_owned(),
        ..classify(false, false).settings.unwrap()
    };
    let whole = world.grpc.clone().classify(request).await.unwrap();
    assert_eq!(of_document.labels, whole.into_inner().labels);
    assert_eq!(world.bodies()[0], world.bodies()[1]);
}

#[tokio::test]
async fn a_document_holds_a_quarter_of_the_memory_of_messages() {
    let world = World::with(|setup| {
        small_parts(setup);
        setup.server.max_bytes_in_flight = Some(400_000);
    })
    .await;
    let text = document(1_000_000);
    let (one, other) = tokio::join!(
        summarized(&world, messages(start(), Vec::new(), &text)),
        summarized(&world, messages(start(), Vec::new(), &text)),
    );
    for came in [one, other] {
        let total = came
            .summary
            .unwrap_or_else(|| panic!("{:?}", came.error))
            .total
            .unwrap();
        assert!(total.parts > 20, "{total:?}");
    }
}

/// What a document's sender may send ahead is not read until parts are done, and must leave
/// room to the other calls of its connection.
#[tokio::test]
async fn other_calls_of_a_connection_do_not_wait_for_a_document() {
    const DOCUMENTS: usize = 12;
    let world = World::with(small_parts).await;
    world.simulator.always(Some(Behaviour::Hang));
    let url = format!("http://{}", world.address);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let text = document(2_000_000);
    let taken = Arc::new(AtomicUsize::new(0));
    let mut documents = Vec::new();
    for _ in 0..DOCUMENTS {
        let taken = Arc::clone(&taken);
        let messages = messages(start(), Vec::new(), &text).inspect(move |_| {
            taken.fetch_add(1, Ordering::Relaxed);
        });
        let mut client = DocumentServiceClient::new(channel.clone());
        documents.push(tokio::spawn(async move {
            let mut events = client.summarize_document(messages).await?.into_inner();
            while events.message().await?.is_some() {}
            Ok::<_, Status>(())
        }));
    }
    let in_flight = (8 * DOCUMENTS) as u64;
    soon(
        world
            .simulator
            .until(|counts| counts.in_flight >= in_flight),
    )
    .await;
    // All that fits has been sent.
    let sent = async {
        let mut last = 0;
        while last != taken.load(Ordering::Relaxed) {
            last = taken.load(Ordering::Relaxed);
            sleep(Duration::from_millis(200)).await;
        }
    };
    soon(sent).await;
    world.simulator.always(None);
    let request = v1::SummarizeRequest {
        text: document(100_000),
        ..v1::SummarizeRequest::default()
    };
    let mut client = ClaudeServiceClient::new(channel);
    soon(client.summarize(request)).await.unwrap();
    for document in documents {
        document.abort();
    }
}

/// A part of some bytes is kept as a struct of hundreds.
#[tokio::test]
async fn finished_parts_hold_more_than_their_bytes() {
    let world = World::with(|setup| setup.server.max_bytes_in_flight = Some(1024 * 1024)).await;
    let part = |number: u32| SummarizedPart {
        key: number.to_be_bytes().to_vec().into(),
        ..SummarizedPart::default()
    };
    let parts = (0..10_000).map(part).collect();
    let mut client = client(&world);
    let answer = client.summarize_document(messages(start(), parts, "text"));
    let status = soon(answer).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("server.max_bytes_in_flight"));
    assert_eq!(world.messages.in_use(), 0);
}
