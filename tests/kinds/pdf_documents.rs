//! PDFs of the command line: short ones reach the API as documents, others as text.

use crate::{
    archives::gz,
    pdfs::{encrypted, padded, pages, text},
    reading::files,
    world::World,
};
use data_encoding::BASE64;
use serde_json::Value;
use std::{collections::HashMap, fs, io::Read, process::Stdio, time::Duration};

const OUTPUT: &str = "out.jsonl";

/// Pages with so much text that a window of 200,000 tokens has no room for the document.
fn dense() -> Vec<u8> {
    let page = "All of it is about the harvest. ".repeat(500);
    pages(&[page.as_str(); 40])
}

/// What was read of a document, what was sent of it, and what was left out.
fn read(line: &Value) -> (&str, u64, &str, &str) {
    (
        line["kind"].as_str().unwrap(),
        line["pages"].as_u64().unwrap(),
        line["sentAs"].as_str().unwrap(),
        line["notes"][0].as_str().unwrap_or_default(),
    )
}

/// The documents of all messages to the API, by their size in bytes.
fn documents(world: &World) -> HashMap<usize, Vec<u8>> {
    let requests = world.simulator.requests().into_iter();
    let messages = requests.filter(|it| it.path == "/v1/messages");
    let bodies = messages.map(|it| serde_json::from_slice::<Value>(&it.body).unwrap());
    let sources = bodies.filter_map(|body| {
        let source = body["messages"][0]["content"][0]["source"].clone();
        let data = source["data"].as_str()?.as_bytes().to_vec();
        Some(BASE64.decode(&data).unwrap())
    });
    sources.map(|bytes| (bytes.len(), bytes)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_pdf_goes_as_a_document_and_a_long_one_as_text() {
    let world = World::new(0, Duration::ZERO).await;
    fs::create_dir(world.path("in")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(world.path("in").join(name), bytes).unwrap();
    let three = pages(&["One of three", "Two of three", "Three of three"]);
    // More than is kept in memory while it is read.
    let large = padded("A large one", 3 << 20);
    write("three.pdf", &three);
    write("three.pdf.gz", &gz(&three));
    write("scan.pdf", &pages(&[""]));
    write("large.pdf", &large);
    write("long.pdf", &pages(&["A long one"; 101]));
    write("dense.pdf", &dense());
    write("encrypted.pdf", &encrypted(&text("An encrypted one"), ""));
    write("password.pdf", &encrypted(&text("A secret one"), "secret"));
    write("prefixed.pdf", &[b"\n", &text("After a line")[..]].concat());
    let output = world.run(&["summarize", "in", "--output", OUTPUT]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let results = world.results(OUTPUT);
    let sent = documents(&world);
    for (name, count) in [
        ("three.pdf", 3),
        ("three.pdf.gz", 3),
        ("scan.pdf", 1),
        ("large.pdf", 1),
    ] {
        let line = &results[&format!("in/{name}")];
        assert_eq!(read(line), ("pdf", count, "document", ""), "{line}");
        let bytes = match name {
            "three.pdf.gz" => three.clone(),
            _ => fs::read(world.path("in").join(name)).unwrap(),
        };
        let summary = format!(
            "[simulated] The document is a PDF of {} bytes.",
            bytes.len()
        );
        assert_eq!(line["response"]["summary"], summary, "{line}");
        assert!(sent[&bytes.len()] == bytes, "{name} is another one");
    }
    for (name, count, text, why) in [
        (
            "long.pdf",
            101,
            "A long one",
            "it has 101 pages, more than 100",
        ),
        ("dense.pdf", 40, "harvest", "its pages have too many tokens"),
        ("encrypted.pdf", 1, "An encrypted one", "it is encrypted"),
        (
            "prefixed.pdf",
            1,
            "After a line",
            "something comes before its header",
        ),
    ] {
        let line = &results[&format!("in/{name}")];
        let note = format!("sent as text: {why}");
        assert_eq!(read(line), ("pdf", count, "text", note.as_str()), "{line}");
        let summary = line["response"]["summary"].as_str().unwrap();
        assert!(summary.contains(text), "{line}");
    }
    let refused = results["in/password.pdf"]["error"]["message"].as_str();
    assert!(
        refused.unwrap().contains("it has a password"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pdf_of_groff_reaches_the_api_as_it_is() {
    let Some(page) = files("/usr/share/man/man1", ".gz", 3000..9000, 1).pop() else {
        return;
    };
    let world = World::new(0, Duration::ZERO).await;
    let mut source = Vec::new();
    let packed = fs::File::open(page).unwrap();
    flate2::read::MultiGzDecoder::new(packed)
        .read_to_end(&mut source)
        .unwrap();
    fs::write(world.path("page.1"), source).unwrap();
    let made = std::process::Command::new("groff")
        .args(["-k", "-t", "-mandoc", "-Tpdf"])
        .stdin(fs::File::open(world.path("page.1")).unwrap())
        .stdout(fs::File::create(world.path("page.pdf")).unwrap())
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|it| it.success()) {
        println!("skipped: groff makes no PDF");
        return;
    }
    let label = ["--label", "pdf", "--label", "other"];
    let arguments = [&["classify", "page.pdf", "--output", OUTPUT][..], &label].concat();
    let output = world.run(&arguments).await;
    assert!(output.status.success(), "{output:?}");
    let line = &world.results(OUTPUT)["page.pdf"];
    let (kind, count, sent_as, _) = read(line);
    assert!(
        (kind, sent_as) == ("pdf", "document") && count > 0,
        "{line}"
    );
    assert_eq!(line["response"]["labels"][0], "pdf");
    let bytes = fs::read(world.path("page.pdf")).unwrap();
    assert!(documents(&world)[&bytes.len()] == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_of_a_pdf_is_an_option_of_the_answer() {
    let world = World::new(0, Duration::ZERO).await;
    fs::write(world.path("a.pdf"), text("Hello world")).unwrap();
    fs::write(world.path("b.txt"), "Hello again").unwrap();
    let run = async |more: &[&str]| {
        let arguments = ["summarize", "a.pdf", "b.txt", "--output", OUTPUT];
        let output = world.run(&[&arguments, more].concat()).await;
        String::from_utf8(output.stderr).unwrap()
    };
    run(&[]).await;
    assert_eq!(read(&world.results(OUTPUT)["a.pdf"]).2, "document");
    let resumed = run(&["--resume"]).await;
    assert!(resumed.contains("2 of an earlier run"), "{resumed}");
    let as_text = run(&["--resume", "--pdf", "text"]).await;
    assert!(as_text.contains("2 answered;"), "{as_text}");
    let line = &world.results(OUTPUT)["a.pdf"];
    assert_eq!(read(line), ("pdf", 1, "text", ""));
    let summary = line["response"]["summary"].as_str().unwrap();
    assert!(summary.contains("Hello world"), "{line}");
    let again = run(&["--resume", "--pdf", "text"]).await;
    assert!(again.contains("2 of an earlier run"), "{again}");
    let as_document = run(&["--resume", "--pdf", "document"]).await;
    assert!(as_document.contains("2 answered;"), "{as_document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_go_as_a_document_does_or_is_refused() {
    let world = World::new(0, Duration::ZERO).await;
    let write = |name: &str, bytes: &[u8]| fs::write(world.path(name), bytes).unwrap();
    write("long.pdf", &pages(&["A long one"; 101]));
    // What is no PDF to the reader may be one to the API.
    write("damaged.pdf", b"%PDF-1.7\nand nothing else");
    write("encrypted.pdf", &encrypted(&text("An encrypted one"), ""));
    write("prefixed.pdf", &[b"\n", &text("After a line")[..]].concat());
    write("large.pdf", &padded("A large one", 22 << 20));
    let names = [
        "long.pdf",
        "damaged.pdf",
        "encrypted.pdf",
        "prefixed.pdf",
        "large.pdf",
    ];
    let arguments = ["summarize", "--pdf", "document", "--output", OUTPUT];
    let output = world.run(&[&arguments[..], &names].concat()).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let results = world.results(OUTPUT);
    assert_eq!(read(&results["long.pdf"]), ("pdf", 101, "document", ""));
    assert_eq!(results["damaged.pdf"]["sentAs"], "document");
    assert_eq!(results["damaged.pdf"]["pages"], Value::Null);
    for (name, why) in [
        ("encrypted.pdf", "it is encrypted; remove its password"),
        ("prefixed.pdf", "something comes before its header"),
        ("large.pdf", "it has more than 22 MiB"),
    ] {
        let line = &results[name];
        let message = line["error"]["message"].as_str().unwrap();
        let expected = format!("failed to read it as PDF: it cannot go as a document: {why}");
        assert!(message.starts_with(&expected), "{message}");
        assert_eq!(line["calls"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_has_what_a_pdf_takes_and_pays_nothing() {
    let world = World::new(0, Duration::ZERO).await;
    let pdf = text("Hello world");
    fs::write(world.path("a.pdf"), &pdf).unwrap();
    fs::write(world.path("b.txt"), "Hello again").unwrap();
    let label = ["--label", "pdf", "--label", "other"];
    for command in [&["summarize"][..], &[&["classify"][..], &label].concat()] {
        let arguments = ["a.pdf", "b.txt", "--estimate", "--json"];
        let output = world.run(&[command, &arguments].concat()).await;
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let plans: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["plan"].clone())
            .collect();
        let (of_pdf, of_text) = (&plans[0], &plans[1]);
        assert_eq!(of_pdf["bytes"], pdf.len());
        assert_eq!(of_pdf["calls"], 1);
        assert_eq!(of_pdf["outputTokens"], of_text["outputTokens"]);
        // The simulator counts 3,000 for a PDF.
        let more = |field: &str| of_pdf[field].as_f64().unwrap() - of_text[field].as_f64().unwrap();
        assert!((2990.0..3010.0).contains(&more("inputTokens")), "{lines}");
        assert!(more("dollars") > 0.0, "{lines}");
    }
    let paths = world.simulator.requests().into_iter().map(|it| it.path);
    assert!(paths.clone().all(|it| it == "/v1/messages/count_tokens"));
    assert_eq!(paths.count(), 2);
}
