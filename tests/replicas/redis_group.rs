//! Several real Redis servers that belong together: a master with sentinels, and
//! a cluster. They end when they are dropped.

use crate::redis_server::{RedisServer, TLS_FILES, ask, free_port};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// Forming a group and failing over take seconds, on a busy machine more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Replicas get the data at once, instead of after the five seconds in which
/// others might want it too.
const AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

/// A master, a replica, and three sentinels, which know the master as `main`.
pub struct RedisSentinels {
    pub servers: [RedisServer; 2],
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    port: u16,
    tls: Option<PathBuf>,
    child: std::process::Child,
    _folder: TempDir,
}

/// Three masters with a replica each.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
}

// === impl RedisSentinels ===

impl RedisSentinels {
    /// With TLS, if the folder of its certificates is given.
    pub async fn start(tls: Option<&Path>) -> RedisSentinels {
        let master = server(free_port(), &AT_ONCE, tls).await;
        let port = master.port().to_string();
        let args = [&AT_ONCE[..], &["--replicaof", "127.0.0.1", &port]].concat();
        let replica = server(free_port(), &args, tls).await;
        until(|| is_replicating(&replica)).await;
        let sentinels = (0..3).map(|_| Sentinel::start(&port, tls)).collect();
        let group = RedisSentinels {
            servers: [master, replica],
            sentinels,
        };
        // Without these, the sentinels would not agree on a failover.
        group
            .until(|group| {
                group.sentinels.iter().all(|it| {
                    let master = it.ask(&["sentinel", "master", "main"]);
                    value(&master, "num-slaves") == "1"
                        && value(&master, "num-other-sentinels") == "2"
                })
            })
            .await;
        group
    }

    /// The sentinels, as `limits.store` names them.
    pub fn url(&self) -> String {
        let hosts = self
            .sentinels
            .iter()
            .map(|it| format!("127.0.0.1:{}", it.port));
        let hosts: Vec<_> = hosts.collect();
        let scheme = scheme(&self.servers[0]);
        format!("{scheme}+sentinel://{}/main", hosts.join(","))
    }

    /// Ends the master; completes when all sentinels name the replica.
    pub async fn fail_over(&mut self, end: impl FnOnce(&mut RedisServer)) {
        end(&mut self.servers[0]);
        let replica = self.servers[1].port().to_string();
        self.until(|group| {
            group.sentinels.iter().all(|it| {
                let named = it.ask(&["sentinel", "get-master-addr-by-name", "main"]);
                named.lines().nth(1) == Some(&replica)
            })
        })
        .await;
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        until(|| holds(self)).await;
    }
}

impl Sentinel {
    fn start(master: &str, tls: Option<&Path>) -> Sentinel {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        // A sentinel writes what it learns into its configuration.
        let file = folder.path().join("sentinel.conf");
        let mut text = format!(
            "bind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 3000\n"
        );
        let ports = match tls {
            Some(_) => {
                format!("port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients optional\n")
            }
            None => format!("port {port}\n"),
        };
        text.push_str(&ports);
        for (name, file) in TLS_FILES.into_iter().filter(|_| tls.is_some()) {
            let path = tls.expect("there is TLS").join(file);
            let _ = writeln!(text, "{name} {}", path.display());
        }
        std::fs::write(&file, text).expect("a file");
        Sentinel {
            port,
            tls: tls.map(Path::to_owned),
            child: sentinel(&file),
            _folder: folder,
        }
    }

