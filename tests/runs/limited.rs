//! Runs that meet limits: of the API, of money, and those that a CI job asks for.

use crate::world::{LABELS, World, ended};
use claude_grpc::simulator::Behaviour;
use serde_json::Value;
use std::{fs, time::Duration};

fn classify<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["classify"][..], &LABELS, rest].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_api_costs_time_only() {
    let world = World::new(40, Duration::ZERO).await;
    // More than the service itself retries.
    world.next(&Behaviour::Overloaded, 60);
    let output = world.run(&classify(&["documents", "--json"])).await;
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 40);
    let calls: u64 = lines
        .iter()
        .map(|line| line["calls"].as_u64().unwrap())
        .sum();
    assert!(calls > 40, "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_has_its_line_and_is_not_repeated() {
    let world = World::new(10, Duration::ZERO).await;
    fs::write(world.path("documents/binary"), b"\x00\xff\xfe").unwrap();
    fs::write(world.path("documents/empty"), b"").unwrap();
    world.next(&Behaviour::Error(413), 1);
    let arguments = classify(&["documents", "--output", "out.jsonl", "--jobs", "1"]);
    let output = world.run(&arguments).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let results = world.results("out.jsonl");
    assert_eq!(results.len(), 12);
    let error = |file: &str| &results[&format!("documents/{file}")]["error"];
    assert_eq!(error("0/0.txt")["code"], "INVALID_ARGUMENT");
    assert_eq!(error("0/0.txt")["reason"], "REQUEST_TOO_LARGE");
    assert_eq!(error("0/0.txt")["exit"], 2);
    assert_eq!(results["documents/0/0.txt"]["calls"], 1);
    assert_eq!(error("binary")["exit"], 2);
    assert_eq!(results["documents/binary"]["calls"], 0);
    assert_eq!(error("empty")["code"], "INVALID_ARGUMENT");
    let total = String::from_utf8(output.stderr).unwrap();
    assert!(total.contains("9 answered, 3 failed; "), "{total}");

    // Resumed, only those are tried again.
    let before = world.asked().values().sum::<usize>();
    let arguments = [&arguments[..], &["--resume"]].concat();
    assert_eq!(world.run(&arguments).await.status.code(), Some(2));
    assert_eq!(world.asked().values().sum::<usize>(), before + 1);
    assert_eq!(world.results("out.jsonl").len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_repeated_if_nothing_may_be() {
    let world = World::new(2, Duration::ZERO).await;
    world.simulator.always(Some(Behaviour::Overloaded));
    let arguments = classify(&["documents", "--json", "--retry-for", "0s"]);
    let output = world.run(&arguments).await;
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["calls"], 1);
        assert_eq!(line["error"]["exit"], 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_can_fail_the_command() {
    let world = World::new(10, Duration::ZERO).await;
    let output = ["documents", "--output", "out.jsonl", "--resume"];
    for _ in 0..2 {
        let all = [&output[..], &["--fail-on", "odd"]].concat();
        assert_eq!(world.run(&classify(&all)).await.status.code(), Some(6));
        assert_eq!(world.results("out.jsonl").len(), 10);
    }
    let even = ["documents/0/2.txt", "--fail-on", "odd"];
    assert!(world.run(&classify(&even)).await.status.success());
    let unknown = world
        .run(&classify(&["documents", "--fail-on", "strange"]))
        .await;
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_at_its_maximum_cost() {
    let world = World::new(60, Duration::from_millis(5)).await;
    let output = [
        "documents",
        "--output",
        "out.jsonl",
        "--resume",
        "--jobs",
        "4",
    ];
    let all = [&output[..], &["--max-cost", "0.0005"]].concat();
    let stopped = world.run(&classify(&all)).await;
    assert_eq!(stopped.status.code(), Some(7), "{stopped:?}");
    let results = world.results("out.jsonl");
    let dollars: Vec<f64> = results
        .values()
        .map(|line| line["dollars"].as_f64().unwrap())
        .collect();
    let total: f64 = dollars.iter().sum();
    let dearest = dollars.iter().fold(0.0, |most: f64, it| most.max(*it));
    // Calls in flight come on top.
    assert!((0.0005..0.0005 + 4.0 * dearest).contains(&total), "{total}");
    assert!(world.run(&classify(&output)).await.status.success());
    assert_eq!(world.results("out.jsonl").len(), 60);
    assert!(world.asked().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_has_a_file() {
    let world = World::new(10, Duration::ZERO).await;
    let text = ["documents", "--output-dir", "answers"];
    // The second time, the answers are no documents.
    for arguments in [classify(&text), classify(&[&text[..], &["."]].concat())] {
        let output = world.run(&arguments).await;
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let answer = fs::read_to_string(world.path("answers/documents/0/3.txt.txt")).unwrap();
        assert!(answer.starts_with("odd\t0."), "{answer}");
        assert!(!world.path("answers/answers").exists());
    }
    let json = [&text[..], &["--json", "--output", "out.jsonl"]].concat();
    assert!(world.run(&classify(&json)).await.status.success());
    let answer = fs::read_to_string(world.path("answers/documents/0/3.txt.json")).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer, world.results("out.jsonl")["documents/0/3.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_an_earlier_run_have_their_files_too() {
    let world = World::new(10, Duration::ZERO).await;
    let output = ["documents", "--output", "out.jsonl"];
    assert!(world.run(&classify(&output)).await.status.success());
    let resumed = [&output[..], &["--resume", "--output-dir"]].concat();
    for (folder, shape) in [("text", &[][..]), ("json", &["--json"])] {
        let arguments = classify(&[&resumed[..], &[folder], shape].concat());
        assert!(world.run(&arguments).await.status.success());
    }
    assert!(world.asked().values().all(|times| *times == 1));
    let fresh = classify(&["documents", "--output-dir", "fresh"]);
    assert!(world.run(&fresh).await.status.success());
    for file in world.results("out.jsonl").keys() {
        let read = |path: String| fs::read_to_string(world.path(&path)).unwrap();
        assert_eq!(
            read(format!("text/{file}.txt")),
            read(format!("fresh/{file}.txt"))
        );
        let answer: Value = serde_json::from_str(&read(format!("json/{file}.json"))).unwrap();
        assert_eq!(answer, world.results("out.jsonl")[file]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_do_not_write_the_same_file() {
    let world = World::new(20, Duration::from_millis(200)).await;
    let arguments = classify(&["documents", "--output", "out.jsonl", "--jobs", "2"]);
    let mut first = world.command(&arguments).spawn().unwrap();
    world.until_lines("out.jsonl", 1).await;
    let second = world.run(&[&arguments[..], &["--resume"]].concat()).await;
    assert_eq!(second.status.code(), Some(2));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another run writes it"), "{said}");
    assert_eq!(ended(&mut first).await, Some(0));
    // Nor is one overwritten by mistake.
    let third = world.run(&arguments).await;
    assert_eq!(third.status.code(), Some(2));
    let said = String::from_utf8(third.stderr).unwrap();
    assert!(said.contains("--resume"), "{said}");
    assert_eq!(world.results("out.jsonl").len(), 20);
}
