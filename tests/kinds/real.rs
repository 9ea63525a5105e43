//! Real files of this machine, and what independent programs make of them. What is missing
//! is skipped, and said.

use crate::reading::{files, printed, read, shared};
use std::{fs, io::Read, path::Path};

const ENOUGH: usize = 5;

/// Asserts that the text has nearly all words that another program finds.
fn assert_shared(path: &Path, kind: &str, expected: &str, least: f64) {
    let (text, reading) = read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(reading["kind"], kind, "{}", path.display());
    let (found, known) = shared(&text, expected);
    println!(
        "{}: {found:.3} of the words, {known:.3} the other way",
        path.display()
    );
    assert!(
        found >= least && known >= least,
        "{}: {found} {known}",
        path.display()
    );
}

#[test]
fn manual_pages_are_what_groff_shows() {
    let sizes = 3000..20_000;
    let folders = [
        "/usr/share/man/man1",
        "/usr/share/man/man3",
        "/usr/share/man/man8",
    ];
    for path in folders
        .iter()
        .flat_map(|it| files(it, ".gz", sizes.clone(), ENOUGH))
    {
        let mut page = Vec::new();
        let packed = fs::File::open(&path).unwrap();
        flate2::read::MultiGzDecoder::new(packed)
            .read_to_end(&mut page)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("page.1");
        fs::write(&plain, page).unwrap();
        let arguments = [
            "-k",
            "-t",
            "-mandoc",
            "-Tutf8",
            "-P-cbou",
            "-rHY=0",
            "-rLL=400n",
        ];
        let Some(shown) = printed("groff", &arguments, &plain) else {
            return;
        };
        // The first and last lines are of the manual, not of the page.
        let lines: Vec<_> = shown.lines().filter(|it| !it.trim().is_empty()).collect();
        if lines.len() > 4 {
            assert_shared(&path, "man", &lines[1..lines.len() - 1].join("\n"), 0.9);
        }
    }
}

#[test]
fn pages_of_html_are_what_w3m_shows() {
    for path in files("/usr/share/doc", ".html", 4000..200_000, 2 * ENOUGH) {
        let arguments = ["-dump", "-cols", "400", "-T", "text/html", "-I", "UTF-8"];
        let Some(shown) = printed("w3m", &arguments, &path) else {
            return;
        };
        assert_shared(&path, "html", &shown, 0.85);
    }
}

#[test]
fn compressed_changelogs_are_what_they_were() {
    for path in files("/usr/share/doc", "changelog.gz", 1000..300_000, ENOUGH) {
        let mut expected = Vec::new();
        let packed = fs::File::open(&path).unwrap();
        flate2::read::MultiGzDecoder::new(packed)
            .read_to_end(&mut expected)
            .unwrap();
        let (text, reading) = read(&path).unwrap();
        if let Ok(expected) = String::from_utf8(expected) {
            assert_eq!(text, expected, "{}", path.display());
            assert_eq!(reading["encoding"], "UTF-8");
        }
        let folder = tempfile::tempdir().unwrap();
        let again = folder.path().join("changelog.zst");
        fs::write(&again, zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
        assert!(read(&again).unwrap().0 == text, "{}", path.display());
    }
}

#[test]
fn translated_pages_are_read_in_older_encodings() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    for (language, encodings) in [
        ("ru", &["KOI8-R", "CP1251", "UTF-16"][..]),
        ("ja", &["EUC-JP", "SHIFT_JIS", "ISO-2022-JP"]),
        ("de", &["ISO-8859-1", "UTF-16LE"]),
        ("fr", &["ISO-8859-15"]),
        ("pl", &["ISO-8859-2"]),
        ("zh_CN", &["GBK"]),
        ("ko", &["EUC-KR"]),
    ] {
        let pages = files(
            &format!("/usr/share/man/{language}"),
            ".gz",
            2000..50_000,
            3,
        );
        for (path, encoding) in pages
            .iter()
            .flat_map(|it| encodings.iter().map(move |to| (it, to)))
        {
            let mut page = String::new();
            let packed = fs::File::open(path).unwrap();
            if flate2::read::MultiGzDecoder::new(packed)
                .read_to_string(&mut page)
                .is_err()
            {
                continue;
            }
            // Without what makes it a manual page, or names its encoding.
            let text: Vec<_> = page
                .lines()
                .filter(|it| !it.starts_with(['.', '\'']))
                .collect();
            let plain = folder.path().join("plain.txt");
            fs::write(&plain, text.join("\n")).unwrap();
            // What the encoding does not have goes.
            let Some(expected) = printed("iconv", &["-c", "-f", "UTF-8", "-t", encoding], &plain)
            else {
                return;
            };
            drop(expected);
            let file = folder.path().join(format!("{number}.txt"));
            let to = fs::File::create(&file).unwrap();
            let from = fs::File::open(&plain).unwrap();
            let mut iconv = std::process::Command::new("iconv");
            iconv
                .args(["-c", "-f", "UTF-8", "-t", encoding])
                .stdin(from)
                .stdout(to);
            let _ = iconv.status();
            let Some(expected) = printed("iconv", &["-f", encoding, "-t", "UTF-8"], &file) else {
                return;
            };
            let (text, reading) = read(&file).unwrap();
            let (found, _) = shared(&text, &expected);
            println!(
                "{}: {encoding} as {}: {found:.3}",
                path.display(),
                reading["encoding"]
            );
            assert!(found > 0.98, "{} {encoding} {reading}", path.display());
            number += 1;
        }
    }
}

