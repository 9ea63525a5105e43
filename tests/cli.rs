//! The command line, from outside: the real binary, its output and its exit
//! codes. Nothing of the environment of the tests goes in.

// What a helper cannot have is a test that fails.
#![allow(clippy::unwrap_used)]

#[path = "cli/completions.rs"]
mod completions;
#[path = "cli/documents.rs"]
mod documents;
#[path = "cli/prompt.rs"]
mod prompt;
#[path = "cli/templates.rs"]
mod templates;

use claude_grpc::secrets::write_private;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const LICENCE: &str = "\
Permission is granted to copy and distribute this software under the terms of \
this licence. The licence gives every user the freedom to change the software. \
There is no warranty. Whoever distributes a copy passes on the same freedom. \
The source code has to be available.\n";

const RECIPE: &str = "\
Beat the eggs with the sugar. Stir in the flour and the butter. Bake the cake \
for forty minutes. Let it cool before you serve it.\n";

// === the binary ===

fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-grpc"));
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a command left.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The one line that says why.
    fn reason(&self) -> &str {
        let line = self.stderr.strip_prefix("claude-grpc: ");
        let line = line.unwrap_or_else(|| panic!("{self:?}"));
        let line = line.trim_end_matches('\n');
        assert!(!line.contains('\n'), "{self:?}");
        line
    }

    /// Success over several documents, of which nothing but the total is told.
    #[track_caller]
    fn summed_up(self, counts: &str) -> Self {
        let total = self.reason();
        assert!(total.starts_with(&format!("{counts}; ")), "{self:?}");
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.stderr, "");
        self
    }

    #[track_caller]
    fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn run(arguments: &[&str]) -> Ended {
    binary(arguments).output().unwrap().into()
}

fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = binary(arguments);
    command.envs(variables.iter().copied());
    command.output().unwrap().into()
}

// === a running service ===

