//! `claude-grpc count-tokens`: counts the input tokens of a prompt.

use super::{connection::ConnectionFlags, json::Json, prompt::PromptArgs};
use crate::{
    cli::{exit::Failure, output},
    proto::v1::CountTokensRequest,
};

/// Flags of `count-tokens`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    prompt: PromptArgs,
    /// Print the count as a JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// Prints the number of input tokens of a prompt.
///
/// # Errors
/// When an input cannot be read, or the call fails.
pub async fn run(args: Args) -> Result<(), Failure> {
    let request = CountTokensRequest {
        request: Some(args.prompt.request().await?),
    };
    let connection = args.connection.connect().await?;
    let count = connection
        .unary(
            "claude.v1.ClaudeService/CountTokens",
            request,
            async |mut client, request| client.count_tokens(request).await,
        )
        .await?;
    if args.json {
        return output::line(&Json::new().line("CountTokensResponse", &count, None));
    }
    output::line(&count.input_tokens.to_string())
}
