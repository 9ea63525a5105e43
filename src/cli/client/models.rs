//! `claude-grpc models`.

use super::{connection::ConnectionFlags, json::Json};
use crate::{
    cli::{exit::Failure, output},
    proto::v1::{ListModelsRequest, ListModelsResponse, Model},
};

/// The largest page that the service gives.
const PAGE: i32 = 1000;

/// Flags of `models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints the models as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// Prints all models: id, name, largest input and largest output in tokens,
/// with tabs between them.
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
    // 0 is what the API did not say.
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