/// A server that has said where it listens.
struct Running {
    child: Child,
    address: String,
    stderr: BufReader<ChildStderr>,
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command, announcement: &str) -> Running {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(address) = line.strip_prefix(announcement) else {
            let mut logs = String::new();
            stderr.read_to_string(&mut logs).unwrap();
            panic!("{line:?} {logs}");
        };
        Running {
            address: address.trim_end().to_owned(),
            child,
            stderr,
            _stdout: stdout,
        }
    }

    /// The service with the simulator inside.
    fn service(variables: &[(&str, &str)]) -> Running {
        let mut command = binary(&["serve", "--simulate", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied());
        Running::start(command, "claude-grpc listening on ")
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = binary(arguments);
        command.env("CLAUDE_GRPC_ADDR", &self.address);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.client(arguments).output().unwrap().into()
    }

    fn run_on(&self, arguments: &[&str], stdin: &[u8]) -> Ended {
        let mut child = self
            .client(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        child.wait_with_output().unwrap().into()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Reads the log up to a line.
    fn logged(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(
                self.stderr.read_line(&mut line).unwrap(),
                0,
                "no {text:?} logged"
            );
        }
        line
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory with files in it.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Files {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in files {
            // Private, as a file with a key must be.
            write_private(&directory.path().join(name), content).unwrap();
        }
        Files(directory)
    }

    fn texts() -> Files {
        let texts: [(&str, &[u8]); 2] = [
            ("licence.txt", LICENCE.as_bytes()),
            ("recipe.txt", RECIPE.as_bytes()),
        ];
        Files::new(&texts)
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        path.to_str().unwrap().to_owned()
    }
}

/// A port where nobody listens.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

// === configuration ===

#[test]
fn without_a_key_serve_names_the_two_ways_to_go_on() {
    let ended = run(&["serve", "--listen", "127.0.0.1:0"]).failed(2);
    assert_eq!(ended.stdout, "");
    assert!(
        ended.reason().contains("set ANTHROPIC_API_KEY"),
        "{ended:?}"
    );
    assert!(ended.reason().contains("--simulate"), "{ended:?}");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let files = Files::new(&[
        ("unknown.toml", b"[server]\nlisten_on = '127.0.0.1:1'\n"),
        ("value.toml", b"[upstream]\nread_timeout = 'soon'\n"),
        ("key.toml", b"[upstream]\napi_key = 'hush'\n"),
        ("broken.toml", b"[upstream]\napi_key = 'hush\n"),
    ]);
    for (file, part) in [
        ("unknown.toml", "server.listen_on: unknown key"),
        (
            "value.toml",
            "upstream.read_timeout: \"soon\" is not a duration",
        ),
        (
            "key.toml",
            "upstream.api_key: an API key must not be in the configuration",
        ),
        ("broken.toml", "invalid TOML in line 2"),
        ("missing.toml", "failed to read the configuration file"),
    ] {
        let path = files.path(file);
        for command in [&["config", "check"][..], &["serve"], &["simulate"]] {
            let ended = run(&[command, &["--config", &path]].concat()).failed(2);
            assert!(ended.reason().contains(part), "{ended:?}");
            assert!(ended.reason().contains(&path), "{ended:?}");
            assert!(!ended.stderr.contains("hush"), "{ended:?}");
        }
    }

    for (name, value, part) in [
        (
            "CLAUDE_GRPC_SERVER__LISEN",
            "hush",
            "CLAUDE_GRPC_SERVER__LISEN: unknown variable",
        ),
        ("CLAUDE_GRPC_SERVER__LISTEN", "1", "server.listen: "),
        (
            "CLAUDE_GRPC_UPSTREAM__RETRY__BUDGET_RATIO",
            "2",
            "upstream.retry.budget_ratio: ",
        ),
        (
            "CLAUDE_GRPC_SIMULATOR__FAULTS__CUT",
            "2",
            "simulator.faults.cut: ",
        ),
        (
            "CLAUDE_GRPC_UPSTREAM__BASE_URL",
            "http://u:hush@h",
            "upstream.base_url: ",
        ),
        (
            "ANTHROPIC_API_KEY",
            "hush hush",
            "API key 1 from ANTHROPIC_API_KEY",
        ),
        (
            "CLAUDE_API_KEY_FILE",
            "/nowhere",
            "/nowhere (CLAUDE_API_KEY_FILE)",
        ),
    ] {
        let ended = run_with(&["config", "check"], &[(name, value)]).failed(2);
        assert!(ended.reason().contains(part), "{ended:?}");
        assert!(
            ended.reason().contains(name) || name.ends_with("BASE_URL"),
            "{ended:?}"
        );
        assert!(!ended.stderr.contains("hush"), "{ended:?}");
    }

    let ended = run(&["config", "check", "--log-level", "inof"]).failed(2);
    assert!(ended.reason().ends_with("(from --log-level)"), "{ended:?}");
}

#[test]
fn empty_variables_count_as_unset() {
    let empty = [
        "CLAUDE_GRPC_CONFIG",
        "CLAUDE_GRPC_SERVER__LISTEN",
        "CLAUDE_GRPC_SECRETS__KEY_FILE",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_API_KEY_FILE",
        "CLAUDE_API_KEY",
        "CLAUDE_API_KEY_FILE",
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]
    .map(|name| (name, ""));
    let checked = run_with(&["config", "check"], &empty).succeeded();
    assert_eq!(checked.stdout, run(&["config", "check"]).stdout);

    let service = Running::service(&empty);
    let mut client = binary(&["generate", "hello", "--addr", &service.address]);
    for name in ["ADDR", "CLIENT_KEY", "CLIENT_KEY_FILE", "CA_FILE"] {
        client.env(format!("CLAUDE_GRPC_{name}"), "");
    }
    Ended::from(client.output().unwrap()).succeeded();

    let mut real = binary(&["serve", "--listen", "127.0.0.1:0"]);
    real.envs([("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")]);
    real.env("ANTHROPIC_API_KEY", "sk-test");
    Running::start(real, "claude-grpc listening on ");

    let name = "CLAUDE_GRPC_ACCESS__CLIENTS_FILE";
    let ended = run_with(&["serve", "--simulate"], &[(name, "")]).failed(2);
    assert!(ended.reason().starts_with(name), "{ended:?}");
}

#[test]
fn a_file_from_another_editor_is_read() {
    let service = Running::service(&[]);
    let files = Files::new(&[
        (
            "labels",
            b"\xef\xbb\xbfrecipe=Cooking and baking\r\nlicence\r\n",
        ),
        ("text", b"\xef\xbb\xbfBake the recipe.\r\n"),
    ]);
    let [labels, text] = ["labels", "text"].map(|name| files.path(name));
    let ended = service.run(&["classify", "--labels-file", &labels, &text]);
    assert!(ended.succeeded().stdout.starts_with("recipe\t"));
}

#[test]
fn config_check_prints_what_holds_without_secrets() {
    let toml = b"[server]\ndrain_timeout = '3s'\n[simulator]\napi_keys = ['hush']\n";
    let files = Files::new(&[("claude-grpc.toml", toml), ("keys", b"hush-1\nhush-2\n")]);
    let config = files.path("claude-grpc.toml");
    let keys = files.path("keys");
    let ended = run_with(
        &[
            "config",
            "check",
            "--config",
            &config,
            "--listen",
            "127.0.0.1:7",
        ],
        &[
            ("ANTHROPIC_API_KEY_FILE", &keys),
            (
                "CLAUDE_GRPC_SERVICE__ALLOWED_MODELS",
                "claude-sonnet-5-5,claude-haiku-5-5",
            ),
        ],
    )
    .succeeded();
    assert!(
        ended.stdout.contains(&format!("# API keys: 2 from {keys}")),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("hush"), "{ended:?}");
    let printed: toml::Table = toml::from_str(&ended.stdout).unwrap();
    assert_eq!(printed["server"]["listen"].as_str(), Some("127.0.0.1:7"));
    assert_eq!(printed["server"]["drain_timeout"].as_str(), Some("3s"));
    let models = printed["service"]["allowed_models"].as_array();
    assert_eq!(models.unwrap().len(), 2);

    // What is printed is a file with the same meaning.
    fs::write(&config, &ended.stdout).unwrap();
    let again = run(&["config", "check", "--config", &config]).succeeded();
    assert_eq!(
        toml::from_str::<toml::Table>(&again.stdout).unwrap(),
        printed
    );
}

#[test]
fn config_check_names_the_proxy_and_a_variable_that_is_none() {
    for (name, value, printed) in [
        ("HTTPS_PROXY", "http://me:hush@proxy.example.com:3128", true),
        ("all_proxy", "socks5://proxy.example.com:3128", true),
        ("HTTP_PROXY", "http://proxy.example.com:3128", false),
    ] {
        let checked = run_with(&["config", "check"], &[(name, value)]).succeeded();
        let line = "# Proxy to the API: proxy.example.com:3128\n";
        assert_eq!(checked.stdout.contains(line), printed, "{checked:?}");
        assert!(!checked.stdout.contains("hush"), "{checked:?}");
    }
    let excluded = [("HTTPS_PROXY", "proxy"), ("NO_PROXY", "anthropic.com")];
    let checked = run_with(&["config", "check"], &excluded).succeeded();
    assert!(!checked.stdout.contains("# Proxy"), "{checked:?}");

    let wrong = [("https_proxy", "ftp://me:hush@proxy.example.com")];
    let ended = run_with(&["config", "check"], &wrong).failed(2);
    assert!(ended.reason().starts_with("https_proxy: must"), "{ended:?}");
    assert!(!ended.stderr.contains("hush"), "{ended:?}");
}

#[test]
fn the_sample_file_has_every_key_with_its_default() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/claude-grpc.toml");
    let defaults = run(&["config", "check"]).succeeded();
    let checked = run(&["config", "check", "--config", sample.to_str().unwrap()]).succeeded();
    assert_eq!(checked.stdout, defaults.stdout);

    let sample: toml::Table = toml::from_str(&fs::read_to_string(sample).unwrap()).unwrap();
    let defaults: toml::Table = toml::from_str(&defaults.stdout).unwrap();
    assert_eq!(sample, defaults);
}

#[test]
fn hosts_are_not_simulated_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("claude-grpc.toml");
    fs::write(&path, "[[upstream.hosts]]\nname = \"claude\"\n").unwrap();
    let arguments = ["serve", "--simulate", "--config", path.to_str().unwrap()];
    let ended = run(&arguments).failed(2);
    assert!(
        ended.reason().contains("upstream.hosts must be empty"),
        "{ended:?}"
    );
}

