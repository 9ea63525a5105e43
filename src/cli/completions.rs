//! `claude-grpc completions`: the completions of a shell.

use super::{exit::Failure, output};
use clap_complete::{Shell, generate};

/// Flags of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell that loads them.
    shell: Shell,
}

/// Prints the completions of `command`.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args, mut command: clap::Command) -> Result<(), Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(args.shell, &mut command, name, &mut script);
    output::bytes(&script)
}
