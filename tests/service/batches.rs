//! BatchService: many requests at half the price.

use crate::{
    batch_world::{BatchWorld, batch, generated, item},
    sample_texts,
    support::{reason, soon, wrong_fields},
};
use claude_grpc::proto::v1::{
    self, BatchState, batch_item::Request as Item,
    stream_batch_results_response::Result as ItemResult,
};
use std::time::Duration;
use tonic::{Code, Request};

fn summarize(text: &str) -> Item {
    Item::Summarize(v1::SummarizeRequest {
        text: text.to_owned(),
        ..v1::SummarizeRequest::default()
    })
}

fn classify(text: &str) -> Item {
    let labels = ["weather", "sports"].map(|name| v1::Label {
        name: name.to_owned(),
        ..v1::Label::default()
    });
    Item::Classify(v1::ClassifyRequest {
        text: text.to_owned(),
        labels: labels.to_vec(),
        ..v1::ClassifyRequest::default()
    })
}

#[tokio::test]
async fn each_item_gets_the_response_of_its_rpc() {
    let mut world = BatchWorld::start().await;
    let items = vec![
        generated("a question"),
        item("a text", summarize(sample_texts::INCIDENT_REPORT)),
        item("labels", classify("The weather is fine: sun and no rain.")),
    ];
    let submitted = world.submit(batch(items)).await.unwrap();
    assert_eq!(submitted.state(), BatchState::InProgress);
    assert_eq!(submitted.counts.unwrap().processing, 3);
    let ended = world.until(&submitted.id, BatchState::Ended).await;
    assert_eq!(ended.counts.unwrap().succeeded, 3);
    assert!(ended.end_time.is_some());
    let kept = ended.expire_time.unwrap().seconds - ended.create_time.unwrap().seconds;
    assert_eq!(kept, 29 * 24 * 60 * 60);

    let results = world.results(&submitted.id).await.unwrap();
    assert_eq!(results.len(), 3);
    let ItemResult::Generate(answer) = &results["a question"] else {
        panic!("{results:?}");
    };
    assert_eq!(answer.stop_reason(), v1::StopReason::EndTurn);
    let ItemResult::Summarize(summary) = &results["a text"] else {
        panic!("{results:?}");
    };
    assert!(!summary.summary.is_empty() && summary.length_ratio > 0.0);
    let ItemResult::Classify(chosen) = &results["labels"] else {
        panic!("{results:?}");
    };
    assert_eq!(chosen.labels, ["weather"]);
    assert_eq!(chosen.confidences.len(), 2);
}

#[tokio::test]
async fn one_item_that_is_wrong_is_named_and_nothing_is_submitted() {
    let mut world = BatchWorld::start().await;
    let items = vec![
        generated("a"),
        item("b", Item::Generate(v1::GenerateRequest::default())),
        generated("a"),
        item("", summarize(" ")),
        v1::BatchItem {
            id: "e".to_owned(),
            request: None,
        },
    ];
    let status = world.submit(batch(items)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        wrong_fields(&status),
        [
            "items[1].generate.messages",
            "items[2].id",
            "items[3].id",
            "items[3].summarize.text",
            "items[4].request"
        ]
    );
    let status = world.submit(batch(Vec::new())).await.unwrap_err();
    assert_eq!(wrong_fields(&status), ["items"]);
    assert_eq!(world.created(), 0);
}

#[tokio::test]
async fn a_request_id_stands_for_one_batch() {
    let mut world = BatchWorld::start().await;
    let request = |id: &str| v1::SubmitBatchRequest {
        request_id: "monday".to_owned(),
        items: vec![generated(id)],
    };
    let first = world.submit(request("a")).await.unwrap();
    let second = world.submit(request("b")).await.unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(first.request_id, "monday");
    world.restart().await;
    assert_eq!(world.submit(request("c")).await.unwrap().id, first.id);
    assert_eq!(world.created(), 1);
}

#[tokio::test]
async fn what_a_canceled_batch_has_not_begun_is_named() {
    let mut world = BatchWorld::with(Duration::from_secs(3600)).await;
    let items = (0..20).map(|it| generated(&it.to_string())).collect();
    let submitted = world.submit(batch(items)).await.unwrap();
    let status = world.results(&submitted.id).await.unwrap_err();
    assert_eq!(reason(&status), "BATCH_NOT_ENDED");
    let delete = v1::DeleteBatchRequest {
        id: submitted.id.clone(),
    };
    let status = soon(world.grpc.delete_batch(delete.clone()))
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "BATCH_NOT_ENDED");

    let cancel = v1::CancelBatchRequest {
        id: submitted.id.clone(),
    };
    soon(world.grpc.cancel_batch(cancel)).await.unwrap();
    world.until(&submitted.id, BatchState::Ended).await;
    let results = world.results(&submitted.id).await.unwrap();
    assert_eq!(results.len(), 20);
    let canceled = results.values().filter(|result| {
        matches!(result, ItemResult::Error(error) if error.reason == "BATCH_ITEM_CANCELED"
            && error.code == Code::Cancelled as i32)
    });
    assert!(canceled.count() > 0);

    soon(world.grpc.delete_batch(delete)).await.unwrap();
    let status = world.get(&submitted.id).await.unwrap_err();
    assert_eq!(reason(&status), "BATCH_UNKNOWN");
}

#[tokio::test]
async fn batches_are_listed_newest_first() {
    let mut world = BatchWorld::start().await;
    let mut ids = Vec::new();
    for id in ["a", "b", "c"] {
        ids.push(world.submit(batch(vec![generated(id)])).await.unwrap().id);
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListBatchesRequest {
            page_size: 2,
            page_token,
        };
        let page = soon(world.grpc.list_batches(request))
            .await
            .unwrap()
            .into_inner();
        listed.extend(page.batches.into_iter().map(|it| it.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    ids.sort();
    listed.sort();
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn without_a_state_file_batches_are_off() {
    let mut world = BatchWorld::start().await;
    world.config.state_file = None;
    for task in world.service.drain(..) {
        task.abort();
    }
    world.run_service().await;
    let status = world.submit(batch(vec![generated("a")])).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "BATCHES_DISABLED");
    assert!(status.message().contains("batches.state_file"));
}

#[tokio::test]
async fn the_metadata_of_the_call_applies_to_the_batch() {
    let mut world = BatchWorld::start().await;
    world.service_config.passthrough.betas = vec!["some-beta".to_owned()];
    world.restart().await;
    let mut request = Request::new(batch(vec![generated("a")]));
    let metadata = request.metadata_mut();
    metadata.insert("anthropic-beta", "some-beta".parse().unwrap());
    soon(world.grpc.submit_batch(request)).await.unwrap();
    let sent = world.simulator.requests();
    let created = sent.iter().find(|it| it.method == "POST").unwrap();
    assert_eq!(created.headers["anthropic-beta"], "some-beta");
}