#[test]
fn each_list_of_tables_can_be_configured() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("claude-grpc.toml");
    let toml = r#"
        [[upstream.hosts]]
        name = "claude"
        [[upstream.hosts]]
        name = "foundry"
        kind = "foundry"
        resource = "r"
        api_key_file = "/run/key"
        models = { "claude-opus-5" = "my-opus" }
        [[upstream.routes]]
        rpcs = ["classify"]
        targets = [{ host = "foundry", model = "claude-haiku-4-5" }, { host = "claude" }]
        [[limits.prices]]
        model = "claude-of-ours"
        rates = { input = 1.0, output = 2.0, cache_write = 1.25, cache_write_1h = 2.0, cache_read = 0.1 }
        [[simulator.tokens]]
        token = "t"
        expires_after = "5s"
    "#;
    fs::write(&path, toml).unwrap();
    let arguments = ["config", "check", "--config", path.to_str().unwrap()];
    let printed = run(&arguments).succeeded().stdout;
    assert!(
        printed.contains("# simulator.tokens: 1, not shown"),
        "{printed}"
    );
    let printed: toml::Table = toml::from_str(&printed).unwrap();
    for (section, list, entries) in [
        ("upstream", "hosts", 2),
        ("upstream", "routes", 1),
        ("limits", "prices", 1),
    ] {
        let list = printed[section][list].as_array();
        assert_eq!(list.map(Vec::len), Some(entries), "{section}");
    }

    for (from, to, reason) in [
        (
            "host = \"claude\" }",
            "host = \"nope\" }",
            "upstream.routes.0.targets.1.host: unknown host \"nope\"",
        ),
        (
            "resource = \"r\"",
            "resourse = \"r\"",
            "upstream.hosts.1.resourse: unknown key",
        ),
        (
            "resource = \"r\"",
            "",
            "upstream.hosts.1.resource: must be set for foundry",
        ),
        (
            "kind = \"foundry\"",
            "kind = \"azure\"",
            "upstream.hosts.1.kind: must be one of",
        ),
    ] {
        fs::write(&path, toml.replace(from, to)).unwrap();
        let ended = run(&arguments).failed(2);
        assert!(ended.stderr.contains(reason), "{reason}: {ended:?}");
    }
}