#[test]
fn office_documents_are_what_pandoc_wrote() {
    let folder = tempfile::tempdir().unwrap();
    for path in files("docs", ".md", 3000..60_000, ENOUGH) {
        for kind in ["docx", "odt", "epub"] {
            let file = folder.path().join(format!("document.{kind}"));
            let target = file.to_str().unwrap();
            let from = ["-f", "gfm", "--metadata", "title=T", "-o", target];
            let Some(_) = printed("pandoc", &from, &path) else {
                return;
            };
            let plain = ["-f", "gfm", "-t", "plain", "--wrap=none"];
            let expected = printed("pandoc", &plain, &path).unwrap();
            assert_shared(&file, kind, &expected, 0.9);
        }
    }
}

#[test]
fn pdfs_are_what_pdftotext_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut pdfs = files("/usr/share/doc", ".pdf", 1000..500_000, ENOUGH);
    for (number, page) in files("/usr/share/man/man1", ".gz", 3000..9000, ENOUGH)
        .iter()
        .enumerate()
    {
        let mut source = Vec::new();
        let packed = fs::File::open(page).unwrap();
        flate2::read::MultiGzDecoder::new(packed)
            .read_to_end(&mut source)
            .unwrap();
        let plain = folder.path().join("page.1");
        fs::write(&plain, source).unwrap();
        let pdf = folder.path().join(format!("{number}.pdf"));
        let made = std::process::Command::new("groff")
            .args(["-k", "-t", "-mandoc", "-Tpdf"])
            .stdin(fs::File::open(&plain).unwrap())
            .stdout(fs::File::create(&pdf).unwrap())
            .stderr(std::process::Stdio::null())
            .status();
        if made.is_ok_and(|it| it.success()) {
            pdfs.push(pdf);
        } else {
            println!("skipped: groff makes no PDF");
        }
    }
    for pdf in pdfs {
        let Some(expected) = printed("pdftotext", &["-", "-"], &pdf) else {
            return;
        };
        assert_shared(&pdf, "pdf", &expected, 0.85);
    }
}

#[test]
fn patches_are_mails() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..ENOUGH {
        let skip = format!("--skip={number}");
        let arguments = ["log", "-1", "--format=email", "--stat", &skip];
        let Some(mail) = printed("git", &arguments, Path::new("Cargo.toml")) else {
            return;
        };
        if mail.is_empty() {
            println!("skipped: there is no history");
            return;
        }
        let file = folder.path().join(format!("{number}.eml"));
        fs::write(&file, &mail).unwrap();
        let (text, reading) = read(&file).unwrap();
        assert_eq!(reading["kind"], "mail");
        assert!(text.starts_with("From: "), "{text}");
        assert!(text.contains("Subject: [PATCH]"), "{text}");
    }
}
