//! `claude-grpc generate`: answers a prompt.

use super::{
    connection::ConnectionFlags,
    effort::EffortName,
    failure::{complete, cut_off, failed},
    json::Json,
    prompt::PromptArgs,
    schema,
};
use crate::{
    cli::{exit::Failure, output},
    proto::v1::{
        GenerateRequest, GenerateStreamRequest, GenerateStreamResponse,
        generate_stream_response::Event,
    },
};
use std::path::PathBuf;
use tonic::Streaming;

/// Flags of `generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    prompt: PromptArgs,
    /// Maximum number of output tokens, thinking included.
    #[arg(long, value_name = "NUMBER")]
    max_tokens: Option<i32>,
    /// Effort of the model; defaults to that of the model.
    #[arg(long, value_name = "EFFORT")]
    effort: Option<EffortName>,
    /// File with a JSON Schema that the answer must match; not standard input.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Print the complete answer as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// Prints the answer to a prompt, as it is generated unless `--json` is given.
///
/// # Errors
/// When the call fails, or the answer is refused or truncated.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut request = args.prompt.request().await?;
    request.max_tokens = args.max_tokens.or(request.max_tokens);
    if let Some(effort) = args.effort {
        request.set_effort(effort.into());
    }
    if let Some(path) = args.schema {
        request.output_schema_json = schema::read(path).await?;
    }
    if args.json {
        as_json(&args.connection, request).await
    } else {
        as_text(&args.connection, request).await
    }
}

async fn as_json(connection: &ConnectionFlags, request: GenerateRequest) -> Result<(), Failure> {
    let connection = connection.connect().await?;
    let answer = connection
        .unary(
            "claude.v1.ClaudeService/Generate",
            request,
            async |mut client, request| client.generate(request).await,
        )
        .await?;
    output::line(&Json::new().line("GenerateResponse", &answer, None))?;
    complete(answer.stop_reason(), answer.refusal.as_ref())
}

async fn as_text(connection: &ConnectionFlags, request: GenerateRequest) -> Result<(), Failure> {
    let connection = connection.connect().await?;
    let request = GenerateStreamRequest {
        request: Some(request),
    };
    connection
        .call(
            "claude.v1.ClaudeService/GenerateStream",
            request,
            async |mut client, request| {
                let response = client.generate_stream(request).await;
                let events = response.map_err(|status| failed(&status))?;
                print(events.into_inner()).await
            },
        )
        .await
}

/// Prints text as it arrives.
async fn print(mut events: Streaming<GenerateStreamResponse>) -> Result<(), Failure> {
    let mut line = output::OutputLines::default();
    loop {
        let event = events.message().await.map_err(|status| failed(&status));
        match event.and_then(|event| event.ok_or_else(cut_off)) {
            Ok(event) => match event.event {
                Some(Event::TextDelta(delta)) => line.write(&delta.text)?,
                Some(Event::Finished(finished)) => {
                    line.end()?;
                    return complete(finished.stop_reason(), finished.refusal.as_ref());
                }
                _ => {}
            },
            Err(failure) => {
                line.end()?;
                return Err(failure);
            }
        }
    }
}