// === the service ===

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&[
        "serve",
        "--simulate",
        "--log-level",
        "off",
        "--listen",
        &address,
    ]);
    let ended = ended.failed(1);
    assert!(ended.reason().contains(&address), "{ended:?}");
    assert!(ended.reason().contains("--listen"), "{ended:?}");
    assert_eq!(ended.stdout, "");

    let ended = run(&["simulate", "--listen", &address]).failed(1);
    assert!(ended.reason().contains(&address), "{ended:?}");
}

#[test]
fn serve_says_what_it_serves_and_ends_well() {
    let mut service = Running::service(&[("CLAUDE_GRPC_LOG__FORMAT", "json")]);
    let line = service.logged("serving");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["address"], service.address);
    assert_eq!(line["upstream"], "simulator");
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));

    service.signal("HUP");
    service.logged("nothing to reload");
    service.run(&["generate", "hello"]).succeeded();
    service.signal("TERM");
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn a_call_under_way_finishes_during_the_drain() {
    let slow = [("CLAUDE_GRPC_SIMULATOR__TOKENS_PER_SECOND", "20")];
    let service = Running::service(&slow);
    let mut client = service.client(&["generate", "hello"]).spawn().unwrap();
    let mut stdout = client.stdout.take().unwrap();
    // The first byte comes long before the last.
    stdout.read_exact(&mut [0]).unwrap();
    service.signal("INT");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with(".\n"), "{rest:?}");
    assert_eq!(client.wait().unwrap().code(), Some(0));
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn a_second_signal_cuts_what_still_runs() {
    let slower = [("CLAUDE_GRPC_SIMULATOR__TOKENS_PER_SECOND", "2")];
    let mut service = Running::service(&slower);
    let mut client = service.client(&["generate", "hello"]).spawn().unwrap();
    let mut stdout = client.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    service.signal("TERM");
    service.logged("draining");
    service.signal("TERM");
    assert_eq!(service.exit_code(), Some(0));
    let ended = Ended::from(client.wait_with_output().unwrap()).failed(5);
    assert!(ended.reason().starts_with("UNAVAILABLE: "), "{ended:?}");
}

#[test]
fn the_simulator_alone_stands_in_for_the_api() {
    let command = binary(&[
        "simulate",
        "--time-to-first-token",
        "1ms",
        "--fault",
        "cut=0",
    ]);
    let simulator = Running::start(command, "simulator listening on ");
    assert!(simulator.address.starts_with("http://127.0.0.1:"));

    let upstream = ["--upstream-url", &simulator.address];
    let serve = [&["serve", "--listen", "127.0.0.1:0"][..], &upstream].concat();
    let mut command = binary(&serve);
    command.env("CLAUDE_API_KEY", "any");
    let mut service = Running::start(command, "claude-grpc listening on ");
    assert!(service.logged("serving").contains("127.0.0.1"));
    let answer = service.run(&["generate", "hello"]).succeeded();
    assert!(answer.stdout.starts_with("[simulated]"), "{answer:?}");

    simulator.signal("TERM");
    assert_eq!(simulator.exit_code(), Some(0));
    let ended = run(&["simulate", "--fault", "odd=1"]).failed(2);
    assert_eq!(
        ended.reason(),
        "simulator.faults.odd: unknown key (from --fault)"
    );
}

#[test]
fn the_simulator_serves_tls_that_the_service_can_trust() {
    let files = Files::new(&[]);
    let ca_file = files.path("ca.crt");
    let command = binary(&[
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--tls-generated-ca-file",
        &ca_file,
        "--max-concurrent-streams",
        "10",
    ]);
    let simulator = Running::start(command, "simulator listening on ");
    assert!(simulator.address.starts_with("https://127.0.0.1:"));
    // The same CA by the configuration, and by the variable of OpenSSL.
    for variable in ["CLAUDE_GRPC_UPSTREAM__CA_FILE", "SSL_CERT_FILE"] {
        let upstream = ["--upstream-url", &simulator.address];
        let mut command = binary(&[&["serve", "--listen", "127.0.0.1:0"][..], &upstream].concat());
        command.env("CLAUDE_API_KEY", "any").env(variable, &ca_file);
        let service = Running::start(command, "claude-grpc listening on ");
        let answer = service.run(&["generate", "hello"]).succeeded();
        assert!(answer.stdout.starts_with("[simulated]"), "{answer:?}");
    }
    let missing = files.path("missing.crt");
    let ended = run(&[
        "simulate",
        "--tls-cert-file",
        &missing,
        "--tls-key-file",
        &missing,
    ]);
    assert!(ended.failed(2).reason().contains("missing.crt"));
}