    fn ask(&self, words: &[&str]) -> String {
        ask(self.port, self.tls.as_deref(), words)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sentinel(file: &Path) -> std::process::Child {
    std::process::Command::new("redis-server")
        .arg(file)
        .arg("--sentinel")
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("redis-server runs")
}

// === impl RedisCluster ===

impl RedisCluster {
    /// Three masters with an even share of the slots, and a replica of each.
    /// With TLS, if the folder of its certificates is given.
    pub async fn start(tls: Option<&Path>) -> RedisCluster {
        let slots = ["0 5460", "5461 10922", "10923 16383"];
        let cluster = RedisCluster::of(&slots, tls).await;
        let mut nodes = cluster.nodes;
        for master in 0..3 {
            let id = nodes[master].ask(&["cluster", "myid"]);
            let replica = node(tls).await;
            meet(&nodes[0], &replica).await;
            until(|| replica.ask(&["cluster", "nodes"]).contains(id.trim())).await;
            until(|| replica.ask(&["cluster", "replicate", id.trim()]).trim() == "OK").await;
            nodes.push(replica);
        }
        let cluster = RedisCluster { nodes };
        until(|| {
            cluster.nodes.iter().all(|it| {
                let nodes = it.ask(&["cluster", "nodes"]);
                nodes.matches("slave").count() == 3 && is_ok(it)
            }) && cluster.nodes[3..].iter().all(is_replicating)
        })
        .await;
        cluster
    }

    /// A master for each of these lists of ranges of slots, without replicas.
    pub async fn of(slots: &[&str], tls: Option<&Path>) -> RedisCluster {
        let mut nodes = Vec::new();
        for ranges in slots {
            let node = node(tls).await;
            let mut words = vec!["cluster", "addslotsrange"];
            words.extend(ranges.split(' '));
            assert_eq!(node.ask(&words).trim(), "OK");
            nodes.push(node);
        }
        for (number, node) in nodes.iter().enumerate() {
            let epoch = (number + 1).to_string();
            node.ask(&["cluster", "set-config-epoch", &epoch]);
        }
        for node in &nodes[1..] {
            meet(&nodes[0], node).await;
        }
        until(|| nodes.iter().all(is_ok)).await;
        RedisCluster { nodes }
    }

    /// The masters, as `limits.store` names them.
    pub fn url(&self) -> String {
        let hosts = self
            .nodes
            .iter()
            .map(|it| format!("127.0.0.1:{}", it.port()));
        let hosts: Vec<_> = hosts.collect();
        format!("{}+cluster://{}", scheme(&self.nodes[0]), hosts.join(","))
    }

    /// Which master has the slot of a key.
    pub fn master_of(&self, key: &str) -> usize {
        let masters = self.nodes.iter().take(3);
        masters
            .enumerate()
            .find(|(_, it)| !it.ask(&["type", key]).contains("MOVED"))
            .map(|(number, _)| number)
            .expect("a master has it")
    }

    /// Ends a master; completes when its replica has taken over and all others
    /// know.
    pub async fn fail_over(&mut self, master: usize, end: impl FnOnce(&mut RedisServer)) {
        end(&mut self.nodes[master]);
        let replica = &self.nodes[master + 3];
        until(|| replica.ask(&["role"]).starts_with("master")).await;
        let others = self.nodes.iter().enumerate();
        let others: Vec<_> = others.filter(|(it, _)| *it != master).collect();
        until(|| others.iter().all(|(_, it)| is_ok(it))).await;
    }
}

/// A node of a cluster that knows no other.
async fn node(tls: Option<&Path>) -> RedisServer {
    // The bus of a cluster has a port of its own.
    let bus = free_port().to_string();
    let mut args = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
    args.extend(["--cluster-node-timeout", "1000"]);
    args.extend(AT_ONCE);
    if tls.is_some() {
        args.extend(["--tls-cluster", "yes"]);
    }
    server(free_port(), &args, tls).await
}

async fn server(port: u16, args: &[&str], tls: Option<&Path>) -> RedisServer {
    let mut server = RedisServer::stopped(port, args);
    if let Some(folder) = tls {
        server = server.with_tls(folder);
    }
    server.run().await;
    server
}

fn scheme(server: &RedisServer) -> &'static str {
    match server.tls() {
        Some(_) => "rediss",
        None => "redis",
    }
}

async fn meet(one: &RedisServer, other: &RedisServer) {
    let bus = other.ask(&["config", "get", "cluster-port"]);
    let bus = bus.lines().nth(1).expect("a port").to_owned();
    let port = other.port().to_string();
    let met = one.ask(&["cluster", "meet", "127.0.0.1", &port, &bus]);
    assert_eq!(met.trim(), "OK");
    let id = other.ask(&["cluster", "myid"]);
    until(|| {
        one.ask(&["cluster", "nodes"])
            .lines()
            .any(|it| it.contains(id.trim()) && !it.contains("handshake"))
    })
    .await;
}

fn is_replicating(replica: &RedisServer) -> bool {
    let info = replica.ask(&["info", "replication"]);
    info.contains("master_link_status:up")
}

fn is_ok(node: &RedisServer) -> bool {
    node.ask(&["cluster", "info"]).contains("cluster_state:ok")
}

async fn until(mut holds: impl FnMut() -> bool) {
    let polled = async {
        while !holds() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, polled).await.expect("the group forms");
}

/// The line after a name, as redis-cli prints pairs.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let mut lines = text.lines().skip_while(|it| *it != name);
    lines.nth(1).unwrap_or_default()
}
