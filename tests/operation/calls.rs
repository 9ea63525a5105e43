//! Calls of every RPC whose every text is a canary, and what came back.

use crate::canary::Canaries;
use claude_grpc::proto::v1::{
    self, ContentBlock, Role, claude_service_client::ClaudeServiceClient, content_block::Block,
};
use std::fmt::Debug;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap, transport::Channel};

/// A caller, and what it sends along with each call.
#[derive(Clone)]
pub struct Caller {
    pub grpc: ClaudeServiceClient<Channel>,
    pub metadata: MetadataMap,
}

/// What one call brought back: an answer or an error, with all metadata.
pub struct Seen {
    /// What the names of its texts begin with.
    pub call: String,
    pub code: tonic::Code,
    pub bytes: Vec<u8>,
}

/// Makes the texts of one call.
pub struct Texts<'a> {
    pub call: String,
    pub canaries: &'a Canaries,
    /// Put into the first text: asks the API for something.
    pub wish: &'static str,
}

impl Texts<'_> {
    fn word(&self, what: &str) -> String {
        self.canaries.make(&format!("{}: {what}", self.call))
    }

    fn prompt(&self) -> String {
        format!(
            "{} {} {}",
            self.word("prompt"),
            self.wish,
            self.word("end of prompt")
        )
    }

    /// With every field that takes a text.
    pub fn generate(&self) -> v1::GenerateRequest {
        let text = |text: String| v1::TextBlock {
            text,
            ..v1::TextBlock::default()
        };
        let block = |block| ContentBlock {
            block: Some(block),
            ..ContentBlock::default()
        };
        let says = |role: Role, content| v1::Message {
            role: role.into(),
            content,
            ..v1::Message::default()
        };
        let object = |what: &str| format!("{{\"{}\": \"{}\"}}", self.word("key"), self.word(what));
        let tool_use = Block::ToolUse(v1::ToolUseBlock {
            id: "toolu_1".to_owned(),
            name: "look_up".to_owned(),
            input_json: object("tool input"),
            ..v1::ToolUseBlock::default()
        });
        let tool_result = Block::ToolResult(v1::ToolResultBlock {
            tool_use_id: "toolu_1".to_owned(),
            content: vec![block(Block::Text(text(self.word("tool result"))))],
            ..v1::ToolResultBlock::default()
        });
        v1::GenerateRequest {
            messages: vec![
                says(Role::User, vec![block(Block::Text(text(self.prompt())))]),
                says(Role::Assistant, vec![block(tool_use)]),
                says(
                    Role::User,
                    vec![
                        block(tool_result),
                        block(Block::Text(text(self.word("last prompt")))),
                    ],
                ),
            ],
            system: vec![text(self.word("system"))],
            tools: vec![v1::Tool {
                name: "look_up".to_owned(),
                description: self.word("tool description"),
                input_schema_json: format!(
                    "{{\"type\": \"object\", \"properties\": {{\"{}\": {{\"type\": \"string\"}}}}}}",
                    self.word("tool schema")
                ),
                ..v1::Tool::default()
            }],
            tool_choice: Some(v1::ToolChoice {
                mode: v1::ToolChoiceMode::None.into(),
                ..v1::ToolChoice::default()
            }),
            stop_sequences: vec![self.word("stop sequence")],
            user_id: self.word("user id"),
            ..v1::GenerateRequest::default()
        }
    }

    fn summarize(&self) -> v1::SummarizeRequest {
        v1::SummarizeRequest {
            text: format!("{}. {}.", self.prompt(), self.word("second sentence")),
            focus: self.word("focus"),
            title: self.word("title"),
            ..v1::SummarizeRequest::default()
        }
    }

    fn classify(&self) -> v1::ClassifyRequest {
        let label = |which: &str| v1::Label {
            name: self.word(&format!("label {which}")),
            description: self.word(&format!("description {which}")),
            examples: vec![self.word(&format!("example {which}"))],
        };
        v1::ClassifyRequest {
            text: self.prompt(),
            labels: vec![label("one"), label("two")],
            task: self.word("task"),
            include_reason: true,
            ..v1::ClassifyRequest::default()
        }
    }
}

