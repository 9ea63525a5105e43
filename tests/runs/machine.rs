//! A run over the documents of this machine: licences, changelogs, manual pages, READMEs,
//! pages of HTML, and PDFs if a folder has any.
//!
//! `FOLDERS` names the folders, separated by `:`, `FILES` the minimum number of files,
//! `TOTAL_MEGABYTES` the minimum of their size together, and `KILLS` the number of kills.

use crate::world::{World, ended, peak, signal};
use flate2::read::MultiGzDecoder;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use sha2::{Digest, Sha256};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const OUTPUT: &str = "out.jsonl";
const PARTS: &str = "out.jsonl.parts";
const LIST: &str = "list.txt";

/// Documents at once.
const JOBS: usize = 4;

/// Calls in flight for a long document.
const PARALLEL: usize = 8;

/// What the API takes for a call.
const LATENCY: Duration = Duration::from_millis(10);

/// How long nothing may happen.
const STILL: Duration = Duration::from_secs(120);

/// What folders of documents have next to documents.
const OTHERS: [&str; 22] = [
    "bmp", "bz2", "css", "db", "eot", "gif", "ico", "inv", "jpeg", "jpg", "js", "json", "map",
    "mo", "png", "svg", "tar", "tgz", "ttf", "woff", "woff2", "xz",
];

fn variable(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |it| it.parse().unwrap())
}

fn extension(path: &Path) -> &str {
    let extension = path.extension().unwrap_or_default();
    extension.to_str().unwrap_or_default()
}

/// Adds the files below a folder with their sizes; what is linked from several places once.
fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, u64>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_link = entry.file_type().unwrap().is_symlink();
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() && !is_link {
            walk(&path, found);
        } else if metadata.is_file() && !OTHERS.contains(&extension(&path)) {
            let path = fs::canonicalize(&path).unwrap();
            if !path.to_str().is_none_or(|path| path.contains('\n')) {
                found.insert(path, metadata.len());
            }
        }
    }
}

/// SHA-256 of what a file has, also if gzip has compressed it.
fn digest(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut unpacked = Vec::new();
    let is_unpacked = MultiGzDecoder::new(&bytes[..])
        .read_to_end(&mut unpacked)
        .is_ok();
    Sha256::digest(if is_unpacked { unpacked } else { bytes }).to_vec()
}

/// Documents with different contents, so that no two lead to the same request.
#[derive(Default)]
struct Documents {
    paths: Vec<PathBuf>,
    digests: HashSet<Vec<u8>>,
    bytes: u64,
}

impl Documents {
    /// All PDFs, then others by chance up to the number, then the largest up to the size.
    fn choose(files: usize, bytes: u64) -> Documents {
        let folders = "/usr/share/doc:/usr/share/man:/usr/share/common-licenses";
        let folders = env::var("FOLDERS").unwrap_or_else(|_| folders.to_owned());
        let mut found = BTreeMap::new();
        for folder in folders.split(':') {
            walk(Path::new(folder), &mut found);
        }
        let (pdfs, mut others): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|(path, _)| extension(path) == "pdf");
        others.shuffle(&mut StdRng::seed_from_u64(4));
        let mut chosen = Documents::default();
        let mut by_chance = pdfs.into_iter().chain(others);
        while chosen.paths.len() < files
            && let Some(document) = by_chance.next()
        {
            chosen.add(document);
        }
        let mut by_size: Vec<_> = by_chance.collect();
        by_size.sort_by_key(|(path, size)| (Reverse(*size), path.clone()));
        for document in by_size {
            if chosen.bytes < bytes {
                chosen.add(document);
            }
        }
        chosen.paths.shuffle(&mut StdRng::seed_from_u64(5));
        chosen
    }

    fn add(&mut self, (path, size): (PathBuf, u64)) {
        if self.digests.insert(digest(&path)) {
            self.paths.push(path);
            self.bytes += size;
        }
    }
}

/// A run that goes on, and what it took so far.
struct MachineRun {
    world: World,
    client: Child,
    of_client: u64,
    of_service: u64,
    /// Whether a document was long.
    has_parts: bool,
}

impl MachineRun {
    async fn start(documents: &Documents) -> MachineRun {
        let world = World::new(0, LATENCY).await;
        let paths = documents.paths.iter().map(|path| path.to_str().unwrap());
        let list: Vec<_> = paths.collect();
        fs::write(world.path(LIST), list.join("\n")).unwrap();
        MachineRun {
            client: resumed(&world),
            world,
            of_client: 0,
            of_service: 0,
            has_parts: false,
        }
    }

