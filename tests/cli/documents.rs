//! Which documents `summarize` and `classify` read, and how they are named.

use super::*;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, thread};

/// What a shell runs in a folder, with the command as `$0`.
fn in_shell(service: &Running, folder: &Path, script: &str) -> Ended {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, env!("CARGO_BIN_EXE_claude-grpc")])
        .env_clear()
        .env("CLAUDE_GRPC_ADDR", &service.address)
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .stdin(Stdio::null());
    shell.output().unwrap().into()
}

/// The files that lines are about, in the order of their names.
fn files_in(lines: &str) -> Vec<String> {
    let file = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["file"].as_str().unwrap().to_owned()
    };
    let mut files: Vec<String> = lines.lines().map(file).collect();
    files.sort();
    files
}

#[test]
fn what_a_run_writes_is_no_document_however_it_is_named() {
    let service = Running::service(&[]);
    let files = Files::texts();
    let folder = files.0.path();
    let redirected = "\"$0\" summarize . --json > out.jsonl 2> log.txt";
    in_shell(&service, folder, redirected).succeeded();
    let lines = fs::read_to_string(folder.join("out.jsonl")).unwrap();
    assert_eq!(files_in(&lines), ["licence.txt", "recipe.txt"]);

    for file in ["out.jsonl", "log.txt"] {
        fs::remove_file(folder.join(file)).unwrap();
    }
    std::os::unix::fs::symlink(folder, folder.join("link")).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    for output in [
        "out.jsonl",
        "link/out.jsonl",
        &format!("../{name}/out.jsonl"),
    ] {
        let script = format!("\"$0\" summarize . --output {output} --resume");
        let ended = in_shell(&service, folder, &script);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // Also where the shell names it.
        let script = format!("\"$0\" summarize *.* --output {output} --resume");
        let ended = in_shell(&service, folder, &script);
        ended.summed_up("0 answered, 2 of an earlier run");
    }
    let only = "\"$0\" summarize out.jsonl --output out.jsonl --resume";
    let refused = in_shell(&service, folder, only).failed(2);
    assert!(refused.reason().contains("what the command writes"));
}

/// As `git diff --name-only -z` prints them, of files that are gone as well.
#[test]
fn a_list_has_names_of_any_bytes_and_no_globs() {
    let service = Running::service(&[]);
    let files = Files::texts();
    let folder = files.0.path();
    fs::write(folder.join(OsStr::from_bytes(b"\xff.txt")), LICENCE).unwrap();
    fs::write(folder.join("list"), b"\xff.txt\0[lr]*.txt\0recipe.txt\0").unwrap();
    let listed = "\"$0\" summarize --files-from list --json";
    let ended = in_shell(&service, folder, listed).failed(2);
    let names = ["[lr]*.txt", "\\xff.txt", "recipe.txt"];
    assert_eq!(files_in(&ended.stdout), names, "{ended:?}");
    assert!(
        ended.stderr.contains("[lr]*.txt: failed to read"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("2 answered, 1 failed"), "{ended:?}");
}

/// The name of a file may be made by a stranger.
#[test]
fn a_name_is_one_column_of_one_line() {
    let service = Running::service(&[]);
    let files = Files::texts();
    let folder = files.0.path();
    fs::rename(
        folder.join("recipe.txt"),
        folder.join("re\n\tci\u{1b}pe.txt"),
    )
    .unwrap();
    let labels = "\"$0\" classify --label licence --label cake";
    let ended = in_shell(&service, folder, &format!("{labels} ."));
    let ended = ended.summed_up("2 answered");
    let mut rows = ended.stdout.lines().map(|row| row.split('\t'));
    assert_eq!(rows.next().unwrap().next(), Some("licence.txt"));
    assert_eq!(rows.next().unwrap().next(), Some(r"re\x0a\x09ci\x1bpe.txt"));
    assert!(rows.next().is_none(), "{ended:?}");
    let ended = in_shell(&service, folder, "\"$0\" summarize .");
    assert!(
        ended.stdout.contains(r"==> re\x0a\x09ci\x1bpe.txt <=="),
        "{ended:?}"
    );
    // JSON has the name itself.
    let ended = in_shell(&service, folder, &format!("{labels} . --json"));
    assert_eq!(files_in(&ended.stdout)[1], "re\n\tci\u{1b}pe.txt");
}

#[test]
fn a_pipe_that_is_named_is_read_as_standard_input_is() {
    let service = Running::service(&[]);
    let alone = service
        .run_on(&["summarize"], LICENCE.as_bytes())
        .succeeded();
    for name in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let named = service.run_on(&["summarize", name], LICENCE.as_bytes());
        assert_eq!(named.succeeded().stdout, alone.stdout, "{name}");
    }
    let attached = ["generate", "--file", "/dev/stdin", "What is it?"];
    for content in [&b"\x89PNG\r\n\x1a\n"[..], LICENCE.as_bytes()] {
        service.run_on(&attached, content).succeeded();
    }

    let files = Files::new(&[]);
    let pipe = files.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let writer = pipe.clone();
    thread::spawn(move || fs::write(writer, LICENCE));
    let read = service.run(&["summarize", &pipe]).succeeded();
    assert_eq!(read.stdout, alone.stdout);
    // In a folder, nothing may write it ever.
    let skipped = service.run(&["summarize", &files.path(".")]).failed(2);
    assert!(skipped.reason().contains("has no files"), "{skipped:?}");
}

#[test]
fn a_flag_that_cannot_be_right_is_refused_before_a_call() {
    let files = Files::new(&[("empty", b"\n"), ("text", b"text")]);
    let (empty, text) = (files.path("empty"), files.path("text"));
    for (arguments, reason) in [
        (["summarize", "--output", "-"], "--output: must be a file"),
        (
            ["classify", "--labels-file", "-"],
            "--labels-file: must be a file",
        ),
        (
            ["generate", "--schema", "/dev/stdin"],
            "--schema: must be a file",
        ),
        (
            ["generate", "--addr", "grpcs://localhost"],
            "--addr: must be HOST:PORT",
        ),
        (
            ["generate", "--addr", "localhost:99999"],
            "--addr: must be HOST:PORT",
        ),
    ] {
        let refused = run(&[&arguments[..], &[&text]].concat()).failed(2);
        assert!(refused.reason().contains(reason), "{refused:?}");
    }
    let wrong_ca = ["--addr", "https://localhost:1", "--ca-file", &text];
    let refused = run(&[&["generate", "q"][..], &wrong_ca].concat()).failed(2);
    let reason = "must contain a certificate";
    assert!(refused.reason().contains(reason), "{refused:?}");
    let refused = run(&["generate", "--file", &empty, "q"]).failed(2);
    assert!(
        refused.reason().ends_with("empty: must not be empty"),
        "{refused:?}"
    );
}
