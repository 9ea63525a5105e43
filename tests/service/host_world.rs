//! One service on several hosts of Claude, each a simulator that speaks its dialect.

use crate::support::{Grpc, Setup, connect};
use claude_grpc::{
    access::Clock,
    files::{FilesConfig, Ownership},
    server::Server,
    service::Rpcs,
    simulator::{Handle, SimulatedHost, Simulator, SimulatorConfig},
    upstream::{HostConfig, HostKind, Key, Keys, RouteConfig, TargetConfig, Upstream},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, net::SocketAddr};
use tokio::task::JoinHandle;

/// A service on hosts, in their order.
pub struct HostWorld {
    pub grpc: Grpc,
    pub upstream: Upstream,
    pub hosts: Vec<Handle>,
    tasks: Vec<JoinHandle<()>>,
}

/// Each kind of host, with the dialect that the simulator speaks for it.
pub const KINDS: [(HostKind, SimulatedHost); 7] = [
    (HostKind::Claude, SimulatedHost::Claude),
    (
        HostKind::ClaudePlatformAws,
        SimulatedHost::ClaudePlatformAws,
    ),
    (HostKind::BedrockMantle, SimulatedHost::BedrockMantle),
    (HostKind::BedrockRuntime, SimulatedHost::BedrockRuntime),
    (HostKind::Vertex, SimulatedHost::Vertex),
    (HostKind::GoogleCloud, SimulatedHost::GoogleCloud),
    (HostKind::Foundry, SimulatedHost::Foundry),
];

/// The key of each host.
const KEY: &str = "sk-test-key";

impl HostWorld {
    /// Hosts of these kinds, named by them, and what a test changes before the start.
    pub async fn with(kinds: &[HostKind], change: impl FnOnce(&mut Setup)) -> HostWorld {
        HostWorld::of(Setup::default(), kinds, change).await
    }

    /// A host that has room for so many requests per minute.
    pub async fn limited(
        kind: HostKind,
        requests: u64,
        change: impl FnOnce(&mut Setup),
    ) -> HostWorld {
        let mut setup = Setup::default();
        setup.simulator.limits.requests_per_minute = requests;
        HostWorld::of(setup, &[kind], change).await
    }

    async fn of(
        mut setup: Setup,
        kinds: &[HostKind],
        change: impl FnOnce(&mut Setup),
    ) -> HostWorld {
        let (mut handles, mut tasks) = (Vec::new(), Vec::new());
        for kind in kinds {
            let (_, dialect) = KINDS.iter().find(|(one, _)| one == kind).unwrap();
            let config = SimulatorConfig {
                host: *dialect,
                api_keys: vec![KEY.to_owned()],
                ..setup.simulator.clone()
            };
            let simulator = Simulator::bind(config).await.unwrap();
            let base_url = simulator.base_url().unwrap();
            handles.push(simulator.handle());
            tasks.push(tokio::spawn(simulator.run()));
            setup.upstream.hosts.push(host(*kind, &base_url));
        }
        change(&mut setup);
        let mut wrong = Vec::new();
        setup
            .upstream
            .check(&mut |key, problem| wrong.push(format!("{key} {problem}")));
        assert!(wrong.is_empty(), "{wrong:?}");
        let keys = setup.upstream.hosts.iter().map(|host| {
            let secret = SecretString::from(KEY);
            let key = Key::of(host.kind.key_scheme(), "key-1", &secret).unwrap();
            (host.name.clone(), Keys::new([key]))
        });
        let keys: BTreeMap<_, _> = keys.collect();
        let keys = claude_grpc::upstream::HostKeys::new(Keys::new([]), keys);
        // As with access control: what the guard leaves alone must stay as it was.
        let ownership = Ownership::open(&FilesConfig::default(), None, Clock::default()).unwrap();
        let upstream = ownership.guarding(Upstream::new(&setup.upstream, keys).unwrap());
        let service = Rpcs::new(upstream.client.clone(), setup.service);
        let server = Server::bind(setup.server, service).await.unwrap();
        let address = server.local_addr().unwrap();
        tasks.push(tokio::spawn(server.run()));
        HostWorld {
            grpc: connect(address),
            upstream,
            hosts: handles,
            tasks,
        }
    }

    /// How many requests reached each host.
    pub fn requests(&self) -> Vec<u64> {
        let counts = self.hosts.iter().map(|host| host.counts().requests);
        counts.collect()
    }
}

impl Drop for HostWorld {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A host of this kind below the address of its simulator.
fn host(kind: HostKind, base_url: &str) -> HostConfig {
    let path = match kind {
        HostKind::BedrockMantle | HostKind::Foundry => "/anthropic",
        HostKind::Vertex => "/v1",
        HostKind::GoogleCloud => "/v1/projects/p/locations/global/workspaces/w/invoke",
        _ => "",
    };
    let text = |text: &str| Some(text.to_owned());
    HostConfig {
        name: kind.name().replace('_', "-"),
        kind,
        base_url: Some(format!("{base_url}{path}")),
        region: text("global"),
        project: text("p"),
        workspace_id: text("wrkspc_1"),
        api_key_file: Some("/not/read/here".into()),
        ..HostConfig::default()
    }
}

/// A route of all RPCs to these hosts.
pub fn route(targets: &[(&str, Option<&str>)]) -> RouteConfig {
    let target = |(host, model): &(&str, Option<&str>)| TargetConfig {
        host: (*host).to_owned(),
        model: model.map(str::to_owned),
        weight: None,
    };
    RouteConfig {
        rpcs: Vec::new(),
        targets: targets.iter().map(target).collect(),
    }
}

/// An address that accepts nothing.
pub fn nowhere(address: SocketAddr) -> Option<String> {
    Some(format!("http://{address}"))
}
