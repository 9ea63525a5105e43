//! What calls with a long prompt in common cost: one writes it to the prompt cache, and
//! the others read it.

use crate::support::{Setup, World, soon};
use claude_grpc::{
    models::{Day, PriceTable, Tokens},
    proto::v1,
    simulator::Behaviour,
};
use futures::{StreamExt, stream};
use std::time::Duration;
use tonic::Request;

const MODEL: &str = "claude-haiku-5-5";
const LABELS: usize = 20;

/// When the answers of the simulator begin.
const BEGINNING: Duration = Duration::from_secs(1);

/// The simulator counts four characters a token.
const CHARACTERS_PER_TOKEN: usize = 4;

/// Twenty labels whose descriptions and examples take about 5,000 tokens.
fn labels(kind: &str) -> Vec<v1::Label> {
    let tokens_each = 5000 / LABELS;
    let label = |number: usize| {
        let sentence = format!("Letters of {kind} {number} about what their writers want. ");
        let text = |characters: usize| sentence.chars().cycle().take(characters).collect();
        let half = tokens_each * CHARACTERS_PER_TOKEN / 2;
        v1::Label {
            name: format!("{kind}-{number}"),
            description: text(half),
            examples: vec![text(half / 2), text(half / 2)],
        }
    };
    (0..LABELS).map(label).collect()
}

/// A text of about 500 tokens.
fn text(number: usize) -> String {
    let sentence = format!("Letter {number} says once more that nobody has answered. ");
    let characters = 500 * CHARACTERS_PER_TOKEN;
    sentence.chars().cycle().take(characters).collect()
}

fn request(kind: &str, number: usize) -> v1::ClassifyRequest {
    v1::ClassifyRequest {
        text: text(number),
        labels: labels(kind),
        model: MODEL.to_owned(),
        ..v1::ClassifyRequest::default()
    }
}

/// What the input of all calls costs, in billionths of a dollar, and what it would without
/// the prompt cache.
#[derive(Debug, Default)]
struct InputBill {
    billed: u64,
    naive: u64,
    writes: usize,
}

impl InputBill {
    fn add(&mut self, usage: &v1::Usage) {
        let count = |count: i64| u64::try_from(count).unwrap();
        let tokens = Tokens {
            input: count(usage.input_tokens),
            cache_read: count(usage.cache_read_input_tokens),
            cache_write_5m: count(usage.cache_creation_input_tokens),
            ..Tokens::default()
        };
        let naive = Tokens {
            input: tokens.all_input(),
            ..Tokens::default()
        };
        let prices = PriceTable::new(&[], Day::today());
        let cost = |tokens| prices.cost(MODEL, tokens, Day::today).unwrap();
        self.billed += cost(&tokens);
        self.naive += cost(&naive);
        self.writes += usize::from(tokens.cache_write_5m > 0);
    }

    fn share(&self) -> f64 {
        self.billed as f64 / self.naive as f64
    }
}

/// Asks for classifications, this many at once.
async fn bill(world: &World, calls: usize, at_once: usize) -> InputBill {
    let answers = stream::iter(0..calls).map(|number| {
        let mut grpc = world.grpc.clone();
        async move { grpc.classify(request("kind", number)).await.unwrap() }
    });
    let mut bill = InputBill::default();
    let mut answers = answers.buffer_unordered(at_once);
    while let Some(answer) = answers.next().await {
        bill.add(&answer.into_inner().usage.unwrap());
    }
    bill
}

/// A simulator whose answers begin after a while, as the API's do: calls that come
/// meanwhile cannot read what the first one writes.
async fn world(change: impl FnOnce(&mut Setup)) -> World {
    World::with(|setup| {
        setup.simulator.time_to_first_token = BEGINNING;
        setup.simulator.record = false;
        change(setup);
    })
    .await
}