#[test]
fn a_proxy_of_the_environment_never_touches_the_simulator() {
    let dead = format!("http://{}", free_port());
    for value in [dead.as_str(), "not an address"] {
        let variables = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"];
        let service = Running::service(&variables.map(|name| (name, value)));
        let answer = service.run(&["generate", "hello"]).succeeded();
        assert!(answer.stdout.starts_with("[simulated]"), "{answer:?}");
    }
}

#[test]
fn a_proxy_that_is_not_an_address_stops_the_start() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let mut command = binary(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("CLAUDE_API_KEY", "any");
        command.env(variable, "ftp://me:hush@proxy.example.com");
        let ended = Ended::from(command.output().unwrap()).failed(2);
        assert!(ended.reason().starts_with(variable), "{ended:?}");
        assert!(!ended.stderr.contains("hush"), "{ended:?}");
    }
}

#[test]
fn why_no_connection_can_be_made_is_one_line_of_the_log() {
    let proxy = format!("http://me:hush@{}", free_port());
    let mut command = binary(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--upstream-url",
        "https://api.example.com",
    ]);
    command.envs([
        ("CLAUDE_API_KEY", "any"),
        ("HTTPS_PROXY", &proxy),
        ("CLAUDE_GRPC_LOG__FORMAT", "json"),
        ("CLAUDE_GRPC_UPSTREAM__RETRY__INITIAL_BACKOFF", "1ms"),
        ("CLAUDE_GRPC_UPSTREAM__RETRY__MAX_BACKOFF", "1ms"),
    ]);
    let mut service = Running::start(command, "claude-grpc listening on ");
    for _ in 0..2 {
        let ended = service.run(&["generate", "hello"]).failed(5);
        assert!(ended.reason().contains("proxy"), "{ended:?}");
    }
    let line = service.logged("failed to connect to the Claude API");
    assert!(
        line.contains("WARN") && line.contains("proxy_unreachable"),
        "{line}"
    );
    service.signal("TERM");
    let mut rest = String::new();
    service.stderr.read_to_string(&mut rest).unwrap();
    assert!(
        !rest.contains("failed to connect to the Claude API\""),
        "{rest}"
    );
    assert!(
        !rest.contains("hush") && !line.contains("hush"),
        "{line}{rest}"
    );
}

// === the verbs ===

#[test]
fn generate_answers_as_text_and_as_json() {
    let service = Running::service(&[]);
    let answer = service.run(&["generate", "What is a lease?"]).succeeded();
    assert!(answer.stdout.contains("What is a lease?"), "{answer:?}");
    assert!(answer.stdout.ends_with('\n'));
    for arguments in [&["generate"][..], &["generate", "-"]] {
        let answer = service.run_on(arguments, b"What is a lease?").succeeded();
        assert!(answer.stdout.contains("What is a lease?"), "{answer:?}");
    }

    let files = Files::texts();
    let answer = service
        .run(&[
            "generate",
            "--json",
            "--file",
            &files.path("recipe.txt"),
            "What is it?",
        ])
        .succeeded()
        .json();
    assert_eq!(answer["stopReason"], "STOP_REASON_END_TURN");
    assert!(answer["content"][0]["text"]["text"].is_string(), "{answer}");
    assert!(
        answer["usage"]["inputTokens"].as_i64() > Some(30),
        "{answer}"
    );

    let schema = br#"{"type":"object","properties":{"n":{"type":"integer"}},
        "required":["n"],"additionalProperties":false}"#;
    let files = Files::new(&[("schema.json", schema)]);
    let answer = service.run(&[
        "generate",
        "--schema",
        &files.path("schema.json"),
        "a number",
    ]);
    assert!(answer.succeeded().json()["n"].is_i64());
}

