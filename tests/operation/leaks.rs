//! One run in which everything happens that makes the service say something,
//! and a search for every secret and every text in all that it said.

use crate::{
    api::{Api, ECHO},
    calls::{Caller, Seen, Texts},
    canary::{Canaries, word},
    certificates::replace,
    otlp_recorder::Sink,
    process::Process,
    secrets::{CALLER, Secrets},
};
use claude_grpc::{
    access::signature::{Signer, SigningLayer},
    proto::v1::{GenerateStreamRequest, claude_service_client::ClaudeServiceClient},
    simulator::Behaviour,
};
use std::{collections::BTreeSet, fs, time::Duration};
use tonic::{Code, metadata::MetadataMap, transport::Channel};

/// Where the collector gets what.
const SIGNALS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];

/// What the admin port tells.
const ADMIN: [&str; 4] = ["/metrics", "/status", "/readyz", "/livez"];

/// A run: the service, what it talks to, and all that it said.
struct Run {
    secrets: Secrets,
    /// Prompts and answers.
    texts: Canaries,
    client: String,
    api: Api,
    sink: Sink,
    process: Process,
    /// Whatever is for the operator, by its place.
    emitted: Vec<(String, Vec<u8>)>,
    /// What callers saw.
    seen: Vec<Seen>,
}

impl Run {
    async fn start(api_keys: &str, toml: &str) -> Run {
        let client = word();
        let secrets = Secrets::new(&client);
        let api = Api::start(&[&secrets.api_keys[0]]).await;
        let sink = Sink::start().await;
        let toml = format!("{}{toml}", secrets.toml(&api.url, api_keys));
        let token = format!("x-collector-token={}", secrets.collector_token);
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", &token),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ];
        let process = Process::start(secrets.directory.path(), &variables, &toml).await;
        Run {
            secrets,
            texts: Canaries::default(),
            client,
            api,
            sink,
            process,
            emitted: Vec::new(),
            seen: Vec::new(),
        }
    }

    async fn channel(&self) -> Channel {
        let address = self.process.address.to_string();
        self.secrets.ca.connect(&address, None).await.unwrap()
    }

