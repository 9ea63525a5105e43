//! What one large prompt costs in resident memory, from socket to socket, and
//! that the memory is returned.
//!
//! The service is a process of its own; the caller and the API are in this one.

use crate::process::Process;
use claude_grpc::{
    proto::v1::{
        self, ContentBlock, Role, claude_service_client::ClaudeServiceClient, content_block::Block,
        document_block::Source,
    },
    simulator::{Behaviour, Handle, Simulator, SimulatorConfig},
};
use futures::TryStreamExt;
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, transport::Channel};

const MB: usize = 1_000_000;

/// Maximum cost of a prompt, in bytes a byte.
const MAX_COST: f64 = 3.0;

/// Maximum memory after the connections are closed, as a multiple of that
/// before.
const MAX_KEPT: f64 = 1.3;

/// Until when it must be back.
const RETURNED_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Prompt {
    Text,
    /// Its size is that of its Base64.
    Pdf,
    /// A text to summarize, or to classify.
    Summarize,
    Classify,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    prompt: Prompt,
    bytes: usize,
    http2: bool,
    streamed: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for http2 in [false, true] {
        for prompt in [Prompt::Text, Prompt::Pdf] {
            for bytes in [MB, 3 * MB, 30 * MB] {
                for streamed in [false, true] {
                    cases.push(Case {
                        prompt,
                        bytes,
                        http2,
                        streamed,
                    });
                }
            }
        }
    }
    for prompt in [Prompt::Summarize, Prompt::Classify] {
        cases.push(Case {
            prompt,
            bytes: 3 * MB,
            http2: false,
            streamed: false,
        });
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_prompt_costs_at_most_three_times_its_size() {
    let mut dear = Vec::new();
    println!(
        "prompt     size   API       call    bytes a byte  retried  resident before, after (MiB)"
    );
    for case in cases() {
        let cost = Measured::of(case).await;
        println!("{cost}");
        if cost.dear() {
            dear.push(cost.to_string());
        }
    }
    assert!(dear.is_empty(), "{dear:#?}");
}

/// What a case costs.
struct Measured {
    case: Case,
    once: f64,
    retried: f64,
    before: usize,
    after: usize,
}

impl Measured {
    /// Each case has a process of its own.
    async fn of(case: Case) -> Measured {
        let directory = tempfile::tempdir().unwrap();
        let (api, url) = simulator(case, directory.path()).await;
        let mut toml = format!("[upstream]\nbase_url = '{url}'\n");
        if case.http2 {
            let ca = directory.path().join("ca.pem");
            toml.push_str(&format!("ca_file = '{}'\n", ca.display()));
        }
        let variables = [("ANTHROPIC_API_KEY", "sk-test")];
        let process = Process::start(directory.path(), &variables, &toml).await;
        let channel = Channel::from_shared(format!("http://{}", process.address)).unwrap();
        let grpc = ClaudeServiceClient::new(channel.connect().await.unwrap());
        for _ in 0..10 {
            case.call(grpc.clone(), 1_000).await.unwrap();
        }
        let before = process.memory("VmRSS");
        let mut costs = [0.0; 2];
        for (cost, faults) in costs.iter_mut().zip([0, 1]) {
            let attempts = api.counts().requests + faults + 1;
            api.next((0..faults).map(|_| Behaviour::Overloaded));
            let resident = process.memory("VmRSS");
            process.forget_peak();
            // The simulator rejects what no model reads; it was sent as a whole.
            if let Err(status) = case.call(grpc.clone(), case.bytes).await {
                assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
            }
            assert!(api.counts().requests >= attempts, "it was not retried");
            let peak = process.memory("VmHWM");
            *cost = peak.saturating_sub(resident) as f64 / case.bytes as f64;
        }
        drop(grpc);
        let is_back = async {
            while process.memory("VmRSS") as f64 > MAX_KEPT * before as f64 {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let _ = timeout(RETURNED_WITHIN, is_back).await;
        let after = process.memory("VmRSS");
        let [once, retried] = costs;
        Measured {
            case,
            once,
            retried,
            before,
            after,
        }
    }

    fn dear(&self) -> bool {
        self.once.max(self.retried) > MAX_COST || self.after as f64 > MAX_KEPT * self.before as f64
    }
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let case = self.case;
        let prompt = format!("{:?}", case.prompt);
        let api = if case.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let call = if case.streamed { "stream" } else { "unary" };
        let [before, after] = [self.before, self.after].map(|it| it as f64 / 1024.0 / 1024.0);
        write!(
            f,
            "{prompt:9} {:2} MB   {api:8}  {call:6}  {:12.2}  {:7.2}  {before:.1} {after:.1}",
            case.bytes / MB,
            self.once,
            self.retried,
        )
    }
}

async fn simulator(case: Case, directory: &Path) -> (Handle, String) {
    let mut config = SimulatorConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        time_to_first_token: Duration::ZERO,
        ..SimulatorConfig::default()
    };
    if case.http2 {
        config.tls.generated_ca_file = Some(directory.join("ca.pem"));
    }
    let simulator = Simulator::bind(config).await.unwrap();
    let port = simulator.local_addr().unwrap().port();
    let scheme = if case.http2 { "https" } else { "http" };
    let handle = simulator.handle();
    tokio::spawn(simulator.run());
    (handle, format!("{scheme}://localhost:{port}"))
}

impl Case {
    async fn call(
        self,
        mut grpc: ClaudeServiceClient<Channel>,
        bytes: usize,
    ) -> Result<(), Status> {
        // Lines, as texts have them: a line break is two bytes of JSON.
        let line = "Resident memory is what the kernel has given to a process so far.\n";
        let text = || line.repeat(bytes.div_ceil(line.len()));
        match self.prompt {
            Prompt::Summarize => {
                let request = v1::SummarizeRequest {
                    text: text(),
                    ..v1::SummarizeRequest::default()
                };
                grpc.summarize(request).await.map(drop)
            }
            Prompt::Classify => {
                let label = |name: &str| v1::Label {
                    name: name.to_owned(),
                    ..v1::Label::default()
                };
                let request = v1::ClassifyRequest {
                    text: text(),
                    labels: vec![label("long"), label("short")],
                    ..v1::ClassifyRequest::default()
                };
                grpc.classify(request).await.map(drop)
            }
            Prompt::Text | Prompt::Pdf => {
                let mut message = v1::Message {
                    role: Role::User.into(),
                    ..v1::Message::default()
                };
                match self.prompt {
                    Prompt::Pdf => message.content.push(pdf(bytes)),
                    _ => message.text = text(),
                }
                let request = v1::GenerateRequest {
                    messages: vec![message],
                    max_tokens: Some(100),
                    ..v1::GenerateRequest::default()
                };
                if !self.streamed {
                    return grpc.generate(request).await.map(drop);
                }
                let request = v1::GenerateStreamRequest {
                    request: Some(request),
                };
                let events = grpc.generate_stream(request).await?.into_inner();
                events.try_for_each(|_| std::future::ready(Ok(()))).await
            }
        }
    }
}

/// A document of this size in Base64.
fn pdf(bytes: usize) -> ContentBlock {
    let mut file = b"%PDF-1.7\n".to_vec();
    file.resize(bytes / 4 * 3, 0x93);
    ContentBlock {
        block: Some(Block::Document(v1::DocumentBlock {
            source: Some(Source::Pdf(file.into())),
            ..v1::DocumentBlock::default()
        })),
        ..ContentBlock::default()
    }
}