#[test]
fn summarize_takes_one_text_or_many() {
    let service = Running::service(&[]);
    let files = Files::texts();
    let (licence, recipe) = (files.path("licence.txt"), files.path("recipe.txt"));

    let one = service
        .run(&["summarize", &licence, "--sentences", "1"])
        .succeeded();
    assert_eq!(one.stdout.lines().count(), 1, "{one:?}");
    let piped = service.run_on(&["summarize", "--sentences", "1"], LICENCE.as_bytes());
    assert_eq!(piped.succeeded().stdout, one.stdout);
    let bullets = [
        "summarize",
        "--format",
        "bullets",
        "--sentences",
        "2",
        &recipe,
    ];
    let bullets = service.run(&bullets).succeeded();
    assert!(
        bullets.stdout.lines().all(|line| line.starts_with("- ")),
        "{bullets:?}"
    );

    let missing = files.path("missing.txt");
    let many = ["summarize", "--words", "12", &licence, &missing, &recipe];
    let ended = service.run(&many).failed(2);
    let said: Vec<&str> = ended.stderr.lines().collect();
    let unread = format!("claude-grpc: {missing}: failed to read: ");
    assert!(said[0].starts_with(&unread), "{ended:?}");
    assert!(
        said[1].starts_with("claude-grpc: 2 answered, 1 failed; "),
        "{ended:?}"
    );
    assert_eq!(said.len(), 2, "{ended:?}");
    let headers: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|l| l.starts_with("==>"))
        .collect();
    assert_eq!(
        headers,
        [format!("==> {licence} <=="), format!("==> {recipe} <==")]
    );

    let ended = service
        .run(&["summarize", "--json", &licence, &recipe])
        .summed_up("2 answered");
    let lines: Vec<serde_json::Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    for file in [licence, recipe] {
        let line = lines.iter().find(|line| line["file"] == *file).unwrap();
        assert_eq!(line["version"], 1);
        assert_eq!(line["status"], "ok");
        assert_eq!(line["calls"], 1);
        assert!(line["dollars"].as_f64() > Some(0.0), "{line}");
        assert!(line["response"]["lengthRatio"].as_f64() > Some(0.0));
        assert_eq!(line["digest"].as_str().map(str::len), Some(64));
    }
}

#[test]
fn classify_prints_labels_and_confidence() {
    let service = Running::service(&[]);
    let files = Files::texts();
    let (licence, recipe) = (files.path("licence.txt"), files.path("recipe.txt"));
    let labels = [
        "classify",
        "--label",
        "licence=a software licence with its terms",
        "--label",
        "recipe=a recipe for a cake with eggs and flour",
    ];

    let one = service.run_on(&labels, RECIPE.as_bytes()).succeeded();
    let (label, confidence) = one.stdout.trim_end().split_once('\t').unwrap();
    assert_eq!(label, "recipe");
    assert!(confidence.parse::<f64>().unwrap() > 0.5, "{one:?}");

    let many = service
        .run(&[&labels[..], &[&licence, &recipe]].concat())
        .summed_up("2 answered");
    let rows: Vec<Vec<&str>> = many
        .stdout
        .lines()
        .map(|l| l.split('\t').collect())
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][..2], [&licence, "licence"]);
    assert_eq!(rows[1][..2], [&recipe, "recipe"]);

    let list = Files::new(&[(
        "labels",
        b"licence=a software licence\n\nrecipe=cake, eggs\n",
    )]);
    let json = service.run(&[
        "classify",
        "--labels-file",
        &list.path("labels"),
        "--reason",
        "--json",
        &licence,
    ]);
    let json = json.succeeded().json();
    assert_eq!(json["response"]["labels"], serde_json::json!(["licence"]));
    assert_ne!(json["response"]["reason"], "");

    let none = service.run(&["classify", &licence]).failed(2);
    assert!(none.reason().contains("--label"), "{none:?}");
}

#[test]
fn tokens_and_models_are_listed() {
    let service = Running::service(&[]);
    let count = service.run(&["count-tokens", "hello"]).succeeded();
    assert!(count.stdout.trim_end().parse::<u32>().unwrap() > 0);
    let json = service
        .run(&["count-tokens", "--json", "hello"])
        .succeeded()
        .json();
    assert!(json["inputTokens"].as_i64() > Some(0));

    let models = service.run(&["models"]).succeeded();
    assert!(
        models
            .stdout
            .lines()
            .any(|line| line.starts_with("claude-sonnet-5-5\t"))
    );
    let json = service.run(&["models", "--json"]).succeeded().json();
    let models = json["models"].as_array().unwrap();
    assert_eq!(models[0]["lifecycle"], "MODEL_LIFECYCLE_ACTIVE");
}

// === failures of the verbs ===

#[test]
fn help_documents_the_exit_codes() {
    for arguments in [
        &["--help"][..],
        &["classify", "--help"],
        &["models", "--help"],
    ] {
        let help = run(arguments).succeeded();
        assert!(
            help.stdout.contains("3  the service is unreachable"),
            "{help:?}"
        );
    }
    run(&["generate", "--no-such-flag"]).failed(2);
}

