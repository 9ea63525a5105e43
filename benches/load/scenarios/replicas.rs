//! The quota run, against three processes that share one API key: once with a
//! usage_store in Redis, once each with its own.

use super::quota::{self, Figures};
use crate::{
    process::Process,
    redis_server::RedisServer,
    rig::{any_port, client},
};
use claude_grpc::simulator::Simulator;

const REPLICAS: usize = 3;

pub async fn run() -> bool {
    if !RedisServer::is_installed() {
        println!("skipped: redis-server is not installed");
        return true;
    }
    println!("{REPLICAS} processes, one usage_store in Redis");
    let redis = RedisServer::start().await;
    let shared = measure(&redis.url()).await;
    drop(redis);
    println!("{REPLICAS} processes, each with its own usage_store");
    let alone = measure("memory").await;
    quota::compare(("shared", &shared), ("alone", &alone));
    shared.hold()
}

async fn measure(store: &str) -> Figures {
    let mut config = quota::simulator();
    config.listen = any_port();
    // In this process, which can count what it was asked.
    let simulator = Simulator::bind(config).await.expect("a free port");
    let url = format!("http://{}", simulator.local_addr().expect("its address"));
    let handle = simulator.handle();
    let simulating = tokio::spawn(simulator.run());
    let variables = [
        ("CLAUDE_GRPC_LIMITS__STORE", store),
        // Its default port cannot be had three times.
        ("CLAUDE_GRPC_ADMIN__ENABLED", "false"),
    ];
    let replicas: Vec<Process> = (0..REPLICAS)
        .map(|_| Process::serve(&url, &variables, None))
        .collect();
    let mut clients = Vec::new();
    for replica in &replicas {
        clients.push(client(replica.address).await);
    }
    let figures = quota::drive(&clients, &handle).await;
    simulating.abort();
    figures
}
