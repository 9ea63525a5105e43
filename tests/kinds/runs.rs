//! Runs over documents of all kinds, with the service and an API that keeps what it is asked.

use crate::{
    hostile::{self, Expected},
    reading::read,
    world::{World, ended, peak},
};
use std::{
    collections::HashMap,
    fs,
    io::Write,
    process::Child,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const OUTPUT: &str = "out.jsonl";

/// What a process that reads may use, in bytes, as it limits itself.
const MAX_MEMORY: u64 = 512 << 20;

/// The most that a child of a process has used, in bytes.
fn peak_of_children(parent: &Child, peaks: &mut u64) {
    let parent = parent.id().to_string();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        if field("PPid:") == parent {
            let kib: u64 = field("VmHWM:").trim_end_matches(" kB").parse().unwrap_or(0);
            *peaks = (*peaks).max(kib * 1024);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_documents_are_read_or_refused_and_the_others_go_on() {
    let world = World::new(3, Duration::ZERO).await;
    let hostile = hostile::documents();
    fs::create_dir(world.path("hostile")).unwrap();
    for document in &hostile {
        fs::write(world.path("hostile").join(document.name), &document.bytes).unwrap();
    }
    fs::write(world.path("hostile/empty.txt"), "").unwrap();
    let began = Instant::now();
    let arguments = ["summarize", "hostile", "documents", "--output", OUTPUT];
    let mut run = world.command(&arguments).spawn().unwrap();
    let (mut of_client, mut of_children) = (0, 0);
    while run.try_wait().unwrap().is_none() {
        of_client = of_client.max(peak(&run));
        peak_of_children(&run, &mut of_children);
        assert!(
            began.elapsed() < Duration::from_secs(400),
            "it takes too long"
        );
        sleep(Duration::from_millis(10)).await;
    }
    let code = ended(&mut run).await;
    println!(
        "{:?}, client {of_client} bytes, children {of_children} bytes",
        began.elapsed()
    );
    assert!(of_client < 100_000_000, "{of_client}");
    assert!(of_children <= MAX_MEMORY, "{of_children}");
    let results = world.results(OUTPUT);
    assert_eq!(results.len(), hostile.len() + 4);
    for document in &hostile {
        let line = &results[&format!("hostile/{}", document.name)];
        let message = line["error"]["message"].as_str().unwrap_or_default();
        println!("{}: {} {message}", document.name, line["status"]);
        let is_refused = line["status"] == "failed" && line["calls"] == 0;
        let text = read(&world.path("hostile").join(document.name));
        match document.expected {
            Expected::Refused(why) => assert!(is_refused && message.contains(why), "{line}"),
            Expected::Text(expected) => {
                assert_eq!(line["status"], "ok", "{line}");
                assert!(text.unwrap().0.contains(expected), "{}", document.name);
            }
            Expected::Harmless => {
                let length = text.map_or(0, |(text, _)| text.len());
                assert!(length < 4_000_000, "{}: {length}", document.name);
                assert!(
                    line["status"] == "ok" || message.contains("failed to read it"),
                    "{line}"
                );
            }
        }
    }
    // All failures are of documents.
    assert_eq!(code, Some(2));
    for number in 0..3 {
        assert_eq!(
            results[&format!("documents/0/{number}.txt")]["status"],
            "ok"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_say_what_was_read() {
    let world = World::new(0, Duration::ZERO).await;
    fs::create_dir(world.path("in")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(world.path("in").join(name), bytes).unwrap();
    write("a.txt", "Größe".as_bytes());
    write(
        "b.txt",
        &"Die Größe der Möhren überrascht viele Gärtner."
            .chars()
            .map(|it| it as u8)
            .collect::<Vec<_>>(),
    );
    write("c.htm", b"<html><p>Some page<img src=x>");
    write("d.md", b"# Title\n\nText\n");
    write("e.1", b".TH A 1\n.SH NAME\na \\- b\n");
    write("f.pdf.txt", &crate::pdfs::text("Hello world"));
    let output = world.run(&["summarize", "in", "--output", OUTPUT]).await;
    assert!(output.status.success(), "{output:?}");
    let results = world.results(OUTPUT);
    let of = |name: &str| {
        let line = &results[&format!("in/{name}")];
        (
            line["kind"].as_str().unwrap(),
            line["encoding"].as_str(),
            line["notes"].clone(),
        )
    };
    assert_eq!(
        of("a.txt"),
        ("text", Some("UTF-8"), serde_json::Value::Null)
    );
    assert_eq!(of("b.txt").1, Some("windows-1252"));
    assert_eq!(of("c.htm").0, "html");
    assert_eq!(of("c.htm").2, serde_json::json!(["1 images were left out"]));
    assert_eq!(of("d.md").0, "markdown");
    assert_eq!(of("e.1").0, "man");
    assert_eq!(of("f.pdf.txt").0, "pdf");
    // The digest is of the file, so that a run that goes on reads nothing again.
    let again = world
        .run(&["summarize", "in", "--output", OUTPUT, "--resume"])
        .await;
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("6 of an earlier run"),
        "{again:?}"
    );
}

/// Sections with numbers in Latin-1, as text or compressed.
fn write_document(world: &World, name: &str, megabytes: usize) {
    let file = fs::File::create(world.path(name)).unwrap();
    let file = std::io::BufWriter::new(file);
    let mut file: Box<dyn Write> = if name.ends_with(".gz") {
        Box::new(flate2::write::GzEncoder::new(
            file,
            flate2::Compression::fast(),
        ))
    } else {
        Box::new(file)
    };
    let (mut written, mut number) = (0, 0_u64);
    while written < megabytes * 1_000_000 {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let section = format!(
            "# Abschnitt {number}\n\nF\u{fc}r jede Gr\u{f6}\u{df}e gibt es Zahlen. Hier: {noise:x} und {:x}.\n\n",
            noise.rotate_left(31)
        );
        let latin1: Vec<u8> = section.chars().map(|it| it as u8).collect();
        file.write_all(&latin1).unwrap();
        written += latin1.len();
        number += 1;
    }
}

/// `MEGABYTES` sets another size.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_in_latin_1_or_gzip_is_not_held_by_the_client() {
    let megabytes = std::env::var("MEGABYTES").map_or(12, |it| it.parse().unwrap());
    for name in ["long.txt", "long.txt.gz"] {
        let world = World::new(0, Duration::ZERO).await;
        write_document(&world, name, megabytes);
        let arguments = [
            "summarize",
            name,
            "--output",
            OUTPUT,
            "--model",
            "claude-haiku-4-5",
        ];
        let mut run = world.command(&arguments).spawn().unwrap();
        let (mut of_client, mut of_children) = (0, 0);
        while run.try_wait().unwrap().is_none() {
            of_client = of_client.max(peak(&run));
            peak_of_children(&run, &mut of_children);
            sleep(Duration::from_millis(5)).await;
        }
        println!("{name}, {megabytes} MB: client {of_client} bytes, child {of_children} bytes");
        assert_eq!(ended(&mut run).await, Some(0));
        assert!(of_client < 100_000_000, "{of_client}");
        let results: HashMap<_, _> = world.results(OUTPUT);
        assert_eq!(results[name]["status"], "ok");
        assert_eq!(results[name]["encoding"], "windows-1252");
    }
}
