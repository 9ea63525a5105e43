//! What batches name and make belongs to a tenant at each replica.

use crate::{
    file_world::{FileWorld, assert_reason, naming, running, until},
    redis_server::RedisServer,
};
use claude_grpc::proto::v1::{self, batch_item::Request as Item};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn a_batch_names_files_of_another_replica_and_its_results_are_usable_there() {
    let redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let (state, key) = (folder.path().join("batches"), world.key_file());
    let batches = [
        ("CLAUDE_GRPC_BATCHES__STATE_FILE", state.to_str().unwrap()),
        ("CLAUDE_GRPC_BATCHES__KEY_FILE", key.to_str().unwrap()),
    ];
    let (mut here, mut there) = (world.replica(&batches), world.replica(&[]));
    let file = there.one.upload(20).await.unwrap();
    let items = [("file", naming(&[&file.id])), ("code", running(""))];
    let submission = v1::SubmitBatchRequest {
        items: items
            .map(|(id, request)| v1::BatchItem {
                id: id.to_owned(),
                request: Some(Item::Generate(request)),
            })
            .to_vec(),
        ..v1::SubmitBatchRequest::default()
    };
    let refused = here.two.submit(&submission).await;
    assert_reason(&refused.unwrap_err(), "FILE_UNKNOWN");
    let id = here.one.submit(&submission).await.unwrap();
    until(async || {
        let request = v1::GetBatchRequest { id: id.clone() };
        let batch = here.one.batches.get_batch(request).await.unwrap();
        batch.into_inner().batch.unwrap().state() == v1::BatchState::Ended
    })
    .await;
    let request = v1::StreamBatchResultsRequest { id };
    let results = here.one.batches.stream_batch_results(request).await;
    let mut results = results.unwrap().into_inner();
    let mut containers = Vec::new();
    while let Some(result) = results.message().await.unwrap() {
        let text = format!("{result:?}");
        if let Some((_, rest)) = text.split_once("container_sim_") {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let container = format!("container_sim_{number}");
            // As soon as the result has said it.
            assert_eq!(there.one.run(&container).await.unwrap(), container);
            let status = there.two.run(&container).await.unwrap_err();
            assert_reason(&status, "CONTAINER_UNKNOWN");
            containers.push(container);
        }
    }
    assert_eq!(containers.len(), 1, "{containers:?}");
}
