//! Replicas and a Redis that end in the middle of something: nothing is lost, and nothing
//! is sent twice.

use super::replicas::{Replicas, SOON, ended, finished, get, list, results, submit};
use crate::{
    batches::{connect, reason, submit as submit_once},
    redis_server::RedisServer,
};
use claude_grpc::{
    access::ClientLimits,
    proto::v1::{self, BatchState},
    simulator::Behaviour,
};
use futures::future::join_all;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tonic::Code;

/// A replica is killed in the middle of a submission, which meets this behaviour of the
/// API; the other finishes it.
async fn killed(behaviour: Behaviour) {
    let redis = RedisServer::start().await;
    let mut replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    let simulator = replicas.world.simulator.clone();
    let before = simulator.counts().requests;
    simulator.next([behaviour]);
    let mut one = clients[0].clone();
    let submission = tokio::spawn(async move { submit_once(&mut one, "r").await });
    simulator
        .until(|counts| counts.requests == before + 1)
        .await;
    let two = &mut clients[1];
    let listed = list(two).await.unwrap();
    assert_eq!(listed[0].state(), BatchState::Submitting);

    let began = Instant::now();
    replicas.processes.remove(0);
    submission.await.unwrap().unwrap_err();
    ended(two, &listed[0].id).await;
    println!("finished {:?} after the kill", began.elapsed());
    assert_eq!(results(two, &listed[0].id).await.unwrap(), ["r"]);
    assert_eq!(submit(two, "r").await.unwrap().id, listed[0].id);
    assert_eq!(replicas.world.created().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_submission_that_has_arrived_is_found_after_its_replica_is_killed() {
    killed(Behaviour::HangAfter { events: 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_submission_that_has_not_arrived_is_sent_after_its_replica_is_killed() {
    killed(Behaviour::Hang).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nothing_is_lost_or_sent_twice_while_replicas_are_killed_one_after_another() {
    let redis = RedisServer::start().await;
    let mut replicas = Replicas::start(&redis.url(), "", SOON).await;
    let key = replicas.world.client("c", ClientLimits::default());
    replicas.with_key(&key).await;
    let mut request_ids = Vec::new();
    for round in 0..6 {
        let client = connect(&replicas.processes[0], &key);
        let submissions = (0..20).map(|number| {
            let (mut client, request_id) = (client.clone(), format!("{round}-{number}"));
            request_ids.push(request_id.clone());
            tokio::spawn(async move { submit_once(&mut client, &request_id).await.is_ok() })
        });
        let submissions: Vec<_> = submissions.collect();
        sleep(Duration::from_millis(20 + 15 * round)).await;
        replicas.processes.remove(0);
        join_all(submissions).await;
        replicas.add().await;
    }
    let ids = finished(&request_ids, &replicas.with_key(&key).await).await;
    assert_eq!(ids.len(), request_ids.len());
    assert_eq!(replicas.world.created().await, request_ids.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn nothing_is_lost_or_sent_twice_while_redis_is_killed() {
    let kept = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = RedisServer::start_with(&kept).await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &replicas.client("c", ClientLimits::default()).await;
    let mut request_ids = Vec::new();
    let mut refused = 0;
    for round in 0..6 {
        let submissions = (0..20).map(|number| {
            let request_id = format!("{round}-{number}");
            request_ids.push(request_id.clone());
            let mut client = clients[number % 2].clone();
            tokio::spawn(async move { submit_once(&mut client, &request_id).await.map(drop) })
        });
        let submissions: Vec<_> = submissions.collect();
        sleep(Duration::from_millis(10 + 15 * round)).await;
        redis.stop();
        for outcome in join_all(submissions).await {
            let Err(status) = outcome.unwrap() else {
                continue;
            };
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            refused += 1;
        }
        redis.run().await;
        for client in clients {
            list(&mut client.clone()).await.unwrap();
        }
    }
    let ids = finished(&request_ids, clients).await;
    assert_eq!(ids.len(), request_ids.len());
    assert_eq!(replicas.world.created().await, request_ids.len());
    println!("{refused} of {} were refused", request_ids.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_replica_that_was_suspended_in_a_submission_changes_nothing() {
    let redis = RedisServer::start().await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    let simulator = replicas.world.simulator.clone();
    let before = simulator.counts().requests;
    simulator.next([Behaviour::Hang]);
    let mut one = clients[0].clone();
    let submission = tokio::spawn(async move { submit_once(&mut one, "r").await });
    simulator
        .until(|counts| counts.requests == before + 1)
        .await;
    replicas.processes[0].signal("STOP");
    let two = &mut clients[1];
    let id = list(two).await.unwrap()[0].id.clone();
    let finished = ended(two, &id).await;
    replicas.processes[0].signal("CONT");
    // Its caller is told that it is not known whether it has arrived.
    let told = submission.await.unwrap().unwrap();
    assert_eq!(told.id, id);
    assert_eq!(get(&mut clients[0], &id).await.unwrap(), finished);
    assert_eq!(replicas.world.created().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn without_redis_calls_fail_at_once_and_nothing_is_lost() {
    let kept = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = RedisServer::start_with(&kept).await;
    let replicas = Replicas::start(&redis.url(), "", SOON).await;
    let clients = &mut replicas.client("c", ClientLimits::default()).await;
    let submitted = submit(&mut clients[0], "r").await.unwrap();
    redis.stop();
    for client in &mut *clients {
        // Finds out.
        let listed = v1::ListBatchesRequest::default;
        let _ = client.list_batches(listed()).await;
        let began = Instant::now();
        let id = || submitted.id.clone();
        let refused = [
            submit_once(client, "s").await.unwrap_err(),
            client.list_batches(listed()).await.unwrap_err(),
            client
                .get_batch(v1::GetBatchRequest { id: id() })
                .await
                .unwrap_err(),
            client
                .cancel_batch(v1::CancelBatchRequest { id: id() })
                .await
                .unwrap_err(),
            client
                .delete_batch(v1::DeleteBatchRequest { id: id() })
                .await
                .unwrap_err(),
        ];
        let took = began.elapsed();
        assert!(took < Duration::from_millis(500), "waited for {took:?}");
        for status in refused {
            assert_eq!(reason(&status), "BATCH_STATE_UNAVAILABLE");
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.message().contains("Redis"), "{status:?}");
        }
    }
    redis.run().await;
    ended(&mut clients[1], &submitted.id).await;
    assert_eq!(
        results(&mut clients[1], &submitted.id).await.unwrap(),
        ["r"]
    );
    let again = submit(&mut clients[1], "r").await.unwrap();
    assert_eq!(again.id, submitted.id);
    assert_eq!(replicas.world.created().await, 1, "a refused one was sent");
}