/// At most 35 % of what a client pays that marks nothing. With one write and 999 reads of
/// 5,400 tokens, at 1.25 and 0.1 times the price, and the texts, it is 17.9 %.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute"]
async fn a_thousand_classifications_cost_a_fifth_of_the_naive_ones() {
    let world = world(|_| {}).await;
    let bill = bill(&world, 1000, 100).await;
    println!(
        "{:.2} % of the naive client's: {bill:?}",
        bill.share() * 100.0
    );
    assert_eq!(bill.writes, 1);
    assert!(bill.share() <= 0.18, "{bill:?}");
}

/// Without the mark, all input is paid in full; without the first call alone, each call of
/// a burst writes, at more than that.
#[tokio::test]
async fn a_burst_writes_its_prompt_once() {
    for (name, change, writes, share) in [
        ("as it is", CHANGES[0], 1, 0.22..0.24),
        ("no mark", CHANGES[1], 0, 0.99..1.01),
        ("all at once", CHANGES[2], 20, 1.2..1.25),
    ] {
        let world = world(change).await;
        let bill = bill(&world, 20, 20).await;
        assert_eq!(bill.writes, writes, "{name}: {bill:?}");
        assert!(share.contains(&bill.share()), "{name}: {bill:?}");
    }
}

const CHANGES: [fn(&mut Setup); 3] = [
    |_| {},
    |setup| setup.service.classify.cache_prompt = false,
    |setup| setup.upstream.prompt_cache_wait = Duration::ZERO,
];

#[tokio::test]
async fn who_leads_is_followed_when_its_answer_begins() {
    // The answer takes far longer than its beginning.
    let world = world(|setup| setup.simulator.tokens_per_second = 40.0).await;
    let began = tokio::time::Instant::now();
    let bill = bill(&world, 8, 8).await;
    assert_eq!(bill.writes, 1);
    let all = began.elapsed();
    let again = tokio::time::Instant::now();
    soon(world.grpc.clone().classify(request("kind", 9)))
        .await
        .unwrap();
    let warm = again.elapsed();
    // Not two answers after each other.
    assert!(all < warm.mul_f64(1.6), "{all:?} {warm:?}");
}

/// What waits for a leader goes on when that fails, or hangs up.
#[tokio::test]
async fn a_leader_that_fails_hands_on() {
    let world = world(|setup| setup.upstream.retry.max_retries = 0).await;
    world.simulator.next([Behaviour::Error(500)]);
    let calls = (0..5).map(|number| {
        let mut grpc = world.grpc.clone();
        async move { grpc.classify(request("kind", number)).await }
    });
    let answers = soon(futures::future::join_all(calls)).await;
    let mut bill = InputBill::default();
    let (answered, failed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    for answer in answered {
        bill.add(&answer.unwrap().into_inner().usage.unwrap());
    }
    assert_eq!((failed.len(), bill.writes), (1, 1), "{bill:?}");

    world.simulator.next([Behaviour::Hang]);
    let mut leader = world.grpc.clone();
    let leader = tokio::spawn(async move { leader.classify(request("other", 0)).await });
    world.simulator.until(|counts| counts.in_flight == 1).await;
    let mut next = world.grpc.clone();
    let next = tokio::spawn(async move { next.classify(request("other", 1)).await });
    // Another prefix waits for nobody.
    soon(world.grpc.clone().classify(request("third", 0)))
        .await
        .unwrap();
    assert!(!next.is_finished());
    leader.abort();
    let answer = soon(next).await.unwrap().unwrap().into_inner();
    assert!(answer.usage.unwrap().cache_creation_input_tokens > 0);
}

/// A leader that is silent is waited for no longer than is configured, and by those with
/// little time no longer than half of it.
#[tokio::test]
async fn a_silent_leader_is_waited_for_for_a_while() {
    let world = world(|setup| setup.simulator.time_to_first_token = Duration::ZERO).await;
    world.simulator.next([Behaviour::Hang]);
    let mut leader = world.grpc.clone();
    let _leader = tokio::spawn(async move { leader.classify(request("kind", 0)).await });
    world.simulator.until(|counts| counts.in_flight == 1).await;
    let mut hurried = Request::new(request("kind", 1));
    hurried.set_timeout(Duration::from_secs(3));
    soon(world.grpc.clone().classify(hurried)).await.unwrap();
}
