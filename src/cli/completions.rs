//! `claude-grpc completions`: the completions of a shell.

use super::{exit::Failure, output};
use clap_complete::{Shell, generate};

/// Stands between the names of commands in the script for bash.
const BASH_SEPARATOR: &str = "__subcmd__";

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
    generate(args.shell, &mut command, name.as_str(), &mut script);
    if args.shell == Shell::Bash {
        script = with_one_name(&script, &name).into_bytes();
    }
    output::bytes(&script)
}

/// clap_complete writes the hyphen in the name of the binary in two ways: as `__` where
/// the script chooses a command, and as its separator where it lists the flags of that
/// command, which are then never found (clap-rs/clap#6421).
fn with_one_name(script: &[u8], name: &str) -> String {
    let wrong = name.replace('-', BASH_SEPARATOR) + BASH_SEPARATOR;
    let right = name.replace('-', "__") + BASH_SEPARATOR;
    String::from_utf8_lossy(script).replace(&wrong, &right)
}
