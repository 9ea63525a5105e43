//! Runs that are stopped, by whatever cause, and resumed.

use crate::world::{LABELS, World, ended, signal};
use claude_grpc::simulator::Behaviour;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    io::Write,
    process::{Child, Stdio},
    time::Duration,
};
use tokio::time::sleep;

const OUTPUT: &str = "out.jsonl";
const JOBS: usize = 8;

/// The command, which goes on where it stopped.
fn resumed(world: &World) -> Child {
    let jobs = JOBS.to_string();
    let rest = ["documents", "--output", OUTPUT, "--resume", "--jobs", &jobs];
    let arguments = [&["classify"][..], &LABELS, &rest].concat();
    world.command(&arguments).spawn().unwrap()
}

/// Ten kills of the service or the client at random moments; `KILLS` sets another number.
/// Every document has one result, and is asked about once, but for calls in flight at a
/// kill.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_paid_twice_when_either_side_is_killed() {
    let variable = |name, default| std::env::var(name).map_or(default, |it| it.parse().unwrap());
    let (documents, kills) = (variable("DOCUMENTS", 400), variable("KILLS", 10));
    let mut world = World::new(documents, Duration::from_millis(20)).await;
    let mut dice = StdRng::seed_from_u64(16);
    let mut run = resumed(&world);
    for kill in 0..kills {
        // Some lines later, and somewhere between two lines.
        let lines = (kill + 1) * documents / (kills + 2);
        world.until_lines(OUTPUT, lines).await;
        sleep(Duration::from_micros(dice.random_range(0..20_000))).await;
        world.kill_either(&mut dice, &mut run, resumed).await;
    }
    assert_eq!(ended(&mut run).await, Some(0));

    let results = world.results(OUTPUT);
    assert_eq!(results.len(), documents);
    for (file, line) in &results {
        assert_eq!(line["status"], "ok", "{file}");
    }
    let asked = world.asked();
    assert_eq!(asked.len(), documents);
    let again: usize = asked.values().map(|times| times - 1).sum();
    println!("{kills} kills, {again} calls made again");
    assert!(again <= kills * JOBS, "{again} calls were paid twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_service_costs_nothing() {
    let mut world = World::new(300, Duration::from_millis(20)).await;
    let mut run = resumed(&world);
    for lines in [60, 150] {
        world.until_lines(OUTPUT, lines).await;
        world.stop("TERM").await;
        sleep(Duration::from_millis(500)).await;
        world.start().await;
    }
    assert_eq!(ended(&mut run).await, Some(0));
    assert_eq!(world.results(OUTPUT).len(), 300);
    let asked = world.asked();
    assert!(asked.values().all(|times| *times == 1), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_still_starting_is_waited_for() {
    let mut world = World::new(20, Duration::ZERO).await;
    world.stop("KILL").await;
    let mut run = resumed(&world);
    sleep(Duration::from_millis(300)).await;
    world.start().await;
    assert_eq!(ended(&mut run).await, Some(0));
    assert_eq!(world.results(OUTPUT).len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_lets_calls_finish_and_the_rest_is_asked_later() {
    let world = World::new(200, Duration::from_millis(20)).await;
    for name in ["INT", "TERM"] {
        let before = world.lines(OUTPUT).len();
        let mut run = resumed(&world);
        world.until_lines(OUTPUT, before + 30).await;
        signal(&run, name);
        assert_eq!(ended(&mut run).await, Some(130));
        let said = crate::world::text(run.stderr.as_mut().unwrap());
        assert!(said.contains("documents were not asked about"), "{said}");
    }
    let mut run = resumed(&world);
    assert_eq!(ended(&mut run).await, Some(0));
    assert_eq!(world.results(OUTPUT).len(), 200);
    let asked = world.asked();
    assert!(asked.values().all(|times| *times == 1), "{asked:?}");
}

/// Nobody may ever end what comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_does_not_wait_for_standard_input() {
    let world = World::new(0, Duration::ZERO).await;
    let mut command = world.command(&["summarize"]);
    let mut run = command.stdin(Stdio::piped()).spawn().unwrap();
    // More than a pipe holds: it is read once all of it is written.
    let text = [b'x'; 256 * 1024];
    run.stdin.as_mut().unwrap().write_all(&text).unwrap();
    signal(&run, "INT");
    assert_eq!(ended(&mut run).await, Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_does_not_wait() {
    let world = World::new(20, Duration::ZERO).await;
    world.simulator.always(Some(Behaviour::Hang));
    let mut run = resumed(&world);
    world.simulator.until(|counts| counts.in_flight >= 8).await;
    signal(&run, "INT");
    signal(&run, "INT");
    assert_eq!(ended(&mut run).await, Some(130));
    // The service cancels their calls, which nobody awaits.
    world.simulator.until(|counts| counts.in_flight == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_has_changed_is_asked_again() {
    let world = World::new(20, Duration::ZERO).await;
    let run = async |options: &[&str]| {
        let rest = ["documents", "--output", OUTPUT, "--resume"];
        let arguments = [&["classify"][..], &LABELS, &rest, options].concat();
        let output = world.run(&arguments).await;
        assert!(output.status.success(), "{output:?}");
        let results = world.results(OUTPUT);
        assert_eq!(results.len(), 20);
        world.asked().values().sum::<usize>()
    };
    assert_eq!(run(&[]).await, 20);
    assert_eq!(run(&[]).await, 20);
    std::fs::write(world.path("documents/0/3.txt"), "Number-3: it has changed.").unwrap();
    assert_eq!(run(&[]).await, 21);
    assert_eq!(run(&["--jobs", "2", "--timeout", "50s"]).await, 21);
    assert_eq!(run(&["--multi"]).await, 41);
    // A line that was cut, as by a full disk, is asked about again.
    let text = std::fs::read_to_string(world.path(OUTPUT)).unwrap();
    std::fs::write(world.path(OUTPUT), &text[..text.len() - 20]).unwrap();
    assert_eq!(run(&["--multi"]).await, 42);
    // A file with the same content is another document.
    std::fs::copy(
        world.path("documents/0/4.txt"),
        world.path("documents/4.txt"),
    )
    .unwrap();
    let copied = ["documents", "--output", OUTPUT, "--resume", "--multi"];
    let copied = world
        .run(&[&["classify"][..], &LABELS, &copied].concat())
        .await;
    assert!(copied.status.success(), "{copied:?}");
    assert_eq!(world.results(OUTPUT).len(), 21);
}
