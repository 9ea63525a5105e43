//! Each tenant has files, containers and threads of its own, on the same API key, and
//! keeps them over a kill.

use crate::process::Process;
use bytes::Bytes;
use claude_grpc::{
    access::{self, NewClient},
    proto::v1::{
        self, batch_item::Request as Item, batch_service_client::BatchServiceClient,
        claude_service_client::ClaudeServiceClient, file_service_client::FileServiceClient,
    },
    secrets::Keyring,
    simulator::{Handle, Simulator, SimulatorConfig},
};
use secrecy::ExposeSecret;
use std::net::SocketAddr;
use tempfile::TempDir;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;

type Keyed = InterceptedService<Channel, TenantKey>;

#[derive(Clone)]
struct TenantKey(MetadataValue<Ascii>);

impl Interceptor for TenantKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("x-api-key", self.0.clone());
        Ok(request)
    }
}

/// A tenant's clients of all services.
struct Caller {
    files: FileServiceClient<Keyed>,
    claude: ClaudeServiceClient<Keyed>,
    batches: BatchServiceClient<Keyed>,
}

struct World {
    simulator: Handle,
    toml: String,
    folder: TempDir,
    keys: [String; 2],
}

impl World {
    async fn start() -> World {
        let config = SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..SimulatorConfig::default()
        };
        let simulator = Simulator::bind(config).await.unwrap();
        let (api, handle) = (simulator.base_url().unwrap(), simulator.handle());
        tokio::spawn(simulator.run());
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display().to_string();
        Keyring::create(&folder.path().join("state.key")).unwrap();
        let clients = folder.path().join("clients.toml");
        let keys = ["one", "two"].map(|name| {
            let client = NewClient {
                name: name.to_owned(),
                ..NewClient::default()
            };
            let added = access::add(&clients, None, client).unwrap();
            added.secret.expose_secret().to_owned()
        });
        let toml = format!(
            "[upstream]
            base_url = '{api}'
            [service.passthrough]
            betas = ['*']
            fields = ['*']
            [access]
            clients_file = '{at}/clients.toml'
            [batches]
            state_file = '{at}/batches'
            key_file = '{at}/state.key'
            [files]
            state_file = '{at}/files'
            key_file = '{at}/state.key'\n"
        );
        World {
            simulator: handle,
            toml,
            folder,
            keys,
        }
    }

    async fn process(&self) -> Process {
        let variables = [("ANTHROPIC_API_KEY", "sk-of-files")];
        Process::start(self.folder.path(), &variables, &self.toml).await
    }

    fn callers(&self, process: &Process) -> [Caller; 2] {
        self.keys.clone().map(|key| {
            let endpoint = format!("http://{}", process.address);
            let channel = endpoint.parse::<tonic::transport::Endpoint>().unwrap();
            let channel = channel.connect_lazy();
            let key = TenantKey(key.parse().unwrap());
            Caller {
                files: FileServiceClient::with_interceptor(channel.clone(), key.clone()),
                claude: ClaudeServiceClient::with_interceptor(channel.clone(), key.clone()),
                batches: BatchServiceClient::with_interceptor(channel, key),
            }
        })
    }
}

fn ask(text: &str) -> v1::GenerateRequest {
    let message = v1::Message {
        role: v1::Role::User.into(),
        text: text.to_owned(),
        ..v1::Message::default()
    };
    v1::GenerateRequest {
        messages: vec![message],
        ..v1::GenerateRequest::default()
    }
}

