//! Clients whose calls several hosts of Claude may serve.

use crate::harness::{Keyed, keyed, prompt_of};
use claude_grpc::{
    access::{
        self, Access, AccessConfig, Clients, ClientsFile, Clock, NewClient,
        limits::{LimitsConfig, UsageStore},
    },
    models::{Day, PriceTable, Tokens},
    proto::v1,
    secrets::Reloadable,
    server::{Drain, Server, ServerConfig},
    service::{Rpcs, ServiceConfig},
    simulator::{Behaviour, Handle, SimulatedHost, Simulator, SimulatorConfig},
    upstream::{
        HostConfig, HostKeys, HostKind, Key, Keys, ProxyVariables, RouteConfig, TargetConfig,
        Upstream, UpstreamConfig,
    },
};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tonic::{Code, Request, transport::Channel};

const SONNET: &str = "claude-sonnet-5-5";
const HAIKU: &str = "claude-haiku-4-5";

/// The Claude API, and Amazon Bedrock with another model behind it.
struct World {
    claude: Handle,
    bedrock: Handle,
    clients: Vec<Keyed>,
    usage_store: UsageStore,
    drain: Drain,
}

impl World {
    async fn with(clients: Vec<NewClient>) -> World {
        let claude = simulate(SimulatedHost::Claude).await;
        let bedrock = simulate(SimulatedHost::BedrockRuntime).await;
        let hosts = vec![
            host("claude", HostKind::Claude, &claude.0),
            HostConfig {
                inference_profile: Some("eu".to_owned()),
                ..host("bedrock", HostKind::BedrockRuntime, &bedrock.0)
            },
        ];
        let target = |host: &str, model: Option<&str>| TargetConfig {
            host: host.to_owned(),
            model: model.map(str::to_owned),
            weight: None,
        };
        let route = RouteConfig {
            rpcs: Vec::new(),
            targets: vec![target("claude", None), target("bedrock", Some(HAIKU))],
        };
        let mut config = UpstreamConfig {
            hosts,
            routes: vec![route],
            ..UpstreamConfig::default()
        };
        config.retry.max_retries = 0;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients.toml");
        let keys: Vec<_> = clients
            .into_iter()
            .map(|new| access::add(&path, None, new).unwrap().secret)
            .collect();
        let clients = access::list(&path, None).unwrap();
        let clients = Clients::new(ClientsFile { clients }).unwrap();
        let longest = Duration::from_secs(60);
        let limits = LimitsConfig::default();
        let usage_store = UsageStore::with_store(&limits, None, longest, Clock::default());
        let usage_store = usage_store.unwrap();
        let access = Access::new(
            Reloadable::fixed("clients", clients),
            &AccessConfig::default().signatures,
            usage_store.clone(),
            Clock::default(),
        );
        let of_hosts = config.hosts.iter().map(|host| {
            let secret = SecretString::from(format!("sk-{}", host.name));
            let key = Key::of(host.kind.key_scheme(), "key-1", &secret).unwrap();
            (host.name.clone(), Keys::new([key]))
        });
        let of_hosts: BTreeMap<_, _> = of_hosts.collect();
        let upstream = Upstream::with(
            &config,
            HostKeys::new(Keys::new([]), of_hosts),
            &ProxyVariables::default(),
            None,
            Some(&access),
        );
        let service = Rpcs::new(upstream.unwrap().client, ServiceConfig::default());
        let config = ServerConfig {
            listen: any_port(),
            ..ServerConfig::default()
        };
        let server = Server::bind(config, service).await.unwrap();
        let server = server.with_access(Some(access));
        let (address, drain) = (server.local_addr().unwrap(), server.drain());
        tokio::spawn(server.run());
        let mut clients = Vec::new();
        for key in keys {
            let channel = Channel::from_shared(format!("http://{address}")).unwrap();
            let channel = channel.connect().await.unwrap();
            clients.push(keyed(channel, key.expose_secret()));
        }
        World {
            claude: claude.1,
            bedrock: bedrock.1,
            clients,
            usage_store,
            drain,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn simulate(host: SimulatedHost) -> (String, Handle) {
    let simulator = Simulator::bind(SimulatorConfig {
        listen: any_port(),
        host,
        record: true,
        ..SimulatorConfig::default()
    });
    let simulator = simulator.await.unwrap();
    let (base_url, handle) = (simulator.base_url().unwrap(), simulator.handle());
    tokio::spawn(simulator.run());
    (base_url, handle)
}

fn host(name: &str, kind: HostKind, base_url: &str) -> HostConfig {
    HostConfig {
        name: name.to_owned(),
        kind,
        base_url: Some(base_url.to_owned()),
        ..HostConfig::default()
    }
}

fn named(name: &str) -> NewClient {
    NewClient {
        name: name.to_owned(),
        ..NewClient::default()
    }
}

fn prompt() -> v1::GenerateRequest {
    v1::GenerateRequest {
        model: SONNET.to_owned(),
        ..prompt_of("Hello?")
    }
}

#[tokio::test]
async fn a_client_reaches_only_its_hosts_and_models() {
    let mut world = World::with(vec![
        NewClient {
            hosts: vec!["claude".to_owned()],
            ..named("of-one-host")
        },
        NewClient {
            models: vec![SONNET.to_owned()],
            ..named("of-one-model")
        },
        named("of-all"),
    ])
    .await;
    for client in [0, 1] {
        world.claude.next([Behaviour::Overloaded]);
        let failed = world.clients[client].generate(prompt()).await.unwrap_err();
        assert_eq!(failed.code(), Code::Unavailable, "{failed:?}");
        let mut elsewhere = Request::new(prompt());
        let metadata = elsewhere.metadata_mut();
        metadata.insert("claude-host", "bedrock".parse().unwrap());
        let refused = world.clients[client].generate(elsewhere).await;
        assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    }
    assert_eq!(world.bedrock.counts().requests, 0);

    world.claude.next([Behaviour::Overloaded]);
    let answer = world.clients[2].generate(prompt()).await.unwrap();
    assert_eq!(answer.into_inner().host, "bedrock");
}

/// Bedrock charges more for an inference profile of a region.
#[tokio::test]
async fn a_budget_pays_what_the_host_and_the_model_of_the_answer_cost() {
    let mut world = World::with(vec![NewClient {
        limits: toml::from_str("dollars_per_day = 1").unwrap(),
        ..named("a")
    }])
    .await;
    world.claude.next([Behaviour::Overloaded]);
    let answer = world.clients[0].generate(prompt()).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!(answer.host, "bedrock");
    let usage = answer.usage.unwrap();
    let tokens = Tokens {
        input: usage.input_tokens as u64,
        output: usage.output_tokens as u64,
        ..Tokens::default()
    };
    let prices = PriceTable::new(&[], Day::today());
    let cost = |id: &str| prices.cost(id, &tokens, Day::today).unwrap();
    let expected = cost("eu.anthropic.claude-haiku-4-5-20251001-v1:0");
    assert!(expected > cost(HAIKU) && expected < cost(SONNET));
    let spent = world.usage_store.spent("a");
    assert_eq!(spent.nanodollars_in_day, expected, "{spent:?}");
}

/// The next host may be asked, and costs ten times as much.
#[tokio::test]
async fn a_budget_reserves_what_the_dearest_host_costs() {
    let mut world = World::with(vec![NewClient {
        limits: toml::from_str("dollars_per_day = 0.003").unwrap(),
        ..named("a")
    }])
    .await;
    let prompt = || v1::GenerateRequest {
        model: "claude-haiku-5-5".to_owned(),
        max_tokens: Some(1000),
        ..prompt()
    };
    let refused = world.clients[0].generate(prompt()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(world.usage_store.spent("a").nanodollars_in_day, 0);
    let mut at_one_host = Request::new(prompt());
    let metadata = at_one_host.metadata_mut();
    metadata.insert("claude-host", "claude".parse().unwrap());
    world.clients[0].generate(at_one_host).await.unwrap();
}

#[tokio::test]
async fn each_host_sees_its_own_key_alone() {
    let mut world = World::with(vec![named("a")]).await;
    world.claude.next([Behaviour::Overloaded]);
    world.clients[0].generate(prompt()).await.unwrap();
    for (host, key) in [(&world.claude, "sk-claude"), (&world.bedrock, "sk-bedrock")] {
        let requests = host.requests();
        assert_eq!(requests.len(), 1);
        let headers = format!("{:?}", requests[0].headers);
        assert!(headers.contains(key), "{headers}");
        let other = if key == "sk-claude" {
            "sk-bedrock"
        } else {
            "sk-claude"
        };
        assert!(!headers.contains(other), "{headers}");
        assert_eq!(
            requests[0].headers["authorization"],
            format!("Bearer {key}")
        );
    }
}
