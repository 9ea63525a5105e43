//! Templates of prompts.

use super::*;

const REVIEW: &[u8] = br#"
description = "Reviews a change"
system = "You review {{language}}."
prompt = "Review this {{language}} change: {{input}} Be {{tone}}."
[params]
tone = "brief"
"#;

fn templates(files: &[(&str, &[u8])]) -> (Running, Files) {
    let files = Files::new(files);
    (Running::service(&[]), files)
}

fn in_folder(service: &Running, files: &Files, arguments: &[&str], stdin: &[u8]) -> Ended {
    let folder = files.0.path().to_str().unwrap();
    service.run_on(&[arguments, &["--templates-dir", folder]].concat(), stdin)
}

#[test]
fn a_template_is_filled_with_the_input_and_the_parameters() {
    let (service, files) = templates(&[
        ("review.toml", REVIEW),
        ("joke.toml", b"prompt = 'Tell a joke.'"),
        ("german.toml", b"system = 'Answer in German.'"),
    ]);
    let call = [
        "generate",
        "--template",
        "review",
        "--param",
        "language=Rust",
    ];
    let expected = "Review this Rust change: unsafe {{tone}} Be brief.";
    let piped = in_folder(&service, &files, &call, b"unsafe {{tone}}").succeeded();
    assert!(piped.stdout.contains(expected), "{piped:?}");
    let argument = [&call[..], &["unsafe {{tone}}", "--param", "tone=kind"]].concat();
    let argument = in_folder(&service, &files, &argument, b"").succeeded();
    assert!(argument.stdout.contains("Be kind."), "{argument:?}");

    let direct = service.run_on(&["generate", "Tell a joke."], b"About bees.");
    let joke = in_folder(
        &service,
        &files,
        &["generate", "--template", "joke"],
        b"About bees.",
    );
    assert_eq!(joke.succeeded().stdout, direct.succeeded().stdout);
    let joke = in_folder(&service, &files, &["generate", "--template", "joke"], b"");
    assert!(joke.succeeded().stdout.contains("Tell a joke."));

    let count = ["count-tokens", "--template", "german", "Hello"];
    let direct = ["count-tokens", "--system", "Answer in German.", "Hello"];
    assert_eq!(
        in_folder(&service, &files, &count, b"").succeeded().stdout,
        service.run(&direct).succeeded().stdout
    );
    let missing = in_folder(&service, &files, &["generate", "--template", "german"], b"");
    assert!(
        missing
            .failed(2)
            .reason()
            .starts_with("the prompt must not be empty")
    );
}

#[test]
fn flags_take_precedence_over_a_template() {
    let schema = br#"{"type":"object","properties":{"n":{"type":"integer"}},
        "required":["n"],"additionalProperties":false}"#;
    let inline = [&b"prompt = 'A number'\nschema = '''"[..], schema, b"'''"].concat();
    let (service, files) = templates(&[
        (
            "short.toml",
            b"prompt = 'hello'\nmax_tokens = 1\neffort = 'low'",
        ),
        ("model.toml", b"prompt = 'hello'\nmodel = 'claude-none'"),
        ("inline.toml", &inline),
        ("file.toml", b"prompt = 'A number'\nschema_file = 'n.json'"),
        ("n.json", schema),
    ]);
    let run = |arguments: &[&str]| {
        let call = [&["generate", "--template"], arguments].concat();
        in_folder(&service, &files, &call, b"")
    };
    run(&["short"]).failed(4);
    run(&["short", "--max-tokens", "1000"]).succeeded();
    let unknown = run(&["model"]).failed(2);
    assert!(unknown.reason().starts_with("NOT_FOUND: "), "{unknown:?}");
    run(&["model", "--model", "claude-sonnet-5-5"]).succeeded();
    for name in ["inline", "file"] {
        assert!(run(&[name]).succeeded().json()["n"].is_i64());
    }
}

#[test]
fn what_is_wrong_with_a_template_is_named() {
    let (service, files) = templates(&[
        ("review.toml", REVIEW),
        ("field.toml", b"promt = 'x'"),
        ("outside.toml", b"prompt = 'x'\nschema_file = '../n.json'"),
        ("gone.toml", b"prompt = 'x'\nschema_file = 'gone.json'"),
        ("notes.txt", b""),
    ]);
    for (arguments, part) in [
        (&["nope"][..], "unknown template \"nope\" in "),
        (&["../review"], "--template \"../review\": must be a name"),
        (
            &["/etc/passwd"],
            "--template \"/etc/passwd\": must be a name",
        ),
        (
            &["field"],
            "field.toml: invalid template in line 1: unknown field",
        ),
        (
            &["outside"],
            "outside.toml: schema_file: must be a path in the folder",
        ),
        (&["gone"], "gone.json: failed to read"),
        (
            &["review", "x"],
            "template \"review\": parameter \"language\" must be given",
        ),
        (
            &["review", "x", "--param", "lang=Rust"],
            "template \"review\": unknown parameter \"lang\"",
        ),
        (
            &["review", "x", "--param", "input=Rust"],
            "\"input\" must not be a parameter",
        ),
    ] {
        let call = [&["generate", "--template"], arguments].concat();
        let ended = in_folder(&service, &files, &call, b"").failed(2);
        assert!(ended.reason().contains(part), "{ended:?}");
    }
    let alone = service.run(&["generate", "x", "--param", "a=b"]).failed(2);
    assert!(alone.stderr.contains("--template"), "{alone:?}");

    let listed = in_folder(&service, &files, &["templates"], b"").failed(2);
    assert_eq!(listed.stdout, "review\tReviews a change\n");
    assert_eq!(listed.stderr.lines().count(), 3, "{listed:?}");
}

#[test]
fn templates_are_found_by_variable_and_in_the_home_directory() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/claude-grpc/templates");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("review.toml"), REVIEW).unwrap();
    let [home, folder] = [home.path(), &folder].map(|path| path.to_str().unwrap());
    for variable in [("HOME", home), ("CLAUDE_GRPC_TEMPLATES", folder)] {
        let listed = run_with(&["templates"], &[variable]).succeeded();
        assert_eq!(listed.stdout, "review\tReviews a change\n");
    }
    let nowhere = run(&["templates"]).failed(2);
    assert!(
        nowhere.reason().contains("CLAUDE_GRPC_TEMPLATES"),
        "{nowhere:?}"
    );
    // The service ignores it, like the other variables of the client.
    let service = Running::service(&[("CLAUDE_GRPC_TEMPLATES", folder)]);
    service.run(&["generate", "hello"]).succeeded();
}
