//! `claude-grpc templates`: lists the templates of prompts.

use super::template::TemplatesFolderFlag;
use crate::{
    cli::{
        exit::{Exit, Failure},
        output,
    },
    config::Environment,
};

/// Flags of `templates`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    folder: TemplatesFolderFlag,
}

/// Prints one tab-separated line per template: its name and its description.
///
/// # Errors
/// When the folder cannot be read. A file that is not a template is reported, and
/// the others are listed.
pub async fn run(args: Args) -> Result<(), Failure> {
    let folder = args.folder.folder(&Environment::of_process())?;
    let mut is_complete = true;
    for name in folder.names()? {
        match folder.read(&name).await {
            Ok(template) => output::line(&format!("{name}\t{}", template.description))?,
            Err(failure) => {
                failure.print();
                is_complete = false;
            }
        }
    }
    if is_complete {
        return Ok(());
    }
    Err(Failure::Reported(Exit::Usage))
}
