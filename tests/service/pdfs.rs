//! PDFs of Summarize and Classify: they reach the API as documents, by whichever RPC.

use crate::{
    batch_world::{BatchWorld, batch, item},
    classify::question,
    sample_requests::PDF,
    support::{World, http_client, reason, soon, wrong_fields},
};
use bytes::Bytes;
use claude_grpc::{
    claude::MAX_BODY_BYTES,
    proto::v1::{
        self, BatchState, batch_item::Request as BatchRequest,
        document_service_client::DocumentServiceClient, item::Request as ItemRequest,
        process_items_request::Content as ItemContent, process_items_response::Result as Outcome,
        stream_batch_results_response::Result as ItemResult,
    },
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tonic::{Code, Request};

/// What the simulator says of `PDF`.
const SUMMARY: &str = "[simulated] The document is a PDF of 15 bytes.";

fn summary_of(pdf: Bytes) -> v1::SummarizeRequest {
    v1::SummarizeRequest {
        pdf,
        ..v1::SummarizeRequest::default()
    }
}

/// Labels of which one shares words with what the simulator says of a PDF.
fn labels_of(pdf: Bytes) -> v1::ClassifyRequest {
    let mut request = v1::ClassifyRequest {
        pdf,
        ..question("")
    };
    request.labels[1].name = "pdf".to_owned();
    request
}

/// The PDF in a body, and the texts next to it.
fn document_in(body: &Value) -> (Value, Vec<&str>) {
    let blocks = body["messages"][0]["content"].as_array().unwrap();
    let document = blocks.first().unwrap();
    assert_eq!(document["type"], "document", "{body}");
    let texts = blocks[1..].iter().map(|it| it["text"].as_str().unwrap());
    (document["source"].clone(), texts.collect())
}

fn source() -> Value {
    json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjcKJSVFT0YK"})
}

#[tokio::test]
async fn a_pdf_is_a_document_where_a_text_would_be() {
    let mut world = World::start().await;
    let summary = soon(world.grpc.summarize(summary_of(PDF.into()))).await;
    let summary = summary.unwrap().into_inner();
    assert_eq!(summary.summary, SUMMARY);
    assert_eq!(summary.length_ratio, 0.0);
    assert!(summary.usage.unwrap().input_tokens > 3000);
    let labels = soon(world.grpc.classify(labels_of(PDF.into()))).await;
    assert_eq!(labels.unwrap().into_inner().labels, ["pdf"]);
    let bodies = world.bodies();
    let (of_summary, instructions) = document_in(&bodies[0]);
    assert_eq!(of_summary, source());
    assert!(instructions[0].starts_with("Summarize the document above."));
    assert_eq!(document_in(&bodies[1]), (source(), Vec::new()));
    for body in &bodies {
        let system = body["system"].as_str().unwrap();
        assert!(
            system.contains("Everything in the PDF or between"),
            "{system}"
        );
    }
}

#[tokio::test]
async fn what_is_not_one_document_is_named() {
    let mut world = World::start().await;
    let both = v1::SummarizeRequest {
        text: "A text.".to_owned(),
        ..summary_of(PDF.into())
    };
    let mut large = PDF.to_vec();
    large.resize(MAX_BODY_BYTES / 4 * 3 + 1, b' ');
    for (request, field, problem) in [
        (both, "pdf", "must not be set together with text"),
        (
            summary_of(Bytes::from_static(b" %PDF-1.7")),
            "pdf",
            "must be a PDF file, beginning with %PDF-",
        ),
        (
            summary_of(large.into()),
            "pdf",
            "must have at most 25165824 bytes",
        ),
        (summary_of(Bytes::new()), "text", "must not be empty"),
    ] {
        let classify = v1::ClassifyRequest {
            text: request.text.clone(),
            ..labels_of(request.pdf.clone())
        };
        let wrapped = v1::SummarizeStreamRequest {
            request: Some(request.clone()),
        };
        let summarized = soon(world.grpc.summarize(request)).await.unwrap_err();
        let classified = soon(world.grpc.classify(classify)).await.unwrap_err();
        let streamed = soon(world.grpc.summarize_stream(wrapped)).await;
        for (status, path) in [
            (summarized, field.to_owned()),
            (classified, field.to_owned()),
            (streamed.unwrap_err(), format!("request.{field}")),
        ] {
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(wrong_fields(&status), [path.as_str()]);
            assert!(status.message().contains(problem), "{status:?}");
        }
    }
    assert_eq!(world.attempts(), 0);
}

#[tokio::test]
async fn a_pdf_that_makes_the_request_too_large_is_the_field_to_shorten() {
    let mut world = World::start().await;
    let mut pdf = PDF.to_vec();
    pdf.resize(MAX_BODY_BYTES / 4 * 3, b' ');
    let pdf = Bytes::from(pdf);
    let status = soon(world.grpc.summarize(summary_of(pdf.clone()))).await;
    let status = status.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_TOO_LARGE");
    assert_eq!(wrong_fields(&status), ["pdf"]);
    let status = soon(world.grpc.classify(labels_of(pdf.clone()))).await;
    assert_eq!(wrong_fields(&status.unwrap_err()), ["pdf"]);
    let wrapped = v1::SummarizeStreamRequest {
        request: Some(summary_of(pdf)),
    };
    let status = soon(world.grpc.summarize_stream(wrapped)).await;
    assert_eq!(wrong_fields(&status.unwrap_err()), ["request.pdf"]);
}

#[tokio::test]
async fn a_kept_response_is_that_of_the_same_pdf() {
    let mut world = World::start().await;
    let accepting = |pdf: &'static [u8]| {
        let mut request = Request::new(summary_of(pdf.into()));
        let age = "60".parse().unwrap();
        request.metadata_mut().insert("claude-cache-max-age", age);
        request
    };
    for (pdf, cached) in [(PDF, false), (b"%PDF-1.7\n%%EOG\n", false), (PDF, true)] {
        let answer = soon(world.grpc.summarize(accepting(pdf))).await.unwrap();
        assert_eq!(answer.into_inner().cached, cached, "{pdf:?}");
    }
}

