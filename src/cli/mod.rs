//! The command line: the service, its simulator, and a client of it.

mod client;
mod clients;
mod config_check;
mod exit;
mod observability;
mod output;
mod secrets;
mod security;
mod serve;
mod settings;
mod signals;
mod simulate;
mod systemd;

use clap::{Parser, Subcommand};
use exit::{Exit, Failure};
use std::process::ExitCode;
use tokio::runtime::Runtime;

macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  0  success
  1  the call failed, or the service could not start; or several failed in
     different ways
  2  wrong usage, configuration or input
  3  the service could not be reached
  4  the answer was refused, or cut at a limit
  5  a quota is used up, or the service or the API is overloaded or down"
    };
}

/// What `--help` of the verbs says below the flags.
const EXIT_CODES: &str = exit_codes!();

/// What `--help` says below the commands.
const AFTER_HELP: &str = concat!(
    exit_codes!(),
    "

The API key is taken from a file named in ANTHROPIC_API_KEY_FILE,
CLAUDE_API_KEY_FILE or upstream.api_key_file, else from ANTHROPIC_API_KEY or
CLAUDE_API_KEY, else from secrets.encrypted_env_file or AWS KMS (secrets.kms).
Several keys: one a line in the file, or with commas.

Every key of the configuration can be set by a variable: server.listen by
CLAUDE_GRPC_SERVER__LISTEN. `claude-grpc config check` prints all keys."
);

/// The Claude Messages API as a typed gRPC service.
#[derive(Debug, Parser)]
#[command(name = "claude-grpc", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service.
    Serve(serve::Args),
    /// Runs the simulator of the Claude API alone.
    Simulate(simulate::Args),
    /// Answers a prompt, and prints the answer while it is written.
    #[command(after_help = EXIT_CODES)]
    Generate(client::generate::Args),
    /// Summarizes texts.
    #[command(after_help = EXIT_CODES)]
    Summarize(client::summarize::Args),
    /// Sorts texts under labels.
    ///
    /// Prints a line for each chosen label: the label, the model's confidence
    /// from 0 to 1 and, with --reason, the reason, with tabs between them. With
    /// several files the name of the file stands in front; where none of the
    /// labels fits, the label and the confidence are empty.
    #[command(after_help = EXIT_CODES)]
    Classify(client::classify::Args),
    /// Counts the input tokens of a prompt without answering it.
    #[command(after_help = EXIT_CODES)]
    CountTokens(client::count_tokens::Args),
    /// Lists the models that the service offers.
    #[command(after_help = EXIT_CODES)]
    Models(client::models::Args),
    /// Who may call: the clients file.
    #[command(subcommand)]
    Clients(clients::ClientsCommand),
    /// Files encrypted with Fernet.
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// What concerns the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Checks the configuration and prints what holds, secrets left out.
    Check(config_check::Args),
}

/// Does what the command line says. Failures go to stderr, one a line.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match Runtime::new() {
        Ok(runtime) => {
            let outcome = runtime.block_on(dispatch(cli.command));
            // A read of standard input may still block, and cannot be stopped.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("no threads can be started: {error}"),
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Generate(args) => {
            client::traced("claude-grpc generate", client::generate::run(args)).await
        }
        Command::Summarize(args) => {
            client::traced("claude-grpc summarize", client::summarize::run(args)).await
        }
        Command::Classify(args) => {
            client::traced("claude-grpc classify", client::classify::run(args)).await
        }
        Command::CountTokens(args) => {
            client::traced("claude-grpc count-tokens", client::count_tokens::run(args)).await
        }
        Command::Models(args) => {
            client::traced("claude-grpc models", client::models::run(args)).await
        }
        Command::Clients(command) => clients::run(command),
        Command::Secrets(command) => secrets::run(command),
        Command::Config(ConfigCommand::Check(args)) => config_check::run(&args).await,
    }
}