impl Caller {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(std::time::Duration::from_secs(30));
        request
    }

    /// Every RPC once; with texts that the API is to get.
    pub async fn call_all(&self, name: &str, canaries: &Canaries, wish: &'static str) -> Vec<Seen> {
        let texts = |rpc: &str| Texts {
            call: format!("{name} {rpc}"),
            canaries,
            wish,
        };
        let mut grpc = self.grpc.clone();
        let mut seen = Vec::new();

        let it = texts("Generate");
        let answer = grpc.generate(self.request(it.generate())).await;
        seen.push(Seen::unary(it.call, answer));

        let it = texts("GenerateStream");
        let request = v1::GenerateStreamRequest {
            request: Some(it.generate()),
        };
        let answer = grpc.generate_stream(self.request(request)).await;
        seen.push(Seen::stream(it.call, answer).await);

        let it = texts("Summarize");
        let answer = grpc.summarize(self.request(it.summarize())).await;
        seen.push(Seen::unary(it.call, answer));

        let it = texts("SummarizeStream");
        let request = v1::SummarizeStreamRequest {
            request: Some(it.summarize()),
        };
        let answer = grpc.summarize_stream(self.request(request)).await;
        seen.push(Seen::stream(it.call, answer).await);

        let it = texts("Classify");
        let answer = grpc.classify(self.request(it.classify())).await;
        seen.push(Seen::unary(it.call, answer));

        let it = texts("CountTokens");
        let request = v1::CountTokensRequest {
            request: Some(it.generate()),
        };
        let answer = grpc.count_tokens(self.request(request)).await;
        seen.push(Seen::unary(it.call, answer));

        let answer = grpc.list_models(self.request(v1::ListModelsRequest::default()));
        seen.push(Seen::unary(format!("{name} ListModels"), answer.await));
        seen
    }

    /// Requests that the service refuses itself.
    pub async fn call_badly(&self, name: &str, canaries: &Canaries) -> Vec<Seen> {
        let texts = |rpc: &str| Texts {
            call: format!("{name} {rpc}"),
            canaries,
            wish: "",
        };
        let mut grpc = self.grpc.clone();
        let mut seen = Vec::new();

        let it = texts("Generate");
        let mut request = it.generate();
        request.messages[0].role = Role::Unspecified.into();
        request.tools[0].input_schema_json = format!("{{{}", it.word("broken schema"));
        request.output_schema_json = it.word("broken output schema");
        request.model = it.word("model");
        let answer = grpc.generate(self.request(request)).await;
        seen.push(Seen::unary(it.call, answer));

        let it = texts("Summarize");
        let mut request = it.summarize();
        request.length = Some(v1::summarize_request::Length::Sentences(-1));
        let answer = grpc.summarize(self.request(request)).await;
        seen.push(Seen::unary(it.call, answer));

        let it = texts("Classify");
        let mut request = it.classify();
        request.labels[1] = request.labels[0].clone();
        let answer = grpc.classify(self.request(request)).await;
        seen.push(Seen::unary(it.call, answer));

        let it = texts("ListModels");
        let request = v1::ListModelsRequest {
            page_token: it.word("page token"),
            page_size: -1,
            ..v1::ListModelsRequest::default()
        };
        let answer = grpc.list_models(self.request(request)).await;
        seen.push(Seen::unary(it.call, answer));
        seen
    }
}

impl Seen {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn unary<T: Debug>(call: String, answer: Result<Response<T>, Status>) -> Seen {
        match answer {
            Ok(response) => Seen {
                call,
                code: tonic::Code::Ok,
                bytes: format!("{response:?}").into_bytes(),
            },
            Err(status) => Seen::status(call, &status, Vec::new()),
        }
    }

    /// Reads a stream to its end.
    pub async fn stream<T: Debug>(
        call: String,
        answer: Result<Response<Streaming<T>>, Status>,
    ) -> Seen {
        let mut events = match answer {
            Ok(response) => response.into_inner(),
            Err(status) => return Seen::status(call, &status, Vec::new()),
        };
        let mut bytes = Vec::new();
        loop {
            match events.message().await {
                Ok(Some(event)) => bytes.extend(format!("{event:?}").into_bytes()),
                Ok(None) => break,
                Err(status) => return Seen::status(call, &status, bytes),
            }
        }
        bytes.extend(format!("{:?}", events.trailers().await).into_bytes());
        Seen {
            call,
            code: tonic::Code::Ok,
            bytes,
        }
    }

    fn status(call: String, status: &Status, mut bytes: Vec<u8>) -> Seen {
        bytes.extend(format!("{status:?}").into_bytes());
        bytes.extend_from_slice(status.details());
        Seen {
            call,
            code: status.code(),
            bytes,
        }
    }
}