#[test]
fn each_failure_has_its_exit_code_and_its_line() {
    let service = Running::service(&[]);
    let wrong = service.run_on(&["summarize", "--sentences", "0"], LICENCE.as_bytes());
    let wrong = wrong.failed(2);
    assert!(
        wrong
            .reason()
            .starts_with("standard input: INVALID_ARGUMENT: "),
        "{wrong:?}"
    );
    assert!(wrong.reason().contains("sentences"), "{wrong:?}");
    assert!(!wrong.stderr.contains("licence"), "{wrong:?}");

    let bytes = service.run_on(&["summarize"], b"gr\0\xdfe").failed(2);
    assert_eq!(
        bytes.reason(),
        "standard input: failed to read it: it is binary"
    );

    let cut = service
        .run(&["generate", "--max-tokens", "1", "hello"])
        .failed(4);
    assert_eq!(cut.reason(), "the answer was truncated at max_tokens");
    assert!(!cut.stdout.is_empty());

    let unknown = service
        .run(&["generate", "--model", "claude-none", "hello"])
        .failed(2);
    assert!(unknown.reason().starts_with("NOT_FOUND: "), "{unknown:?}");
    assert!(unknown.reason().contains("(request id req_"), "{unknown:?}");

    // Failures of different kinds have no common code but that of failure.
    let files = Files::texts();
    let (missing, licence) = (files.path("missing.txt"), files.path("licence.txt"));
    let cut = [
        "summarize",
        "--json",
        "--max-tokens",
        "1",
        &licence,
        &missing,
    ];
    let ended = service.run(&cut).failed(1);
    assert_eq!(ended.stderr.lines().count(), 3, "{ended:?}");
    assert_eq!(ended.stdout.lines().count(), 2, "{ended:?}");

    let ended = run(&["generate", "--timeout", "never", "hello"]).failed(2);
    assert!(ended.stderr.contains("--timeout"), "{ended:?}");
}

#[test]
fn a_service_that_is_not_there_cannot_be_reached() {
    let address = free_port();
    for verb in [&["generate", "hello"][..], &["models"]] {
        let ended = run(&[verb, &["--addr", &address]].concat()).failed(3);
        assert!(ended.reason().contains(&address), "{ended:?}");
    }
}

#[test]
fn a_limit_is_told_apart_from_a_failure() {
    let service = Running::service(&[
        ("CLAUDE_GRPC_SIMULATOR__FAULTS__RATE_LIMITED", "1"),
        ("CLAUDE_GRPC_UPSTREAM__RETRY__MAX_RETRIES", "0"),
    ]);
    let ended = service.run(&["generate", "hello"]).failed(5);
    assert!(
        ended.reason().starts_with("RESOURCE_EXHAUSTED: "),
        "{ended:?}"
    );
    assert!(ended.reason().contains("retry in 1s"), "{ended:?}");
}

#[test]
fn a_deadline_ends_a_call_that_hangs() {
    let service = Running::service(&[("CLAUDE_GRPC_SIMULATOR__FAULTS__HANG", "1")]);
    let ended = service
        .run(&["generate", "--timeout", "50ms", "hello"])
        .failed(1);
    assert!(
        ended.reason().starts_with("DEADLINE_EXCEEDED: "),
        "{ended:?}"
    );
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let service = Running::service(&[("CLAUDE_GRPC_SIMULATOR__TOKENS_PER_SECOND", "200")]);
    let mut client = service.client(&["generate", "hello"]).spawn().unwrap();
    let mut stdout = client.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    drop(stdout);
    Ended::from(client.wait_with_output().unwrap()).succeeded();
}

// === access ===

#[test]
fn a_start_that_would_be_open_to_others_is_refused() {
    let key = [("ANTHROPIC_API_KEY", "sk-test")];
    let open = ["serve", "--listen", "0.0.0.0:0"];
    let ended = run_with(&open, &key).failed(2);
    assert!(ended.reason().contains("access.clients_file"), "{ended:?}");

    let files = Files::new(&[("clients.toml", b"")]);
    let clients = files.path("clients.toml");
    let guarded = [key[0], ("CLAUDE_GRPC_ACCESS__CLIENTS_FILE", &clients)];
    let ended = run_with(&open, &guarded).failed(2);
    assert!(ended.reason().contains("server.tls.cert_file"), "{ended:?}");
    assert!(
        ended.reason().contains("server.allow_plaintext"),
        "{ended:?}"
    );
}

/// The admin port has no access control that could make up for it.
#[test]
fn an_admin_port_that_would_be_open_to_others_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0"] {
        let admin = [("CLAUDE_GRPC_ADMIN__LISTEN", address)];
        for arguments in [
            &["config", "check"][..],
            &["serve", "--simulate", "--listen", "127.0.0.1:0"],
        ] {
            let ended = run_with(arguments, &admin).failed(2);
            for word in [
                "admin.listen",
                "admin.allow_remote",
                "CLAUDE_GRPC_ADMIN__LISTEN",
            ] {
                assert!(ended.stderr.contains(word), "{ended:?}");
            }
        }
        let asked_for = [admin[0], ("CLAUDE_GRPC_ADMIN__ALLOW_REMOTE", "true")];
        run_with(&["config", "check"], &asked_for).succeeded();
        let off = [admin[0], ("CLAUDE_GRPC_ADMIN__ENABLED", "false")];
        run_with(&["config", "check"], &off).succeeded();
    }
}