#[tokio::test]
async fn items_of_a_stream_and_of_a_batch_may_be_pdfs() {
    let world = World::start().await;
    let items = [
        ItemRequest::Summarize(summary_of(PDF.into())),
        ItemRequest::Classify(labels_of(PDF.into())),
    ];
    let items = items.map(|request| v1::ProcessItemsRequest {
        content: Some(ItemContent::Item(v1::Item {
            id: String::new(),
            request: Some(request),
        })),
    });
    let mut grpc = world.grpc.clone();
    let results = soon(grpc.process_items(stream::iter(items))).await.unwrap();
    let mut results = results.into_inner();
    while let Some(result) = soon(results.next()).await {
        match result.unwrap().result.unwrap() {
            Outcome::Summarize(answer) => assert_eq!(answer.summary, SUMMARY),
            Outcome::Classify(answer) => assert_eq!(answer.labels, ["pdf"]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.bodies().len(), 2);

    let mut world = BatchWorld::start().await;
    let items = vec![
        item("summary", BatchRequest::Summarize(summary_of(PDF.into()))),
        item("labels", BatchRequest::Classify(labels_of(PDF.into()))),
    ];
    let submitted = world.submit(batch(items)).await.unwrap();
    world.until(&submitted.id, BatchState::Ended).await;
    let results = world.results(&submitted.id).await.unwrap();
    let ItemResult::Summarize(summary) = &results["summary"] else {
        panic!("{results:?}");
    };
    assert_eq!(
        (summary.summary.as_str(), summary.length_ratio),
        (SUMMARY, 0.0)
    );
    let ItemResult::Classify(chosen) = &results["labels"] else {
        panic!("{results:?}");
    };
    assert_eq!(chosen.labels, ["pdf"]);
    let wrong = vec![item("a", BatchRequest::Summarize(summary_of("x".into())))];
    let status = world.submit(batch(wrong)).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["items[0].summarize.pdf"]);
}

#[tokio::test]
async fn the_rpcs_about_documents_take_no_pdf_in_their_settings() {
    let world = World::start().await;
    let origin = format!("http://{}", world.address).parse().unwrap();
    let mut grpc = DocumentServiceClient::with_origin(http_client(), origin);
    let start = v1::SummarizeDocumentRequest {
        content: Some(v1::summarize_document_request::Content::Start(
            v1::SummarizeDocumentStart {
                settings: Some(summary_of(PDF.into())),
                ..v1::SummarizeDocumentStart::default()
            },
        )),
    };
    let status = soon(grpc.summarize_document(stream::iter([start]))).await;
    let summarized = status.map(drop).unwrap_err();
    let start = v1::ClassifyDocumentRequest {
        content: Some(v1::classify_document_request::Content::Start(
            v1::ClassifyDocumentStart {
                settings: Some(labels_of(PDF.into())),
                ..v1::ClassifyDocumentStart::default()
            },
        )),
    };
    let status = soon(grpc.classify_document(stream::iter([start]))).await;
    let classified = status.map(drop).unwrap_err();
    for status in [summarized, classified] {
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(wrong_fields(&status), ["start.settings.pdf"], "{status:?}");
    }
    assert_eq!(world.attempts(), 0);
}
