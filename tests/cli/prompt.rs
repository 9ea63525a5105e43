//! The prompt of `generate` and `count-tokens`: its argument, standard input and files.

use super::*;

/// The number of tokens that `count-tokens` prints.
fn count(ended: Ended) -> u32 {
    ended.succeeded().stdout.trim_end().parse().unwrap()
}

#[test]
fn a_prompt_is_joined_with_standard_input() {
    let service = Running::service(&[]);
    let text = b"The lease ends in May.\n\n";
    let answer = service.run_on(&["generate", "When does it end?"], text);
    let answer = answer.succeeded();
    for part in ["The lease ends in May.", "When does it end?"] {
        assert!(answer.stdout.contains(part), "{answer:?}");
    }
    // The same as the joined text: first the input, then a blank line.
    let joined = b"The lease ends in May.\n\nWhen does it end?";
    let alone = service.run_on(&["generate", "-"], joined).succeeded();
    assert_eq!(answer.stdout, alone.stdout);
    let piped = service.run_on(&["count-tokens", "When does it end?"], text);
    assert_eq!(
        count(piped),
        count(service.run_on(&["count-tokens"], joined))
    );

    let files = Files::new(&[("lease.txt", text)]);
    let mut redirected = service.client(&["generate", "When does it end?"]);
    redirected.stdin(fs::File::open(files.path("lease.txt")).unwrap());
    let redirected = Ended::from(redirected.output().unwrap()).succeeded();
    assert_eq!(redirected.stdout, answer.stdout);
}

#[test]
fn standard_input_without_text_adds_nothing() {
    let service = Running::service(&[]);
    let alone = service.run(&["generate", "What is a lease?"]).succeeded();
    for input in [&b""[..], b"\n\r\n"] {
        let piped = service.run_on(&["generate", "What is a lease?"], input);
        assert_eq!(piped.succeeded().stdout, alone.stdout);
    }
    let files = Files::new(&[("empty", b"")]);
    // Closed, an empty file, and a device that has no end.
    for redirection in ["<&-", &format!("<{}", files.path("empty")), "</dev/zero"] {
        let binary = env!("CARGO_BIN_EXE_claude-grpc");
        let script = format!("exec {binary} generate 'What is a lease?' {redirection}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env_clear();
        shell.env("CLAUDE_GRPC_ADDR", &service.address);
        let ended = Ended::from(shell.output().unwrap()).succeeded();
        assert_eq!(ended.stdout, alone.stdout, "{redirection}");
    }
}

#[test]
fn a_terminal_adds_nothing() {
    let service = Running::service(&[]);
    let binary = env!("CARGO_BIN_EXE_claude-grpc");
    let call = format!("{binary} generate 'What is a lease?'");
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &call, "/dev/null"])
        .env("CLAUDE_GRPC_ADDR", &service.address)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        return; // util-linux is not installed.
    };
    // The terminal stays open until the command has ended.
    let open = child.stdin.take();
    let mut answer = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("What is a lease?"), "{answer:?}");
    assert!(child.wait().unwrap().success());
    drop(open);
}

#[test]
fn what_is_wrong_with_standard_input_is_named() {
    let service = Running::service(&[]);
    let bytes = service.run_on(&["generate", "Translate"], b"gr\xfc\xdfe");
    assert_eq!(
        bytes.failed(2).reason(),
        "standard input: must be UTF-8: invalid byte at offset 2"
    );

    let mut large = service.client(&["generate", "Summarize"]);
    let files = Files::new(&[]);
    let file = fs::File::create_new(files.path("large")).unwrap();
    file.set_len(32 * 1024 * 1024 + 1).unwrap();
    large.stdin(fs::File::open(files.path("large")).unwrap());
    let large = Ended::from(large.output().unwrap()).failed(2);
    assert_eq!(
        large.reason(),
        "standard input: must be at most 33554432 bytes"
    );

    let mut directory = service.client(&["generate", "Summarize"]);
    directory.stdin(fs::File::open(files.0.path()).unwrap());
    let directory = Ended::from(directory.output().unwrap()).failed(2);
    assert!(
        directory
            .reason()
            .starts_with("standard input: failed to read: "),
        "{directory:?}"
    );

    for arguments in [&["generate"][..], &["generate", "-"], &["count-tokens", ""]] {
        let empty = service.run_on(arguments, b"\n").failed(2);
        assert!(
            empty.reason().starts_with("the prompt must not be empty"),
            "{empty:?}"
        );
    }
}

#[test]
fn standard_input_can_be_attached_once() {
    let service = Running::service(&[]);
    let png = b"\x89PNG\r\n\x1a\nxxxx";
    let alone = count(service.run(&["count-tokens", "What is it?"]));
    let image = service.run_on(&["count-tokens", "--file", "-", "What is it?"], png);
    assert!(count(image) > alone);

    for arguments in [
        &["generate", "--file", "-", "-"][..],
        &["generate", "--file", "-", "--file", "-", "x"],
    ] {
        let twice = service.run_on(arguments, png).failed(2);
        assert_eq!(
            twice.reason(),
            "standard input (-) must not be given more than once"
        );
    }
    let none = service.run_on(&["generate", "--file", "-"], png).failed(2);
    assert!(
        none.reason().starts_with("the prompt must not be empty"),
        "{none:?}"
    );
    for flag in ["--schema", "--system-file"] {
        let refused = service.run_on(&["generate", flag, "-", "x"], b"{}");
        let refused = refused.failed(2);
        assert!(
            refused
                .reason()
                .starts_with(&format!("{flag}: must be a file")),
            "{refused:?}"
        );
    }
}

#[test]
fn the_system_prompt_and_the_schema_come_from_files() {
    let files = Files::new(&[
        ("system.txt", b"Answer in German."),
        ("schema.json", b"{,}"),
    ]);
    let service = Running::service(&[]);
    let [system, schema] = ["system.txt", "schema.json"].map(|name| files.path(name));
    let from_file = service.run(&["count-tokens", "--system-file", &system, "hello"]);
    let from_flag = service.run(&["count-tokens", "--system", "Answer in German.", "hello"]);
    assert_eq!(count(from_file), count(from_flag));
    let both = ["generate", "--system", "x", "--system-file", &system, "x"];
    service.run(&both).failed(2);

    // Refused before a connection is made.
    let address = free_port();
    let call = ["generate", "--addr", &address, "--schema", &schema, "x"];
    let broken = run(&call).failed(2);
    let start = format!("{schema}: must be JSON: ");
    assert!(broken.reason().starts_with(&start), "{broken:?}");
}