    /// Waits until the output has this number of lines, or the client has ended.
    async fn until_lines(&mut self, lines: usize) {
        let (mut last, mut since) = (0, Instant::now());
        while self.client.try_wait().unwrap().is_none() {
            self.of_client = self.of_client.max(peak(&self.client));
            self.of_service = self.of_service.max(self.world.service_peak());
            let written = self.world.lines(OUTPUT).len();
            let done = written + self.world.simulator.counts().answered as usize;
            if written >= lines {
                return;
            }
            if done > last {
                (last, since) = (done, Instant::now());
            }
            assert!(
                since.elapsed() < STILL,
                "nothing happens at {written} lines"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many calls were made whose answers are not kept: those in flight, and those that
    /// failed. What is kept of a long document are its parts, and its line for the last call.
    fn in_flight(&mut self) -> usize {
        let calls = self.world.simulator.requests().len() - self.world.paid_again();
        let (lines, parts) = (self.world.lines(OUTPUT), self.world.lines(PARTS));
        self.has_parts |= !parts.is_empty();
        let has_answer = |line: &&String| !line.contains(r#""status":"failed""#);
        let kept = parts.len() + lines.iter().filter(has_answer).count();
        calls.saturating_sub(kept)
    }

    /// Waits for the end.
    async fn end(&mut self) {
        self.until_lines(usize::MAX).await;
        // Documents that cannot be read fail the command.
        assert!(ended(&mut self.client).await.is_some());
    }
}

/// The command, which goes on where it stopped.
fn resumed(world: &World) -> Child {
    let jobs = JOBS.to_string();
    let arguments = [
        "summarize",
        "--files-from",
        LIST,
        "--output",
        OUTPUT,
        "--resume",
        "--jobs",
        &jobs,
    ];
    world.command(&arguments).spawn().unwrap()
}

/// Kills of the service and the client at random moments: each file has one result, and no
/// call is made again but those in flight at a kill.
#[tokio::test(flavor = "multi_thread")]
async fn documents_of_this_machine_have_one_result_and_are_paid_once_whatever_is_killed() {
    let (files, megabytes) = (variable("FILES", 100), variable("TOTAL_MEGABYTES", 0));
    let kills = variable("KILLS", 4);
    let documents = Documents::choose(files, megabytes as u64 * 1_000_000);
    let count = documents.paths.len();
    if env::var("FILES").is_err() && count < files {
        println!("skipped: there are only {count} documents");
        return;
    }
    assert!(count >= files, "{count} files");
    let size = documents.bytes / 1_000_000;
    assert!(size >= megabytes as u64, "{size} MB");

    let began = Instant::now();
    let mut run = MachineRun::start(&documents).await;
    let mut dice = StdRng::seed_from_u64(16);
    let mut in_flight = 0;
    for kill in 0..kills {
        // Some lines later, and somewhere between two lines.
        run.until_lines((kill + 1) * count / (kills + 2)).await;
        sleep(Duration::from_micros(dice.random_range(0..50_000))).await;
        if dice.random() {
            run.world.stop("KILL").await;
            in_flight += run.in_flight();
            run.world.start().await;
        } else {
            signal(&run.client, "KILL");
            ended(&mut run.client).await;
            in_flight += run.in_flight();
            run.client = resumed(&run.world);
        }
    }
    run.end().await;
    let elapsed = began.elapsed();

    let results = run.world.results(OUTPUT);
    assert_eq!(results.len(), count);
    let mut statuses = BTreeMap::<_, usize>::new();
    for line in results.values() {
        *statuses
            .entry(line["status"].as_str().unwrap())
            .or_default() += 1;
    }
    let calls = run.world.simulator.requests().len();
    let again = run.world.paid_again();
    println!(
        "{count} files, {size} MB: {statuses:?}; {calls} calls, {kills} kills with {in_flight} calls \
         in flight, {again} calls made again; {elapsed:?}; client {} MB, service {} MB",
        run.of_client / 1_000_000,
        run.of_service / 1_000_000,
    );
    // Calls that reach the API only after a kill are in flight too, but not counted at it.
    let calls_each = if run.has_parts { PARALLEL + 1 } else { 1 };
    let most = kills * JOBS * calls_each;
    assert!(again <= most, "{again} calls were paid twice");
    assert!(run.of_client < 100_000_000, "{}", run.of_client);
    assert!(run.of_service < 150_000_000, "{}", run.of_service);
}
