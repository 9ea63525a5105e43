//! Replicas of the service, processes of their own, that share what belongs to whom in a
//! Redis, in front of one simulator.

use crate::{harness::WithKey, process::Process, redis_server::RedisServer};
use bytes::Bytes;
use claude_grpc::{
    access::{self, NewClient},
    proto::v1::{
        self, batch_service_client::BatchServiceClient, claude_service_client::ClaudeServiceClient,
        file_service_client::FileServiceClient,
    },
    secrets::Keyring,
    simulator::{Handle, Simulator, SimulatorConfig},
};
use secrecy::ExposeSecret;
use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tonic::{
    Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

type Keyed = InterceptedService<Channel, WithKey>;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The names of the tenants.
pub const TENANTS: [&str; 2] = ["tenant-one", "tenant-two"];

/// The name of each file that is uploaded.
pub const FILENAME: &str = "harvest.txt";

/// What all replicas have in common.
pub struct FileWorld {
    pub simulator: Handle,
    pub api: String,
    store: String,
    folder: TempDir,
    keys: [String; 2],
}

/// A replica, with clients of each tenant.
pub struct Replica {
    pub one: Caller,
    pub two: Caller,
    _process: Process,
}

/// A tenant's clients of a replica.
#[derive(Clone)]
pub struct Caller {
    pub files: FileServiceClient<Keyed>,
    pub claude: ClaudeServiceClient<Keyed>,
    pub batches: BatchServiceClient<Keyed>,
    is_patient: bool,
}

impl FileWorld {
    /// With the Redis at a URL.
    pub async fn start(store: &str) -> FileWorld {
        let config = SimulatorConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            record: true,
            ..SimulatorConfig::default()
        };
        let simulator = Simulator::bind(config).await.unwrap();
        let (api, handle) = (simulator.base_url().unwrap(), simulator.handle());
        tokio::spawn(simulator.run());
        let folder = tempfile::tempdir().unwrap();
        Keyring::create(&folder.path().join("files.key")).unwrap();
        let clients = folder.path().join("clients.toml");
        let keys = TENANTS.map(|name| {
            let client = NewClient {
                name: name.to_owned(),
                ..NewClient::default()
            };
            let added = access::add(&clients, None, client).unwrap();
            added.secret.expose_secret().to_owned()
        });
        FileWorld {
            simulator: handle,
            api,
            store: store.to_owned(),
            folder,
            keys,
        }
    }

    /// The key file of all replicas.
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("files.key")
    }

    pub fn replica(&self, variables: &[(&str, &str)]) -> Replica {
        self.replica_of(&self.api, variables)
    }

    /// A replica in front of another API.
    pub fn replica_of(&self, api: &str, variables: &[(&str, &str)]) -> Replica {
        let clients = self.folder.path().join("clients.toml");
        let access = (
            "CLAUDE_GRPC_ACCESS__CLIENTS_FILE",
            clients.to_str().unwrap(),
        );
        let variables = variables.iter().copied().chain([access]);
        self.serve(api, &variables.collect::<Vec<_>>())
    }

    /// A replica without access control.
    pub fn open_replica(&self) -> Replica {
        self.serve(&self.api, &[])
    }

    fn serve(&self, api: &str, variables: &[(&str, &str)]) -> Replica {
        let key = self.key_file();
        let mut all = vec![
            ("CLAUDE_GRPC_FILES__SHARED", "true"),
            ("CLAUDE_GRPC_FILES__KEY_FILE", key.to_str().unwrap()),
            ("CLAUDE_GRPC_LIMITS__STORE", &self.store),
        ];
        all.extend(variables);
        let process = Process::serve(api, &all, None);
        let channel = format!("http://{}", process.address);
        let channel = channel.parse::<Endpoint>().unwrap().connect_lazy();
        let caller = |key: &str| {
            let key = WithKey::new(key);
            Caller {
                files: FileServiceClient::with_interceptor(channel.clone(), key.clone()),
                claude: ClaudeServiceClient::with_interceptor(channel.clone(), key.clone()),
                batches: BatchServiceClient::with_interceptor(channel.clone(), key),
                is_patient: true,
            }
        };
        Replica {
            one: caller(&self.keys[0]),
            two: caller(&self.keys[1]),
            _process: process,
        }
    }

    /// Requests that the API got meanwhile.
    pub fn requests(&self) -> u64 {
        self.simulator.counts().requests
    }
}

impl Caller {
    /// The same, who does not call again while Redis does not serve.
    pub fn impatient(&self) -> Caller {
        Caller {
            is_patient: false,
            ..self.clone()
        }
    }