    /// A caller that shows these headers, and brings along what others have
    /// put there.
    async fn caller(&self, headers: &[(&'static str, &str)]) -> Caller {
        let mut metadata = MetadataMap::new();
        for (name, value) in headers {
            metadata.insert(*name, value.parse().unwrap());
        }
        for name in ["cookie", "x-internal-token", "proxy-authorization"] {
            let value = self.secrets.canaries.make(name);
            metadata.insert(name, value.parse().unwrap());
        }
        let baggage = format!("user={}", self.secrets.canaries.make("baggage"));
        metadata.insert("baggage", baggage.parse().unwrap());
        Caller {
            grpc: ClaudeServiceClient::new(self.channel().await),
            metadata,
        }
    }

    async fn known(&self) -> Caller {
        self.caller(&[("x-api-key", &self.secrets.client_key)])
            .await
    }

    /// Good calls, bad calls, and everything that the API can do.
    async fn call(&mut self) {
        let caller = self.known().await;
        let good = caller.call_all("good", &self.texts, "").await;
        for seen in &good {
            assert_eq!(seen.code, Code::Ok, "{}: {}", seen.call, seen.text());
        }
        self.seen.extend(good);
        self.seen
            .extend(caller.call_badly("bad", &self.texts).await);
        let echoed = caller.call_all("echoed", &self.texts, ECHO).await;
        let is_told = |seen: &Seen| seen.text().contains(ECHO);
        assert!(echoed.iter().any(is_told), "the API quotes its caller");
        self.seen.extend(echoed);

        let answer = self.texts.make("Text: answer");
        let behaviours = [
            ("Text", Behaviour::Text(answer)),
            ("Overloaded", Behaviour::Overloaded),
            ("Cut", Behaviour::Cut { after_events: 3 }),
            ("ErrorEvent", Behaviour::ErrorEvent { after_events: 3 }),
            ("Garbage", Behaviour::Garbage),
            ("HtmlError", Behaviour::HtmlError),
            ("Drop", Behaviour::Drop),
            ("Refusal", Behaviour::Refusal),
            ("UnknownBlock", Behaviour::UnknownBlock),
            ("Thinking", Behaviour::Thinking),
            ("MaxTokens", Behaviour::MaxTokens),
        ];
        for (name, behaviour) in behaviours {
            self.api.simulator.always(Some(behaviour));
            self.seen
                .extend(caller.call_all(name, &self.texts, "").await);
        }
        self.api.simulator.always(None);
    }

    /// Credentials that are wrong in all ways, and right ones of other kinds.
    async fn show_credentials(&mut self) {
        let canaries = &self.secrets.canaries;
        let wrong = canaries.make("wrong key");
        let mac: String = (0..2)
            .map(|_| format!("{:064x}", rand::random::<u128>()))
            .collect();
        let mac = canaries.keep("wrong signature", &mac[32..96]);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let (id, secret) = self.secrets.signing_key.clone();
        let table = [
            ("x-api-key", format!("cgk_0123456789abcdef_{wrong}")),
            ("x-api-key", wrong.clone()),
            ("authorization", format!("Bearer {wrong}")),
            ("authorization", format!("Basic {wrong}")),
            ("x-signature", wrong.clone()),
            ("x-signature", format!("t={now},n={wrong},k={id},v1={mac}")),
            ("x-signature", format!("t=1,n={wrong},k={wrong},v1={mac}")),
        ];
        for (number, (header, value)) in table.into_iter().enumerate() {
            let caller = self.caller(&[(header, &value)]).await;
            let name = format!("stranger-{number}");
            for seen in caller.call_all(&name, &self.texts, "").await {
                assert_eq!(seen.code, Code::Unauthenticated, "{value}");
                self.seen.push(seen);
            }
        }
        let signer = Signer::new(id, secret.into());
        let channel = tower::ServiceBuilder::new()
            .layer(SigningLayer::new(signer))
            .service(self.channel().await);
        let signed = self.texts("signed Generate");
        let answer = ClaudeServiceClient::new(channel)
            .generate(signed.generate())
            .await;
        assert!(answer.is_ok(), "{answer:?}");
        let seen = Seen::unary(signed.call, answer);
        self.seen.push(seen);

        let certificate = self.secrets.ca.caller(CALLER);
        let address = self.process.address.to_string();
        let channel = self.secrets.ca.connect(&address, Some(&certificate)).await;
        let caller = Caller {
            grpc: ClaudeServiceClient::new(channel.unwrap()),
            metadata: MetadataMap::new(),
        };
        let seen = caller.call_all("certified", &self.texts, "").await;
        self.seen.extend(seen);
    }

    fn texts(&self, call: &str) -> Texts<'_> {
        Texts {
            call: call.to_owned(),
            canaries: &self.texts,
            wish: "",
        }
    }

    /// A broken version of each file, and the good one again.
    async fn break_files(&mut self, api_keys: &str, api_keys_broken: &[u8]) {
        let secret = self.secrets.canaries.make("secret in a broken file");
        let broken = [
            ("api keys", api_keys, api_keys_broken.to_vec()),
            (
                "clients",
                "clients.toml",
                format!("[[clients]]\nname = 'a'\nsigning_keys = 'a\"{secret}'\n").into(),
            ),
            ("clients", "fernet", format!("{secret}\n").into()),
            (
                "certificates",
                "tls.key",
                format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----BEGIN {secret}\n").into(),
            ),
        ];
        for (what, file, content) in broken {
            let path = self.secrets.path(file);
            let good = fs::read(&path).unwrap();
            let process = &self.process;
            process
                .reloaded(what, "failed", || replace(&path, &content))
                .await;
            // What is said of it by those that find it broken.
            for arguments in [&["config", "check"][..], &["clients", "list"], &["serve"]] {
                let output = self.process.run(arguments).await;
                let place = format!("{} with a broken {file}", arguments.join(" "));
                self.emit(&place, output.stdout);
                self.emit(&place, output.stderr);
            }
            let seen = self.known().await.call_all(file, &self.texts, "").await;
            self.seen.extend(seen);
            let process = &self.process;
            process
                .reloaded(what, "succeeded", || replace(&path, &good))
                .await;
        }
        let process = &self.process;
        for what in ["api keys", "clients", "certificates"] {
            process
                .reloaded(what, "succeeded", || process.signal("HUP"))
                .await;
        }
    }

    /// What commands and the admin port show at this moment.
    async fn look(&mut self, when: &str) {
        for path in ADMIN {
            let body = self.process.get(path).await;
            self.emit(&format!("{path} {when}"), body);
        }
        for arguments in [["config", "check"], ["clients", "list"]] {
            let output = self.process.run(&arguments).await;
            assert!(output.status.success(), "{output:?}");
            self.emit(&arguments.join(" "), output.stdout);
            self.emit(&arguments.join(" "), output.stderr);
        }
        let command_line = self.process.command_line();
        self.emit("the command line", command_line);
        // What is told in files is not passed on in variables. The collector's
        // token can be told in a variable only.
        let mut found = self.secrets.canaries.found_in(&self.process.environment());
        found.retain(|name| !name.starts_with("token for the collector"));
        assert!(found.is_empty(), "in the environment: {found:?}");
    }

    fn emit(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.emitted.push((place.to_owned(), bytes.into()));
    }

    /// A stream under way, a call that comes too late, and the end.
    async fn drain(&mut self) {
        let caller = self.known().await;
        let delay = Duration::from_millis(100);
        self.api
            .simulator
            .always(Some(Behaviour::SlowBody { delay }));
        let running = self.texts("running Generate");
        let request = GenerateStreamRequest {
            request: Some(running.generate()),
        };
        let mut request = tonic::Request::new(request);
        *request.metadata_mut() = caller.metadata.clone();
        let opened = caller.grpc.clone().generate_stream(request).await;
        self.process.signal("TERM");
        while self.process.get("/readyz").await.contains("ok") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The first call of a connection from before would still be served.
        let late = self.known().await;
        let seen = late.call_all("late", &self.texts, "").await;
        assert_eq!(seen[0].code, Code::Unavailable, "{}", seen[0].text());
        // The connection may end between two of them.
        assert!(seen.iter().all(|it| it.code != Code::Ok));
        let running = Seen::stream(running.call, opened).await;
        assert_eq!(running.code, Code::Ok, "{}", running.text());
        self.seen.extend(seen);
        self.seen.push(running);
        self.process.ended().await;
        for stream in ["stdout", "stderr"] {
            let said = fs::read(self.secrets.directory.path().join(stream)).unwrap();
            self.emit(stream, said);
        }
        for path in SIGNALS {
            let sent = self.sink.bytes(path);
            assert!(!sent.is_empty(), "nothing was sent to {path}");
            self.emit(path, sent);
        }
    }

    /// Where something was found, in what is for the operator.
    fn found(&self, canaries: &Canaries) -> BTreeSet<(String, String)> {
        let (mut found, search) = (BTreeSet::new(), canaries.search());
        for (place, bytes) in &self.emitted {
            let names = search.found_in(bytes);
            found.extend(names.into_iter().map(|name| (place.clone(), name)));
        }
        found
    }

    /// No caller saw a secret, or the text of another call.
    fn assert_callers_saw_their_own(&self) {
        let (secrets, texts) = (self.secrets.canaries.search(), self.texts.search());
        for seen in &self.seen {
            let secrets = secrets.found_in(&seen.bytes);
            assert!(secrets.is_empty(), "{}: {secrets:?}", seen.call);
            let (group, _) = seen.call.split_once(' ').unwrap();
            let (call, group) = (format!("{}:", seen.call), format!("{group}:"));
            let mut others = texts.found_in(&seen.bytes);
            others.retain(|name| !name.starts_with(&call) && !name.starts_with(&group));
            assert!(others.is_empty(), "{}: {others:?}", seen.call);
        }
    }

    /// The name of the client is no secret: it is in the logs, the spans and
    /// the records. Where it is found, a secret would be.
    fn assert_the_search_finds(&self) {
        let names = Canaries::default();
        names.keep("client", &self.client);
        let places: BTreeSet<String> = self.found(&names).into_iter().map(|it| it.0).collect();
        for place in ["stderr", "/v1/traces", "/v1/logs", "clients list"] {
            assert!(places.contains(place), "not found in {place}: {places:?}");
        }
    }
}

#[tokio::test]
async fn no_secret_and_no_text_is_in_anything_that_is_emitted() {
    let toml = "[log]\nlevel = 'trace'\nformat = 'json'\n";
    let mut run = Run::start("keys", toml).await;
    run.look("at first").await;
    run.call().await;
    run.show_credentials().await;
    let broken = format!("{}\u{7}\n", run.secrets.canaries.make("broken API key"));
    run.break_files("keys", broken.as_bytes()).await;
    // The API quotes each key that it refuses.
    run.api.take(&[]);
    let refused = run.known().await.call_all("refused", &run.texts, "").await;
    assert!(refused.iter().all(|it| it.code == Code::Internal));
    run.seen.extend(refused);
    run.api.take(&[&run.secrets.api_keys[0]]);
    let process = &run.process;
    process
        .reloaded("api keys", "succeeded", || process.signal("HUP"))
        .await;
    run.look("at last").await;
    run.drain().await;

    assert!(run.api.refused() > 0);
    run.assert_the_search_finds();
    run.assert_callers_saw_their_own();
    assert_eq!(run.found(&run.secrets.canaries), BTreeSet::new());
    assert_eq!(run.found(&run.texts), BTreeSet::new());
}

/// Where an operator asks for them, prompts and answers are in the spans, and
/// still nowhere else; secrets never are.
#[tokio::test]
async fn texts_that_were_asked_for_are_in_spans_and_nowhere_else() {
    let toml = "[log]\nlevel = 'debug'\nformat = 'pretty'\n[telemetry]\ncapture_content = true\n";
    let mut run = Run::start("env", toml).await;
    run.call().await;
    run.break_files("env", b"gAAAAA-no-token").await;
    run.look("at last").await;
    run.drain().await;

    run.assert_the_search_finds();
    run.assert_callers_saw_their_own();
    assert_eq!(run.found(&run.secrets.canaries), BTreeSet::new());
    let found = run.found(&run.texts);
    let places: BTreeSet<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, BTreeSet::from(["/v1/traces"]));
    for text in [
        "good Generate: prompt",
        "good Generate: system",
        "Text: answer",
    ] {
        let is_there = found.iter().any(|(_, name)| name.starts_with(text));
        assert!(is_there, "{text} is not in the spans");
    }
}
