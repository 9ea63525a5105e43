//! Responses that are kept belong to the tenant of the call, and cost nothing.

use crate::{
    file_world::{Caller, FileWorld, TENANTS, until},
    harness::{Setup, keyed, prompt, prompt_of},
    redis_server::RedisServer,
};
use claude_grpc::{
    access::{self, NewClient},
    proto::v1,
};
use secrecy::ExposeSecret;
use tonic::{Request, Status};

/// What is asked, and must not be in Redis.
const QUESTION: &str = "Where do the storks of Oldport winter?";

fn accepting(request: v1::GenerateRequest) -> Request<v1::GenerateRequest> {
    let mut request = Request::new(request);
    let age = "60".parse().unwrap();
    request.metadata_mut().insert("claude-cache-max-age", age);
    request
}

#[tokio::test]
async fn a_response_that_is_found_costs_its_tenant_nothing_and_no_other_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.toml");
    let keys = ["a", "b", "narrow"].map(|name| {
        let client = NewClient {
            name: name.to_owned(),
            tenant: (name == "narrow").then(|| "a".to_owned()),
            models: match name {
                "narrow" => vec!["claude-haiku-5-5".to_owned()],
                _ => Vec::new(),
            },
            limits: toml::from_str("tokens_per_day = 1_000_000").unwrap(),
            ..NewClient::default()
        };
        let added = access::add(&path, None, client).unwrap();
        added.secret.expose_secret().to_owned()
    });
    let server = Setup::of(access::list(&path, None).unwrap()).start().await;
    let generate = async |key: &str| -> Result<bool, Status> {
        let mut client = keyed(server.channel().await, key);
        let answer = client.generate(accepting(prompt())).await?;
        Ok(answer.into_inner().cached)
    };
    let [a, b, narrow] = &keys;
    let spent = || format!("{:?}", server.access.usage_store().spent("a"));
    assert!(!generate(a).await.unwrap());
    let before = spent();
    assert!(generate(a).await.unwrap());
    assert_eq!((server.api.calls(), spent()), (1, before));
    assert!(!generate(b).await.unwrap(), "of another tenant");
    // It may not use the model, although its tenant has the response.
    generate(narrow).await.unwrap_err();
    assert_eq!(server.api.calls(), 2);
}

async fn asked(caller: &mut Caller, text: &str) -> bool {
    let answer = caller.claude.generate(accepting(prompt_of(text))).await;
    answer.unwrap().into_inner().cached
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server"]
async fn replicas_share_the_responses_of_a_tenant_and_redis_has_nothing_plain() {
    let mut redis = RedisServer::start().await;
    let world = FileWorld::start(&redis.url()).await;
    let key_file = world.key_file();
    let variables = [
        ("CLAUDE_GRPC_RESPONSE_CACHE__SHARED", "true"),
        (
            "CLAUDE_GRPC_RESPONSE_CACHE__KEY_FILE",
            key_file.to_str().unwrap(),
        ),
        ("CLAUDE_GRPC_RESPONSE_CACHE__RETENTION", "10m"),
    ];
    let (mut here, mut there) = (world.replica(&variables), world.replica(&variables));
    assert!(!asked(&mut here.one, QUESTION).await);
    until(async || asked(&mut there.one, QUESTION).await).await;
    let before = world.requests();
    assert!(asked(&mut here.one, QUESTION).await);
    assert_eq!(world.requests(), before);
    assert!(!asked(&mut there.two, QUESTION).await, "of another tenant");

    let names = redis.ask(&["keys", "claude-grpc:response:*"]);
    assert_eq!(names.lines().count(), 2, "{names}");
    let mut all = names.clone();
    for name in names.lines() {
        let left: i64 = redis.ask(&["ttl", name]).trim().parse().unwrap();
        assert!((1..=600).contains(&left), "{left}");
        all.push_str(&redis.ask(&["get", name]));
    }
    assert!(all.contains("gAAAA"), "{all}");
    for plain in TENANTS
        .into_iter()
        .chain(["storks", "simulated", "sk-of-all"])
    {
        assert!(!all.contains(plain), "{plain}: {all}");
    }
    // What is of one tenant is nobody else's under another key either.
    let [one, two] = names.lines().collect::<Vec<_>>()[..] else {
        panic!("{names}");
    };
    let moved = redis.ask(&["get", one]);
    redis.ask(&["set", two, moved.trim()]);
    let found = [
        asked(&mut here.one, QUESTION).await,
        asked(&mut here.two, QUESTION).await,
    ];
    assert_eq!(found.iter().filter(|it| **it).count(), 1, "{found:?}");

    // Without Redis, the API is asked.
    redis.stop();
    assert!(!asked(&mut here.one, QUESTION).await);
}
