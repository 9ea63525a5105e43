//! Attacks a pod while a good client calls it, and compares what both saw with the
//! bounds: memory below the limit of the pod, each good call answered, and hardly
//! later than without the attack.

use super::{
    attacker::Attacker,
    cores,
    good_client::{GoodCall, GoodClient},
    process::{MEMORY_LIMIT, Pod, Variant},
    table::{self, Row},
};
use std::{
    sync::{Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// How many bytes the attacker may send in all.
pub const TEN_MB: u64 = 10_000_000;

/// With and without the attack take turns for this time.
const SLICE: Duration = Duration::from_millis(800);

/// How long the last of what the attacker began may last.
const PATIENCE: Duration = Duration::from_secs(60);

/// A good call may take this much longer than without the attack, or twice as long.
const LATER: Duration = Duration::from_millis(100);

/// How often it is measured before it counts as slow: other processes may need the
/// cores as well.
const MEASUREMENTS: usize = 3;

/// Others wait with their attacks while one is measured.
static MEASURING: Mutex<()> = Mutex::new(());

/// Runs an attack, twice for a moment, and fails over the bounds. The attack must
/// end: with a status or the end of its connection for everything that it began.
pub fn withstands<A>(variant: Variant, attack: A)
where
    A: AsyncFn(Attacker) + Sync,
{
    withstands_bytes(TEN_MB, variant, attack);
}

/// The same with a budget of bytes of its own, for clients within their limits.
pub fn withstands_bytes<A>(budget: u64, variant: Variant, attack: A)
where
    A: AsyncFn(Attacker) + Sync,
{
    // Of the test, which has a thread of its own.
    let thread = std::thread::current();
    let name = thread.name().unwrap().trim_start_matches("pod::");
    cores::keep_to_the_others();
    let mut row = measure(name, budget, variant, &attack);
    for _ in 1..MEASUREMENTS {
        if !row.failures.is_empty() || !row.is_slow() {
            break;
        }
        row = measure(name, budget, variant, &attack);
    }
    if row.is_slow() {
        row.failures.push("good calls took too long".to_owned());
    }
    table::write(&row);
    assert!(row.failures.is_empty(), "{:#?}", row.failures);
}

impl Row {
    fn is_slow(&self) -> bool {
        self.p99_attacked > (self.p99_quiet * 2).max(self.p99_quiet + LATER)
    }
}

fn measure<A>(name: &str, budget: u64, variant: Variant, attack: &A) -> Row
where
    A: AsyncFn(Attacker) + Sync,
{
    let measuring = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut pod = Pod::start(variant);
    let good = GoodClient::start(&pod);
    let attackers = [0, 1].map(|_| Attacker::new(&pod, budget / 2));
    let [first, second] = &attackers;
    sleep(SLICE / 4);
    let mut spans = Spans::default();
    spans.quiet();
    let attacking = |attacker: &Attacker, longest| {
        let attacker = attacker.clone();
        move || run(attack, attacker, longest)
    };
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(attacking(first, SLICE));
        spans.attacked();
        running.join().unwrap();
        // What the end of the first attack set free.
        sleep(SLICE / 4);
        spans.quiet();
        let running = scope.spawn(attacking(second, SLICE + PATIENCE));
        spans.attacked();
        second.stop();
        drop(measuring);
        good.slow_down();
        running.join().unwrap()
    });
    let calls = good.stop();
    let peak = pod.peak_memory();
    let mut failures: Vec<String> = pod.end().into_iter().collect();
    if peak.is_some_and(|peak| peak >= MEMORY_LIMIT) {
        failures.push("resident memory above the limit".to_owned());
    }
    if !ended {
        failures.push(format!("the attack goes on after {PATIENCE:?}"));
    }
    let failed: Vec<&GoodCall> = calls.iter().filter(|call| call.result.is_err()).collect();
    failures.extend(
        failed
            .iter()
            .take(3)
            .map(|call| format!("{:?}", call.result)),
    );
    let mut got = first.got();
    for (what, count) in second.got() {
        *got.entry(what).or_default() += count;
    }
    Row {
        name: name.to_owned(),
        sent: attackers.iter().map(Attacker::sent).sum(),
        peak,
        has_cgroup: pod.has_cgroup(),
        got,
        good_calls: calls.len(),
        failed_calls: failed.len(),
        p99_quiet: p99(&calls, &spans.quiet),
        p99_attacked: p99(&calls, &spans.attacked),
        failures,
    }
}

/// Runs the attack on the last core; whether it ended by itself.
fn run<A: AsyncFn(Attacker)>(attack: &A, attacker: Attacker, longest: Duration) -> bool {
    cores::on_the_last(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let ended = runtime.block_on(async { timeout(longest, attack(attacker)).await.is_ok() });
        runtime.shutdown_background();
        ended
    })
}

#[derive(Default)]
struct Spans {
    quiet: Vec<(Instant, Instant)>,
    attacked: Vec<(Instant, Instant)>,
}

impl Spans {
    fn quiet(&mut self) {
        self.quiet.push(slice());
    }

    fn attacked(&mut self) {
        self.attacked.push(slice());
    }
}

fn slice() -> (Instant, Instant) {
    let began = Instant::now();
    sleep(SLICE);
    (began, Instant::now())
}

/// Of the calls that began in one of these spans.
fn p99(calls: &[GoodCall], spans: &[(Instant, Instant)]) -> Duration {
    let within = |call: &&GoodCall| {
        spans
            .iter()
            .any(|(from, to)| (*from..*to).contains(&call.began))
    };
    let mut took: Vec<Duration> = calls.iter().filter(within).map(|call| call.took).collect();
    took.sort_unstable();
    let index = (took.len() * 99).div_ceil(100).saturating_sub(1);
    took.get(index).copied().unwrap_or_default()
}
