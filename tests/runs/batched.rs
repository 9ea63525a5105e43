//! Runs with `--batch`: half the price, and nothing lost or submitted twice.

use crate::world::{LABELS, World, ended, signal};
use claude_grpc::models::{Day, PriceTable, Tokens};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use std::{fs, process::Child, time::Duration};
use tokio::time::sleep;

const OUTPUT: &str = "out.jsonl";

/// A line of a long document.
const LINE: &str = "And so on, and so forth, for as long as it takes.\n";

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let rest = ["documents", "--output", OUTPUT, "--batch"];
    [&["classify"][..], &LABELS, &rest, more].concat()
}

async fn exit(world: &World, more: &[&str]) -> (Option<i32>, String) {
    let output = world.run(&arguments(more)).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), stderr)
}

fn resumed(world: &World) -> Child {
    let more = ["--resume", "--batch-size", "25"];
    world.command(&arguments(&more)).spawn().unwrap()
}

fn asked_once(world: &World, documents: usize) {
    let batched = world.batched();
    assert_eq!(batched.len(), documents);
    let again: Vec<_> = batched.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "submitted twice: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_document_has_its_result_at_half_the_price() {
    let world = World::new(30, Duration::ZERO).await;
    fs::write(world.path("documents/blank.txt"), " \n").unwrap();
    fs::write(world.path("documents/long.txt"), LINE.repeat(30_000)).unwrap();
    fs::write(world.path("documents/zeros.txt"), [0; 100]).unwrap();
    let (code, stderr) = exit(&world, &[]).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("30 answered, 3 failed"), "{stderr}");

    let results = world.results(OUTPUT);
    assert_eq!(results.len(), 33);
    let message = |file: &str| {
        results[file]["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let blank = message("documents/blank.txt");
    assert!(blank.starts_with("classify.text: "), "{blank}");
    assert!(message("documents/long.txt").contains("without --batch"));
    assert!(message("documents/zeros.txt").contains("binary"));
    let prices = PriceTable::new(&[], Day::today());
    for number in 0..30 {
        let line = &results[&format!("documents/0/{number}.txt")];
        assert_eq!(line["status"], "ok");
        assert!(
            line["batch"].as_str().unwrap().starts_with("batch"),
            "{line}"
        );
        let label = if number % 2 == 0 { "even" } else { "odd" };
        assert_eq!(line["response"]["labels"], serde_json::json!([label]));
        let model = line["response"]["model"].as_str().unwrap();
        let full = prices.cost(model, &tokens(line), Day::today).unwrap() as f64 / 1e9;
        let dollars = line["dollars"].as_f64().unwrap();
        assert!((dollars / full - 0.5).abs() < 1e-9, "{line}");
    }
    asked_once(&world, 30);
    let requests = world.simulator.requests();
    let full_price = requests.iter().filter(|it| it.path == "/v1/messages");
    assert_eq!(full_price.count(), 0);
    let mut deleted = requests.iter().filter(|it| it.method == "DELETE");
    assert!(deleted.next().is_some(), "the batch is left");
    assert!(!world.path("out.jsonl.batches").exists());
}

fn tokens(line: &Value) -> Tokens {
    let usage = &line["response"]["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let written = count("cacheCreationInputTokens");
    let for_an_hour = count("cacheCreation1hInputTokens");
    Tokens {
        input: count("inputTokens"),
        output: count("outputTokens"),
        cache_read: count("cacheReadInputTokens"),
        cache_write_5m: written - for_an_hour,
        cache_write_1h: for_an_hour,
    }
}

/// At most 20 % of what a client pays that marks nothing and calls each time; `DOCUMENTS`
/// sets another number. Of 1,000 documents, one writes the labels for an hour, and 999 read
/// them: 9.1 %.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_reads_its_labels_from_the_prompt_cache() {
    let documents = std::env::var("DOCUMENTS").map_or(40, |number| number.parse().unwrap());
    let world = World::new(documents, Duration::ZERO).await;
    let sentence = "Letters about what their writers want, which nobody has answered. ";
    let text =
        |characters: usize| -> String { sentence.chars().cycle().take(characters).collect() };
    // The simulator counts four characters a token.
    for number in 0..documents {
        let path = world.path(&format!("documents/{}/{number}.txt", number / 100));
        let begin = fs::read_to_string(&path).unwrap();
        fs::write(&path, begin + &text(2000)).unwrap();
    }
    let labels = (0..20).map(|number| format!("label-{number}={}\n", text(1000)));
    fs::write(world.path("labels.txt"), labels.collect::<String>()).unwrap();
    let rest = [
        "documents",
        "--output",
        OUTPUT,
        "--batch",
        "--model",
        "claude-haiku-5-5",
    ];
    let arguments = [&["classify", "--labels-file", "labels.txt"][..], &rest].concat();
    let output = world.run(&arguments).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");

    let prices = PriceTable::new(&[], Day::today());
    let cost = |used: Tokens| {
        let cost = prices.cost("claude-haiku-5-5", &used, Day::today);
        cost.unwrap() as f64
    };
    let (mut billed, mut naive, mut writes) = (0.0, 0.0, 0);
    for line in world.results(OUTPUT).values() {
        let mut used = tokens(line);
        used.output = 0;
        billed += cost(used) / 2.0;
        writes += usize::from(used.cache_write_1h > 0);
        naive += cost(Tokens {
            input: used.all_input(),
            ..Tokens::default()
        });
    }
    let share = billed / naive;
    println!(
        "{documents} documents: {:.2} % of the naive input",
        share * 100.0
    );
    assert_eq!(writes, 1);
    assert!(share <= 0.2, "{share}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_submitted_is_collected_later() {
    let world = World::new(20, Duration::ZERO).await;
    let (code, stderr) = exit(&world, &["--wait-for", "0s"]).await;
    assert_eq!(code, Some(8), "{stderr}");
    assert!(stderr.contains("20 documents are in batches"), "{stderr}");
    assert_eq!(world.lines(OUTPUT).len(), 0);

    // What would pay them again is refused.
    let rest = ["documents", "--output", OUTPUT, "--resume"];
    let output = world
        .run(&[&["classify"][..], &LABELS, &rest].concat())
        .await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("--batch collects their answers"),
        "{stderr}"
    );

    // Other options are another question.
    let other = ["classify", "--label", "a", "--label", "b"];
    let rest = ["documents", "--output", "other.jsonl", "--batch"];
    let output = world.run(&[&other[..], &rest].concat()).await;
    assert_eq!(output.status.code(), Some(0));

    // One has changed, and one is not named any more.
    fs::write(
        world.path("documents/0/3.txt"),
        "Number-103: it is an odd number.\n",
    )
    .unwrap();
    fs::rename(world.path("documents/0/4.txt"), world.path("4.txt")).unwrap();
    let (code, stderr) = exit(&world, &["--resume"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let results = world.results(OUTPUT);
    assert_eq!(results.len(), 20);
    assert_eq!(world.batched()["103"], 1);
    assert_eq!(world.batched()["3"], 2, "once for each question");
    let batch = |file: &str| results[file]["batch"].clone();
    assert_ne!(batch("documents/0/3.txt"), batch("documents/0/2.txt"));
    assert_eq!(batch("documents/0/4.txt"), batch("documents/0/2.txt"));
}

/// Ten kills of the service or the client at random moments of reading, submitting, waiting
/// and collecting; `KILLS` sets another number.
#[tokio::test(flavor = "multi_thread")]
async fn no_batch_is_lost_or_submitted_twice_when_either_side_is_killed() {
    const DOCUMENTS: usize = 300;
    let kills: usize = std::env::var("KILLS").map_or(10, |kills| kills.parse().unwrap());
    let mut world = World::new(DOCUMENTS, Duration::ZERO).await;
    let mut dice = StdRng::seed_from_u64(17);
    let mut run = resumed(&world);
    for _ in 0..kills {
        sleep(Duration::from_millis(dice.random_range(0..1500))).await;
        world.kill_either(&mut dice, &mut run, resumed).await;
    }
    assert_eq!(ended(&mut run).await, Some(0));
    let results = world.results(OUTPUT);
    assert_eq!(results.len(), DOCUMENTS);
    for (file, line) in &results {
        assert_eq!(line["status"], "ok", "{file}");
    }
    asked_once(&world, DOCUMENTS);
}

/// What the service refuses does not go along, and is not paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_document_has_its_result_too() {
    let world = World::new(20, Duration::ZERO).await;
    let (code, stderr) = exit(&world, &["--model", "no model"]).await;
    assert_eq!(code, Some(2), "{stderr}");
    let results = world.results(OUTPUT);
    assert_eq!(results.len(), 20);
    for line in results.values() {
        let message = line["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("classify.model: "), "{line}");
        assert!(!message.contains("; "), "{line}");
    }
    assert!(world.simulator.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_leaves_the_batches_to_the_next_run() {
    let world = World::new(20, Duration::ZERO).await;
    let mut run = resumed(&world);
    while world.batched().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    signal(&run, "TERM");
    assert_eq!(ended(&mut run).await, Some(130));
    let (code, stderr) = exit(&world, &["--resume"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(world.results(OUTPUT).len(), 20);
    asked_once(&world, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_estimates_of_what_is_submitted_stay_below_the_most_that_it_may_cost() {
    let world = World::new(40, Duration::ZERO).await;
    let estimate = world.run(&arguments(&["--estimate", "--json"])).await;
    let lines = String::from_utf8(estimate.stdout).unwrap();
    let dollars = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["plan"]["dollars"].as_f64().unwrap()
    });
    let most = format!("{:.9}", dollars.sum::<f64>() / 2.0);
    let (code, stderr) = exit(&world, &["--max-cost", &most]).await;
    assert_eq!(code, Some(7), "{stderr}");
    assert!((18..=21).contains(&world.batched().len()), "{stderr}");
    let (code, stderr) = exit(&world, &["--resume"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    asked_once(&world, 40);
}
