//! `claude-grpc man`: the man pages, one for each command.

use super::{
    exit::{Exit, Failure},
    output,
};
use clap_mangen::{Man, generate_to};
use std::{fs, path::PathBuf};

/// Flags of `man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory to write the pages of all commands to; it is created. Without it,
    /// the page of claude-grpc is printed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes the pages of `command`.
///
/// # Errors
/// When they cannot be written.
pub fn run(args: &Args, command: clap::Command) -> Result<(), Failure> {
    let failed = |subject: String, error| {
        let reason = format!("{subject}: failed to write: {error}");
        Failure::new(Exit::Failed, reason)
    };
    // `help` is in each page, and has none of its own.
    let command = command.disable_help_subcommand(true);
    if let Some(directory) = &args.out {
        let written = fs::create_dir_all(directory).and_then(|()| generate_to(command, directory));
        return written.map_err(|error| failed(directory.display().to_string(), error));
    }
    let mut page = Vec::new();
    let rendered = Man::new(command).render(&mut page);
    rendered.map_err(|error| failed("the man page".to_owned(), error))?;
    output::bytes(&page)
}
