//! The calls that are measured.

use claude_grpc::proto::v1::{
    self, claude_service_client::ClaudeServiceClient, generate_stream_response::Event,
};
use std::{net::SocketAddr, time::Duration};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};

pub type Client = ClaudeServiceClient<Channel>;

const DEADLINE: Duration = Duration::from_secs(10);

/// A way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Generate with `max_tokens`.
    Generate,
    /// Generate without `max_tokens`, as most callers ask.
    GenerateDefault,
    GenerateStream,
    Classify,
}

impl Way {
    pub const ALL: [Way; 4] = [
        Way::Generate,
        Way::GenerateDefault,
        Way::GenerateStream,
        Way::Classify,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Way::Generate => "generate",
            Way::GenerateDefault => "generate_default",
            Way::GenerateStream => "generate_stream",
            Way::Classify => "classify",
        }
    }

    /// Makes one call. `on_delta` runs when a stream may go on: at the
    /// beginning of a block and at each delta.
    ///
    /// # Errors
    /// The status, when the call fails.
    pub async fn call(
        self,
        client: &mut Client,
        on_delta: impl Fn() + Send,
    ) -> Result<Answer, Status> {
        match self {
            Way::Generate => {
                let answer = client.generate(request(generate(Some(64)))).await?;
                Ok(Answer::Generated(Box::new(answer.into_inner())))
            }
            Way::GenerateDefault => {
                let answer = client.generate(request(generate(None))).await?;
                Ok(Answer::Generated(Box::new(answer.into_inner())))
            }
            Way::GenerateStream => {
                let ask = v1::GenerateStreamRequest {
                    request: Some(generate(Some(64))),
                };
                let mut stream = client.generate_stream(request(ask)).await?.into_inner();
                let mut events = Vec::new();
                while let Some(event) = stream.message().await? {
                    if let Some(Event::BlockStarted(_) | Event::TextDelta(_)) = event.event {
                        on_delta();
                    }
                    events.push(event);
                }
                Ok(Answer::Streamed(events))
            }
            Way::Classify => {
                let answer = client.classify(request(classify())).await?;
                Ok(Answer::Classified(Box::new(answer.into_inner())))
            }
        }
    }
}

/// What a caller gets.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Generated(Box<v1::GenerateResponse>),
    Streamed(Vec<v1::GenerateStreamResponse>),
    Classified(Box<v1::ClassifyResponse>),
}

/// One connection.
pub async fn connect(address: SocketAddr) -> Client {
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    ClaudeServiceClient::new(channel)
}

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

fn generate(max_tokens: Option<i32>) -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![v1::Message {
            role: v1::Role::User.into(),
            text: "hello".to_owned(),
            content: Vec::new(),
            ..v1::Message::default()
        }],
        max_tokens,
        ..v1::GenerateRequest::default()
    }
}

fn classify() -> v1::ClassifyRequest {
    let labels = ["billing", "bug", "praise"].map(|name| v1::Label {
        name: name.to_owned(),
        ..v1::Label::default()
    });
    v1::ClassifyRequest {
        text: "The page stays white after I log in.".to_owned(),
        labels: labels.to_vec(),
        ..v1::ClassifyRequest::default()
    }
}
