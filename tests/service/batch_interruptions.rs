//! Batches, whatever interrupts them: nothing is lost, and nothing is sent twice.

use crate::{
    batch_world::{BatchWorld, batch, generated},
    support::{PATIENCE, reason, soon},
};
use claude_grpc::{
    proto::v1::{self, BatchState},
    simulator::{Behaviour, Simulator, SimulatorConfig},
};
use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_batch_survives_a_restart() {
    let mut world = BatchWorld::with(Duration::from_millis(500)).await;
    let submitted = world
        .submit(batch(vec![generated("a"), generated("b")]))
        .await
        .unwrap();
    world.restart().await;
    world.until(&submitted.id, BatchState::Ended).await;
    assert_eq!(world.results(&submitted.id).await.unwrap().len(), 2);
    assert_eq!(world.created(), 1);
}

#[tokio::test]
async fn a_submission_whose_answer_is_lost_is_found() {
    let mut world = BatchWorld::start().await;
    world.simulator.next([Behaviour::Cut { after_events: 0 }]);
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    assert_eq!(submitted.state(), BatchState::Submitting);
    world.until(&submitted.id, BatchState::Ended).await;
    assert_eq!(world.results(&submitted.id).await.unwrap().len(), 1);
    assert_eq!(
        world.created(),
        1,
        "it was sent again although it had arrived"
    );
}

#[tokio::test]
async fn a_submission_that_did_not_arrive_is_sent_again() {
    let mut world = BatchWorld::start().await;
    // A batch of somebody else with as many requests is not taken for it.
    let other = world.submit(batch(vec![generated("other")])).await.unwrap();
    world.until(&other.id, BatchState::Ended).await;
    world.simulator.next([Behaviour::Drop]);
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    assert_eq!(submitted.state(), BatchState::Submitting);
    world.restart().await;
    world.until(&submitted.id, BatchState::Ended).await;
    let results = world.results(&submitted.id).await.unwrap();
    assert!(results.contains_key("a"));
}

#[tokio::test]
async fn a_batch_that_the_api_rejects_leaves_nothing() {
    let mut world = BatchWorld::start().await;
    world.simulator.next([Behaviour::Error(400)]);
    let status = world.submit(batch(vec![generated("a")])).await.unwrap_err();
    assert_eq!(reason(&status), "UPSTREAM_INVALID_REQUEST");
    let listed = soon(world.grpc.list_batches(v1::ListBatchesRequest::default())).await;
    assert_eq!(listed.unwrap().into_inner().batches, []);
}

