//! `claude-grpc models`: lists the models of the service.

use super::{connection::ConnectionFlags, json::Json};
use crate::{
    cli::{exit::Failure, output},
    proto::v1::{ListModelsRequest, ListModelsResponse, Model},
};

/// The maximum page size of the service.
const PAGE: i32 = 1000;

/// Flags of `models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the models as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// Prints one tab-separated line per model: its id, its name, and its maximum
/// input and output in tokens.
///
/// # Errors
/// When the call fails.
pub async fn run(args: Args) -> Result<(), Failure> {
    let connection = args.connection.connect().await?;
    let mut all = ListModelsResponse::default();
    loop {
        let request = ListModelsRequest {
            page_size: PAGE,
            page_token: all.next_page_token,
            ..ListModelsRequest::default()
        };
        let page = connection
            .unary(
                "claude.v1.ClaudeService/ListModels",
                request,
                async |mut client, request| client.list_models(request).await,
            )
            .await?;
        all.models.extend(page.models);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    if args.json {
        return output::line(&Json::new().line("ListModelsResponse", &all, None));
    }
    all.models
        .iter()
        .try_for_each(|model| output::line(&row(model)))
}

fn row(model: &Model) -> String {
    // 0 stands for a limit that the API does not report.
    let figure = |tokens: i64| match tokens {
        0 => "-".to_owned(),
        tokens => tokens.to_string(),
    };
    let max_input = figure(model.max_input_tokens);
    let max_output = figure(model.max_tokens);
    format!(
        "{}\t{}\t{max_input}\t{max_output}",
        model.id, model.display_name
    )
}