    /// Calls again while Redis does not serve: on a busy machine it may answer too late.
    async fn call<T, C: Future<Output = Result<T, Status>>>(
        &self,
        call: impl Fn(Caller) -> C,
    ) -> Result<T, Status> {
        let began = Instant::now();
        loop {
            match call(self.clone()).await {
                Err(status)
                    if self.is_patient
                        && reason(&status) == "FILE_STATE_UNAVAILABLE"
                        && began.elapsed() < PATIENCE =>
                {
                    sleep(Duration::from_millis(100)).await;
                }
                done => return done,
            }
        }
    }

    pub async fn upload(&mut self, bytes: usize) -> Result<v1::File, Status> {
        let upload = v1::UploadFileRequest {
            filename: FILENAME.to_owned(),
            content: Bytes::from(vec![b'x'; bytes]),
            ..v1::UploadFileRequest::default()
        };
        let uploaded = self.call(|mut it| {
            let upload = upload.clone();
            async move { it.files.upload_file(upload).await }
        });
        Ok(uploaded.await?.into_inner().file.unwrap())
    }

    pub async fn get(&mut self, id: &str) -> Result<v1::File, Status> {
        let request = v1::GetFileRequest { id: id.to_owned() };
        let file = self.call(|mut it| {
            let request = request.clone();
            async move { it.files.get_file(request).await }
        });
        Ok(file.await?.into_inner().file.unwrap())
    }

    pub async fn delete(&mut self, id: &str) -> Result<(), Status> {
        let request = v1::DeleteFileRequest { id: id.to_owned() };
        let deleted = self.call(|mut it| {
            let request = request.clone();
            async move { it.files.delete_file(request).await }
        });
        deleted.await.map(drop)
    }

    /// The ids of all files.
    pub async fn list(&mut self) -> Vec<String> {
        let request = v1::ListFilesRequest::default();
        let page = self.call(|mut it| {
            let request = request.clone();
            async move { it.files.list_files(request).await }
        });
        let files = page.await.unwrap().into_inner().files;
        files.into_iter().map(|file| file.id).collect()
    }

    /// Asks about a file.
    pub async fn name(&mut self, file: &str) -> Result<(), Status> {
        self.generate(naming(&[file])).await.map(drop)
    }

    /// Runs code in a container; in a new one without an id. Returns its id.
    pub async fn run(&mut self, container: &str) -> Result<String, Status> {
        let answer = self.generate(running(container)).await?;
        Ok(answer.container.unwrap().id)
    }

    /// Submits a batch; returns its id.
    pub async fn submit(&mut self, batch: &v1::SubmitBatchRequest) -> Result<String, Status> {
        let submitted = self.call(|mut it| {
            let batch = batch.clone();
            async move { it.batches.submit_batch(batch).await }
        });
        Ok(submitted.await?.into_inner().batch.unwrap().id)
    }

    pub async fn generate(
        &mut self,
        request: v1::GenerateRequest,
    ) -> Result<v1::GenerateResponse, Status> {
        let answer = self.call(|mut it| {
            let request = request.clone();
            async move { it.claude.generate(request).await }
        });
        Ok(answer.await?.into_inner())
    }
}

/// A request about files.
pub fn naming(files: &[&str]) -> v1::GenerateRequest {
    let blocks = files.iter().map(|file| {
        let document = v1::DocumentBlock {
            source: Some(v1::document_block::Source::FileId((*file).to_owned())),
            ..v1::DocumentBlock::default()
        };
        v1::ContentBlock {
            block: Some(v1::content_block::Block::Document(document)),
            ..v1::ContentBlock::default()
        }
    });
    let mut request = crate::harness::prompt_of("");
    request.messages[0].content = blocks.collect();
    request
}

/// A request that runs code.
pub fn running(container: &str) -> v1::GenerateRequest {
    let mut request = crate::harness::prompt_of("Execute code: 6 * 7.");
    request.tools = vec![v1::Tool {
        defined: Some(v1::tool::Defined::CodeExecution(
            v1::CodeExecutionTool::default(),
        )),
        ..v1::Tool::default()
    }];
    request.container = (!container.is_empty()).then(|| v1::ContainerParams {
        id: container.to_owned(),
        ..v1::ContainerParams::default()
    });
    request
}

#[track_caller]
pub fn assert_reason(status: &Status, expected: &str) {
    assert_eq!(reason(status), expected, "{status:?}");
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|it| it.reason).unwrap_or_default()
}

/// All that a Redis has of files, as text.
pub fn dump(redis: &RedisServer) -> String {
    let keys = redis.ask(&["keys", "claude-grpc:files:*"]);
    let mut text = keys.clone();
    for key in keys.lines() {
        // The wrong one of a type says so.
        for command in [
            vec!["hgetall", key],
            vec!["zrange", key, "0", "-1"],
            vec!["get", key],
        ] {
            text.push_str(&redis.ask(&command));
        }
    }
    text
}

/// Waits until something holds.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let polled = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, polled).await.unwrap();
}
