//! Two replicas of one service, and what callers ask of them.

use crate::{
    batches::{Grpc, PATIENCE, World, connect, reason, submit as submit_once},
    process::Process,
};
use claude_grpc::{
    access::ClientLimits,
    proto::v1::{self, BatchState},
};
use futures::future::join_all;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tonic::{Code, Status};

pub const SOON: Duration = Duration::from_millis(300);

pub const LATE: Duration = Duration::from_secs(3600);

/// Two replicas of one service.
pub struct Replicas {
    pub world: World,
    pub processes: Vec<Process>,
}

impl Replicas {
    /// With batches in this Redis, more keys of `batches`, and an API that takes this
    /// long for a batch.
    pub async fn start(redis: &str, batches: &str, duration: Duration) -> Replicas {
        let limits = format!("store = '{redis}'");
        let batches = format!("shared = true\n{batches}");
        let world = World::with(&limits, &batches, duration).await;
        let mut replicas = Replicas {
            world,
            processes: Vec::new(),
        };
        // The clients file must exist.
        replicas.world.client("first", ClientLimits::default());
        for _ in 0..2 {
            replicas.add().await;
        }
        replicas
    }

    pub async fn add(&mut self) {
        let folder = tempfile::tempdir_in(self.world.path()).unwrap().keep();
        self.processes.push(self.world.process_in(&folder).await);
    }

    /// Adds a client; returns it at each replica.
    pub async fn client(&self, name: &str, limits: ClientLimits) -> Vec<Grpc> {
        let key = self.world.client(name, limits);
        self.with_key(&key).await
    }

    /// A client at each replica, once they know it.
    pub async fn with_key(&self, key: &str) -> Vec<Grpc> {
        let clients: Vec<Grpc> = self.processes.iter().map(|it| connect(it, key)).collect();
        for client in &clients {
            let began = Instant::now();
            while let Err(status) = list(&mut client.clone()).await {
                assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
                assert!(began.elapsed() < PATIENCE);
                sleep(Duration::from_millis(50)).await;
            }
        }
        clients
    }
}

/// What a call says when Redis has answered it. Where tests fill all cores, it may be too
/// slow for a moment, and such calls say that they can be made again.
pub async fn served<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    let began = Instant::now();
    loop {
        match call().await {
            Err(status) if is_unavailable(&status) && began.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            outcome => return outcome,
        }
    }
}

pub fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable && reason(status) == "BATCH_STATE_UNAVAILABLE"
}

pub async fn submit(grpc: &mut Grpc, request_id: &str) -> Result<v1::Batch, Status> {
    served(async || submit_once(grpc, request_id).await).await
}

pub async fn list(grpc: &mut Grpc) -> Result<Vec<v1::Batch>, Status> {
    let request = v1::ListBatchesRequest::default;
    let listed = served(async || grpc.list_batches(request()).await).await?;
    Ok(listed.into_inner().batches)
}

pub async fn get(grpc: &mut Grpc, id: &str) -> Result<v1::Batch, Status> {
    let request = || v1::GetBatchRequest { id: id.to_owned() };
    let found = served(async || grpc.get_batch(request()).await).await?;
    Ok(found.into_inner().batch.unwrap())
}

pub async fn cancel(grpc: &mut Grpc, id: &str) -> Result<v1::Batch, Status> {
    let request = || v1::CancelBatchRequest { id: id.to_owned() };
    let canceled = served(async || grpc.cancel_batch(request()).await).await?;
    Ok(canceled.into_inner().batch.unwrap())
}

pub async fn delete(grpc: &mut Grpc, id: &str) -> Result<(), Status> {
    let request = || v1::DeleteBatchRequest { id: id.to_owned() };
    let deleted = served(async || grpc.delete_batch(request()).await).await;
    deleted.map(drop)
}

/// The ids of the results of a batch.
pub async fn results(grpc: &mut Grpc, id: &str) -> Result<Vec<String>, Status> {
    let request = || v1::StreamBatchResultsRequest { id: id.to_owned() };
    let stream = served(async || grpc.stream_batch_results(request()).await).await?;
    let mut stream = stream.into_inner();
    let mut ids = Vec::new();
    while let Some(result) = stream.message().await? {
        ids.push(result.id);
    }
    Ok(ids)
}

pub async fn ended(grpc: &mut Grpc, id: &str) -> v1::Batch {
    let began = Instant::now();
    loop {
        let batch = get(grpc, id).await.unwrap();
        if batch.state() == BatchState::Ended {
            return batch;
        }
        assert!(began.elapsed() < PATIENCE, "{batch:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The batches of these request ids when they have ended, each submitted again at one of
/// the replicas.
pub async fn finished(request_ids: &[String], clients: &[Grpc]) -> BTreeSet<String> {
    let finished = request_ids.iter().enumerate().map(|(number, request_id)| {
        let mut client = clients[number % 2].clone();
        async move {
            let id = submit(&mut client, request_id).await.unwrap().id;
            ended(&mut client, &id).await;
            assert_eq!(results(&mut client, &id).await.unwrap(), [&**request_id]);
            id
        }
    });
    join_all(finished).await.into_iter().collect()
}
