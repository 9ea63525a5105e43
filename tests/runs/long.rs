//! Documents that are too long for one message, and for the memory of either side.

use crate::world::{World, ended, peak, signal};
use claude_grpc::simulator::{Behaviour, Counts};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};
use tokio::time::{sleep, timeout};

const OUTPUT: &str = "out.jsonl";

/// Where parts are kept.
const PARTS: &str = "out.jsonl.parts";

/// A model with a window of 200,000 tokens, and one price.
const MODEL: &str = "claude-haiku-4-5";

/// The calls in flight for a document.
const IN_FLIGHT: usize = 8;

/// Writes a document of this size, whose sections have numbers.
fn write_document(world: &World, megabytes: usize) {
    let file = fs::File::create(world.path("long.txt")).unwrap();
    let mut file = std::io::BufWriter::new(file);
    let (mut written, mut number) = (0, 0);
    while written < megabytes * 1_000_000 {
        let section = format!(
            "# Section {number}\n\nNumber-{number}: is a section of a long document. {}\n\n",
            "Each of its sentences says a little about it. ".repeat(20)
        );
        file.write_all(section.as_bytes()).unwrap();
        written += section.len();
        number += 1;
    }
    file.flush().unwrap();
}

fn summarize(world: &World) -> Child {
    summarize_input(world, "long.txt", Stdio::null())
}

/// Summarizes one input; standard input, if it is `-`.
fn summarize_input(world: &World, input: &str, stdin: Stdio) -> Child {
    let arguments = [
        "summarize",
        input,
        "--output",
        OUTPUT,
        "--resume",
        "--model",
        MODEL,
    ];
    world.command(&arguments).stdin(stdin).spawn().unwrap()
}