#[tokio::test]
async fn a_batch_stays_with_the_key_that_made_it_until_that_key_is_replaced() {
    let mut world = BatchWorld::with(Duration::from_millis(300)).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(world.submit(batch(vec![generated("a")])).await.unwrap().id);
    }
    for id in &ids {
        world.until(id, BatchState::Ended).await;
    }
    let keys: HashSet<_> = world
        .simulator
        .requests()
        .iter()
        .map(|it| it.headers["authorization"].clone())
        .collect();
    assert!(keys.len() > 1, "{keys:?}");
    // Now the keys are in another order, and one is new: no batch is lost.
    world.keys = vec!["sk-four", "sk-three", "sk-two", "sk-one"];
    world.restart().await;
    for id in &ids {
        assert_eq!(world.results(id).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_batch_that_is_deleted_at_the_api_is_given_up() {
    let mut world = BatchWorld::with(Duration::from_secs(3600)).await;
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    // One API that has no batches takes the place of the other.
    let emptied = Simulator::bind(SimulatorConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..SimulatorConfig::default()
    });
    let emptied = emptied.await.unwrap();
    world.upstream.base_url = emptied.base_url().unwrap();
    world.simulating.abort();
    world.simulating = tokio::spawn(emptied.run());
    world.restart().await;
    let failed = world.until(&submitted.id, BatchState::Failed).await;
    assert_eq!(failed.error.unwrap().reason, "UPSTREAM_NOT_FOUND");
    let delete = v1::DeleteBatchRequest { id: submitted.id };
    soon(world.grpc.delete_batch(delete)).await.unwrap();
}

#[tokio::test]
async fn a_batch_expires_however_far_it_is() {
    let mut world = BatchWorld::with(Duration::from_secs(3600)).await;
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    world.config.retention = Duration::from_secs(1);
    world.restart().await;
    let began = Instant::now();
    let status = loop {
        match world.get(&submitted.id).await {
            Ok(batch) => assert!(began.elapsed() < PATIENCE, "{batch:?}"),
            Err(status) => break status,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(reason(&status), "BATCH_UNKNOWN");
    world.restart().await;
    let status = world.get(&submitted.id).await.unwrap_err();
    assert_eq!(reason(&status), "BATCH_UNKNOWN");
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_interrupt_a_submission() {
    let mut world = BatchWorld::start().await;
    let delay = Duration::from_millis(50);
    world.simulator.next([Behaviour::SlowBody { delay }]);
    let mut grpc = world.grpc.clone();
    let submission =
        tokio::spawn(async move { grpc.submit_batch(batch(vec![generated("a")])).await });
    // The answer of the API is on its way.
    let began = Instant::now();
    while world.created() == 0 {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    submission.abort();
    assert!(submission.await.unwrap_err().is_cancelled());
    let listed = soon(world.grpc.list_batches(v1::ListBatchesRequest::default())).await;
    let [listed] = &listed.unwrap().into_inner().batches[..] else {
        panic!("no batch");
    };
    assert_eq!(listed.state(), BatchState::Submitting);
    world.until(&listed.id, BatchState::Ended).await;
    assert_eq!(world.results(&listed.id).await.unwrap().len(), 1);
    assert_eq!(world.created(), 1);
}

#[tokio::test]
async fn a_batch_that_did_not_arrive_is_canceled_and_not_sent_again() {
    let mut world = BatchWorld::start().await;
    world.simulator.next([Behaviour::Drop]);
    let submitted = world.submit(batch(vec![generated("a")])).await.unwrap();
    let cancel = v1::CancelBatchRequest {
        id: submitted.id.clone(),
    };
    let canceled = soon(world.grpc.cancel_batch(cancel)).await.unwrap();
    let canceled = canceled.into_inner().batch.unwrap();
    assert_eq!(canceled.state(), BatchState::Submitting);
    let failed = world.until(&submitted.id, BatchState::Failed).await;
    assert_eq!(failed.counts.unwrap().canceled, 1);
    assert_eq!(failed.error, None);
    assert_eq!(world.created(), 1);
}

#[tokio::test]
async fn a_batch_is_found_with_another_key_of_its_workspace() {
    let mut world = BatchWorld::start().await;
    world.keys = vec!["sk-one"];
    world.restart().await;
    let ended = world.submit(batch(vec![generated("a")])).await.unwrap();
    world.until(&ended.id, BatchState::Ended).await;
    world.simulator.next([Behaviour::Cut { after_events: 0 }]);
    let unclear = world.submit(batch(vec![generated("b")])).await.unwrap();
    assert_eq!(unclear.state(), BatchState::Submitting);

    // The key is replaced by one that is chosen after those of other workspaces.
    world.upstream.base_url = workspace(&world.upstream.base_url, "sk-new", "sk-one").await;
    world.keys = vec!["sk-new", "sk-a", "sk-b", "sk-c", "sk-d", "sk-e", "sk-f"];
    world.restart().await;
    assert_eq!(world.results(&ended.id).await.unwrap().len(), 1);
    world.until(&unclear.id, BatchState::Ended).await;
    assert_eq!(world.results(&unclear.id).await.unwrap().len(), 1);
    let requests = world.simulator.requests();
    let mut shown = requests.iter().map(|it| it.headers["authorization"].len());
    assert!(
        shown.any(|it| it == "Bearer sk-a".len()),
        "no other key was tried"
    );
    assert_eq!(world.created(), 2, "sent again although it had arrived");
}

/// The API at this address, with a key that has the workspace of another one.
async fn workspace(api: &str, key: &'static str, other: &'static str) -> String {
    let (api, client) = (api.to_owned(), reqwest::Client::new());
    let pass = move |request: axum::extract::Request| {
        let (api, client) = (api.clone(), client.clone());
        async move {
            let (mut parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            parts.headers.remove("host");
            let shown = parts.headers["authorization"].to_str().unwrap();
            let shown = shown.replace(key, other).parse().unwrap();
            parts.headers.insert("authorization", shown);
            let passed = client
                .request(parts.method, format!("{api}{}", parts.uri))
                .headers(parts.headers)
                .body(body);
            let answer = passed.send().await.unwrap();
            let status = answer.status();
            let json = [("content-type", "application/json")];
            (status, json, answer.bytes().await.unwrap())
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::new().fallback(pass);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}