#[test]
fn a_client_is_added_rotated_and_revoked_while_the_service_runs() {
    let files = Files::new(&[]);
    let path = files.path("clients.toml");
    let clients = |arguments: &[&str]| {
        let all = [&["clients"], arguments, &["--file", &path]].concat();
        run(&all)
    };
    for (arguments, problem) in [
        (
            ["add", "anonymous", "--weight", "1"],
            "must not be anonymous",
        ),
        (
            ["add", "b", "--expires", "2020-01-01T00:00:00Z"],
            "must be in the future",
        ),
    ] {
        let refused = clients(&arguments);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(refused.stderr.contains(problem), "{refused:?}");
    }
    let added = clients(&["add", "team-a", "--calls-in-flight", "5"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let key = added.stdout.trim();
    assert!(key.starts_with("cgk_"), "{added:?}");
    assert!(!added.stderr.contains(key));

    let mut service = Running::service(&[("CLAUDE_GRPC_ACCESS__CLIENTS_FILE", &path)]);
    let answers = |service: &Running, key: &str| {
        let mut client = service.client(&["generate", "hello"]);
        client.env("CLAUDE_GRPC_CLIENT_KEY", key);
        Ended::from(client.output().unwrap())
    };
    answers(&service, key).succeeded();
    let refused = service.run(&["generate", "hello"]).failed(1);
    assert!(
        refused.reason().starts_with("UNAUTHENTICATED: "),
        "{refused:?}"
    );
    assert!(refused.reason().contains("--key-file"), "{refused:?}");

    let rotated = clients(&["rotate", "team-a"]);
    service.signal("HUP");
    service.logged("reloaded");
    answers(&service, rotated.stdout.trim()).succeeded();
    answers(&service, key).succeeded();
    let listed = clients(&["list"]).succeeded();
    assert_eq!(listed.stdout.matches("  key ").count(), 2, "{listed:?}");
    assert!(!listed.stdout.contains(key));

    clients(&["revoke", "team-a"]).succeeded();
    service.signal("HUP");
    // Which reload a line in the log tells of cannot be told: the change of
    // the file is seen as well.
    let begun = Instant::now();
    while answers(&service, key).code == Some(0) {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    service.signal("TERM");
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn secrets_are_encrypted_decrypted_and_rotated() {
    let files = Files::new(&[(".env", b"ANTHROPIC_API_KEY=sk-hush\n")]);
    let [key, plain, encrypted] = ["key", ".env", ".env.enc"].map(|name| files.path(name));
    let secrets = |arguments: &[&str]| run(&[&["secrets"], arguments].concat());
    secrets(&["keygen", &key]).succeeded();
    let again = secrets(&["keygen", &key]).failed(2);
    assert!(again.reason().contains("failed to write"), "{again:?}");
    secrets(&["encrypt", &plain, &encrypted, "--key-file", &key]).succeeded();
    secrets(&["keygen", "--add", &key]).succeeded();
    secrets(&["rotate", &encrypted, "--key-file", &key]).succeeded();
    let decrypted = secrets(&["decrypt", &encrypted, "--key-file", &key]).succeeded();
    assert_eq!(decrypted.stdout, "ANTHROPIC_API_KEY=sk-hush\n");

    let variables = [
        ("CLAUDE_GRPC_SECRETS__ENCRYPTED_ENV_FILE", &*encrypted),
        ("CLAUDE_GRPC_SECRETS__KEY_FILE", &key),
    ];
    let checked = run_with(&["config", "check"], &variables).succeeded();
    assert!(
        checked.stdout.contains("# API keys: 1 from "),
        "{checked:?}"
    );
    assert!(!checked.stdout.contains("hush"));
}

/// The new key comes into force in the running service, and while both are
/// good no call fails.
#[test]
fn the_api_key_is_rotated_without_a_restart() {
    let simulator = |keys: &str| {
        let mut command = binary(&["simulate", "--listen", "127.0.0.1:0"]);
        command.env("CLAUDE_GRPC_SIMULATOR__API_KEYS", keys);
        Running::start(command, "simulator listening on ")
    };
    let service = |simulator: &Running, key_file: &str| {
        let mut command = binary(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(["--upstream-url", &simulator.address]);
        command.env("ANTHROPIC_API_KEY_FILE", key_file);
        Running::start(command, "claude-grpc listening on ")
    };
    let files = Files::new(&[("one", b"old-key\n"), ("two", b"old-key\n")]);
    let [one, two] = ["one", "two"].map(|name| files.path(name));
    let (both, new) = (simulator("old-key,new-key"), simulator("new-key"));
    let (steady, moved) = (service(&both, &one), service(&new, &two));

    moved.run(&["generate", "hello"]).failed(1);
    fs::write(&one, "new-key\n").unwrap();
    fs::write(&two, "new-key\n").unwrap();
    let begun = Instant::now();
    while moved.run(&["generate", "hello"]).code != Some(0) {
        steady.run(&["generate", "hello"]).succeeded();
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    steady.run(&["generate", "hello"]).succeeded();
}
