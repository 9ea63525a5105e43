//! `--file` of `generate` and `count-tokens`: what is attached of each kind.

use crate::{
    archives::{docx, gz},
    pdfs::{pages, text},
    world::World,
};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const MAIL: &[u8] = b"From: a@example.com\nTo: b@example.com\nSubject: Lunch\n\
MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n\nGr\xfc\xdfe an alle\n";

const HTML: &[u8] = b"<html><meta charset=iso-8859-1><p>Gr\xfc\xdfe<script>no()</script></html>";

/// The source of the document in a request.
fn source(body: &Value) -> Value {
    let block = &body["messages"][0]["content"][0];
    assert_eq!(block["type"], "document", "{body}");
    block["source"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_each_kind_is_attached_as_it_is_or_as_its_text() {
    let world = World::new(0, Duration::ZERO).await;
    let short = text("Hello PDF");
    let page = "<w:p><w:r><w:t>Hello office</w:t></w:r></w:p>";
    let plain = |text: &str| json!({"type": "text", "media_type": "text/plain", "data": text});
    let pdf = |bytes: &[u8]| {
        let data = data_encoding::BASE64.encode(bytes);
        json!({"type": "base64", "media_type": "application/pdf", "data": data})
    };
    let long = pages(&["Hello long one"; 101]);
    let long_text = vec!["Hello long one\n"; 101].join("\u{c}");
    for (name, bytes, more, expected) in [
        ("a.html", &b"<p>Hello"[..], &[][..], plain("<p>Hello")),
        ("b.html", HTML, &[], plain("Grüße\n")),
        ("c.docx", &docx("", page), &[], plain("Hello office\n")),
        (
            "d.txt.gz",
            &gz("Hello gzip".as_bytes()),
            &[],
            plain("Hello gzip"),
        ),
        ("f.pdf", &short, &[], pdf(&short)),
        ("g.pdf.gz", &gz(&short), &[], pdf(&short)),
        ("h.pdf", &short, &["--pdf", "text"], plain("Hello PDF\n")),
        ("i.pdf", &long, &[], plain(&long_text)),
        ("j.pdf", &long, &["--pdf", "document"], pdf(&long)),
    ] {
        fs::write(world.path(name), bytes).unwrap();
        let attach = [&["--file", name, "What is this?"][..], more].concat();
        for command in ["generate", "count-tokens"] {
            let output = world.run(&[&[command][..], &attach].concat()).await;
            assert!(output.status.success(), "{name}: {output:?}");
            let body = world.simulator.requests().pop().unwrap().body;
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(source(&body), expected, "{command} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_attached_as_its_text_and_what_cannot_be_read_is_refused() {
    let world = World::new(0, Duration::ZERO).await;
    fs::write(world.path("a.eml"), MAIL).unwrap();
    let attach = ["generate", "--file", "a.eml", "What is this?"];
    let output = world.run(&attach).await;
    assert!(output.status.success(), "{output:?}");
    let body = world.simulator.requests().pop().unwrap().body;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let data = source(&body)["data"].as_str().unwrap().to_owned();
    assert!(data.starts_with("From: a@example.com"), "{data}");
    assert!(data.contains("Grüße an alle"), "{data}");
    fs::write(world.path("b.pdf"), b"%PDF-1.7\nand nothing else").unwrap();
    for command in ["generate", "count-tokens"] {
        let output = world.run(&[command, "--file", "b.pdf", "What?"]).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("b.pdf: failed to read it as PDF"), "{said}");
    }
}