/// What `--estimate` prints about the document.
async fn estimated(world: &World) -> Value {
    let arguments = [
        "summarize",
        "long.txt",
        "--model",
        MODEL,
        "--estimate",
        "--json",
    ];
    let output = world.run(&arguments).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `MEGABYTES` sets another size.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_is_held_by_neither_side_and_takes_what_was_estimated() {
    let megabytes = std::env::var("MEGABYTES").map_or(12, |it| it.parse().unwrap());
    let world = World::new(0, Duration::ZERO).await;
    write_document(&world, megabytes);
    let plan = &estimated(&world).await["plan"];
    assert_eq!(world.simulator.counts().requests, 0, "nothing is paid");
    let mut run = summarize(&world);
    let mut of_client = 0;
    while run.try_wait().unwrap().is_none() {
        of_client = of_client.max(peak(&run));
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ended(&mut run).await, Some(0));
    let of_service = world.service_peak();
    let calls = world.simulator.counts().requests;
    println!(
        "{megabytes} MB: {calls} calls, planned {}; service {of_service} bytes, client {of_client} \
         bytes",
        plan["calls"]
    );
    assert!(of_client < 100_000_000, "{of_client}");
    assert!(of_service < 150_000_000, "{of_service}");
    let planned = plan["calls"].as_f64().unwrap();
    assert!((planned - calls as f64).abs() <= calls as f64 * 0.05);
    let line = &world.results(OUTPUT)["long.txt"];
    assert_eq!(line["calls"], 1);
    assert_ne!(line["response"]["summary"], "");
}

/// Of the next calls, ten get their answers, and those behind them none.
fn ten_answers(world: &World) {
    let mut behaviours = vec![Behaviour::GoAway; 10];
    behaviours.extend(vec![Behaviour::Hang; IN_FLIGHT]);
    world.simulator.next(behaviours);
}

/// Waits until this number of parts is kept, and the calls in flight get no answer.
async fn until_kept(world: &World, parts: usize) {
    let kept = async {
        while world.lines(PARTS).len() < parts {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), kept).await.unwrap();
    let requests = parts + world.paid_again() + IN_FLIGHT;
    world
        .simulator
        .until(|counts| counts.requests >= requests as u64)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_part_is_paid_again_but_those_in_flight_at_a_kill() {
    let mut world = World::new(0, Duration::ZERO).await;
    write_document(&world, 6);
    ten_answers(&world);
    let mut run = summarize(&world);
    until_kept(&world, 10).await;
    world.simulator.next([]);
    ten_answers(&world);
    world.stop("KILL").await;
    world.start().await;
    // The same command goes on.
    until_kept(&world, 20).await;
    assert_eq!(world.paid_again(), IN_FLIGHT);
    signal(&run, "KILL");
    ended(&mut run).await;
    world.simulator.next([]);
    let mut run = summarize(&world);
    assert_eq!(ended(&mut run).await, Some(0));
    assert_eq!(world.paid_again(), 2 * IN_FLIGHT);
    assert_ne!(world.results(OUTPUT)["long.txt"]["response"]["summary"], "");
    assert!(!world.path(PARTS).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_has_the_parts_of_calls_that_failed() {
    let mut world = World::new(0, Duration::ZERO).await;
    write_document(&world, 4);
    let dollars = |world: &World| {
        world.results(OUTPUT)["long.txt"]["dollars"]
            .as_f64()
            .unwrap()
    };
    let mut run = summarize(&world);
    assert_eq!(ended(&mut run).await, Some(0));
    let at_once = dollars(&world);

    fs::remove_file(world.path(OUTPUT)).unwrap();
    ten_answers(&world);
    let mut run = summarize(&world);
    let kept = async {
        while world.lines(PARTS).len() < 10 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), kept).await.unwrap();
    let in_flight = |counts: &Counts| counts.in_flight == IN_FLIGHT as u64;
    world.simulator.until(in_flight).await;
    world.stop("KILL").await;
    world.start().await;
    assert_eq!(ended(&mut run).await, Some(0));
    let line = &world.results(OUTPUT)["long.txt"];
    assert!(line["calls"].as_u64().unwrap() > 1, "{line}");
    let in_two = dollars(&world);
    // The summaries of parts differ a little in length.
    assert!((in_two / at_once - 1.0).abs() < 0.05, "{in_two} {at_once}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_would_cost_too_much_is_not_begun() {
    let world = World::new(0, Duration::ZERO).await;
    write_document(&world, 2);
    let plan = &estimated(&world).await["plan"];
    let dollars = plan["dollars"].as_f64().unwrap();
    for (share, code) in [(0.9, 7), (1.1, 0)] {
        let most = format!("{:.9}", dollars * share);
        let arguments = [
            "summarize",
            "long.txt",
            "--model",
            MODEL,
            "--max-cost",
            &most,
        ];
        let output = world.run(&arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        let asked = world.simulator.counts().requests > 0;
        assert_eq!(asked, code == 0, "{stderr}");
    }
}

/// What a command writes about a document.
fn written_by(world: &World, program: &str, arguments: &[&str]) -> Stdio {
    let mut command = Command::new(program);
    command.args(arguments).arg(world.path("long.txt"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = child.stdout.take().unwrap();
    thread::spawn(move || child.wait());
    output.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_on_standard_input_is_one_like_a_file() {
    let world = World::new(0, Duration::ZERO).await;
    write_document(&world, 6);
    let (mut calls, mut peaks) = (Vec::new(), Vec::new());
    for (input, stdin) in [
        ("long.txt", Stdio::null()),
        ("-", written_by(&world, "cat", &[])),
        ("-", written_by(&world, "gzip", &["-c"])),
    ] {
        let before = world.simulator.counts().requests;
        let mut run = summarize_input(&world, input, stdin);
        let mut of_client = 0;
        while run.try_wait().unwrap().is_none() {
            of_client = of_client.max(peak(&run));
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(ended(&mut run).await, Some(0));
        calls.push(world.simulator.counts().requests - before);
        peaks.push(of_client);
        let result = &world.results(OUTPUT)[input];
        assert_eq!(result["calls"], 1);
        assert_ne!(result["response"]["summary"], "");
        fs::remove_file(world.path(OUTPUT)).unwrap();
    }
    println!("{calls:?} calls, client {peaks:?} bytes");
    assert_eq!(calls, [calls[0]; 3]);
    assert!(calls[0] > 20, "{calls:?}");
    // The 6 MB are in a file, not in memory.
    let most = peaks[0] + 4_000_000;
    assert!(peaks.iter().all(|it| *it < most), "{peaks:?}");
}