/// The same file, named in each way that there is.
fn naming(id: &str) -> Vec<v1::GenerateRequest> {
    use v1::content_block::Block;
    let block = |block| v1::ContentBlock {
        block: Some(block),
        ..v1::ContentBlock::default()
    };
    let with = |content: Vec<v1::ContentBlock>| {
        let mut request = ask("");
        request.messages[0].content = content;
        request
    };
    let document = v1::DocumentBlock {
        source: Some(v1::document_block::Source::FileId(id.to_owned())),
        ..v1::DocumentBlock::default()
    };
    let image = v1::ImageBlock {
        source: Some(v1::image_block::Source::FileId(id.to_owned())),
        ..v1::ImageBlock::default()
    };
    let mut raw = ask("Hello");
    raw.extra_json =
        format!(r#"{{"context_hint": {{"source": {{"type": "file", "f\u0069le_id": "{id}"}}}}}}"#);
    vec![
        with(vec![block(Block::Document(document))]),
        with(vec![block(Block::Image(image))]),
        raw,
    ]
}

fn assert_unknown(status: &Status, reason: &str) {
    let info = status.get_details_error_info();
    assert_eq!(
        info.map(|it| it.reason).as_deref(),
        Some(reason),
        "{status:?}"
    );
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_another_tenant_is_unknown_however_it_is_named() {
    let world = World::start().await;
    let process = world.process().await;
    let [mut owner, _] = world.callers(&process);
    let upload = v1::UploadFileRequest {
        filename: "a.txt".to_owned(),
        content: Bytes::from_static(b"The harvest was good."),
        ..v1::UploadFileRequest::default()
    };
    let file = owner.files.upload_file(upload).await.unwrap().into_inner();
    let id = file.file.unwrap().id;
    drop(process);

    // The owner keeps it over a kill.
    let process = world.process().await;
    let [mut one, mut two] = world.callers(&process);
    one.claude.generate(naming(&id).remove(0)).await.unwrap();

    let before = world.simulator.counts().requests;
    for request in naming(&id) {
        let status = two.claude.generate(request.clone()).await.unwrap_err();
        assert_unknown(&status, "FILE_UNKNOWN");
        let streamed = v1::GenerateStreamRequest {
            request: Some(request.clone()),
        };
        let status = two.claude.generate_stream(streamed).await.unwrap_err();
        assert_unknown(&status, "FILE_UNKNOWN");
        let counted = v1::CountTokensRequest {
            request: Some(request.clone()),
        };
        let status = two.claude.count_tokens(counted).await.unwrap_err();
        assert_unknown(&status, "FILE_UNKNOWN");
        let batch = v1::SubmitBatchRequest {
            items: vec![v1::BatchItem {
                id: "a".to_owned(),
                request: Some(Item::Generate(request)),
            }],
            request_id: String::new(),
        };
        let status = two.batches.submit_batch(batch).await.unwrap_err();
        assert_unknown(&status, "FILE_UNKNOWN");
    }
    let get = v1::GetFileRequest { id: id.clone() };
    let delete = v1::DeleteFileRequest { id: id.clone() };
    let download = v1::DownloadFileRequest { id: id.clone() };
    let refused = [
        two.files.get_file(get).await.unwrap_err(),
        two.files.delete_file(delete).await.unwrap_err(),
        two.files.download_file(download).await.unwrap_err(),
    ];
    for status in refused {
        assert_unknown(&status, "FILE_UNKNOWN");
    }
    let listed = two.files.list_files(v1::ListFilesRequest::default()).await;
    assert_eq!(listed.unwrap().into_inner().files, []);
    let batches = two.batches.list_batches(v1::ListBatchesRequest::default());
    assert_eq!(batches.await.unwrap().into_inner().batches, []);
    assert_eq!(
        world.simulator.counts().requests,
        before,
        "the API was asked"
    );
    let delete = v1::DeleteFileRequest { id };
    one.files.delete_file(delete).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_of_another_tenant_is_unknown() {
    let world = World::start().await;
    let process = world.process().await;
    let [mut one, mut two] = world.callers(&process);
    let code = v1::Tool {
        defined: Some(v1::tool::Defined::CodeExecution(
            v1::CodeExecutionTool::default(),
        )),
        ..v1::Tool::default()
    };
    let run = |container: &str| {
        let mut request = ask("Execute code: 6 * 7.");
        request.tools = vec![code.clone()];
        request.container = (!container.is_empty()).then(|| v1::ContainerParams {
            id: container.to_owned(),
            ..v1::ContainerParams::default()
        });
        request
    };
    let first = one.claude.generate(run("")).await.unwrap().into_inner();
    let whole = first.container.unwrap().id;
    let streamed = v1::GenerateStreamRequest {
        request: Some(run("")),
    };
    let mut events = one
        .claude
        .generate_stream(streamed)
        .await
        .unwrap()
        .into_inner();
    let mut text = String::new();
    while let Some(event) = events.message().await.unwrap() {
        text.push_str(&format!("{event:?}"));
    }
    let (_, rest) = text.split_once("container_sim_").unwrap();
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let streamed = format!("container_sim_{number}");
    assert_ne!(whole, streamed);

    for id in [whole, streamed] {
        let before = world.simulator.counts().requests;
        let status = two.claude.generate(run(&id)).await.unwrap_err();
        assert_unknown(&status, "CONTAINER_UNKNOWN");
        assert_eq!(
            world.simulator.counts().requests,
            before,
            "the API was asked"
        );
        let again = one.claude.generate(run(&id)).await.unwrap().into_inner();
        assert_eq!(again.container.unwrap().id, id);
    }
}
