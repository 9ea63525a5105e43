//! The binary: parses the command line and delegates.

use clap::Parser;
use claude_grpc::cli::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
