//! The command line: the service, its simulator, and a client of the service.

mod client;
mod clients;
mod completions;
mod config_check;
mod exit;
mod host_credentials;
mod man;
mod observability;
mod output;
mod proxies;
mod read_document;
mod secrets;
mod security;
mod serve;
mod settings;
mod signals;
mod simulate;
mod systemd;

use crate::config::Environment;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable};
use exit::{Exit, Failure};
use std::process::ExitCode;
use tokio::runtime::Runtime;

macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  0  success
  1  the call failed, several calls failed in different ways, or the service
     failed to start
  2  invalid usage, configuration or input
  3  the service is unreachable
  4  the answer was refused or truncated
  5  a quota is exhausted, or the service or the API is overloaded or down
  6  a text has a label in --fail-on
  7  --max-cost is reached
  8  batches have not ended within --wait-for
  130  a signal stopped the command"
    };
}

/// The end of the help of the client commands.
const EXIT_CODES: &str = exit_codes!();

/// The end of the top-level help.
const AFTER_HELP: &str = concat!(
    exit_codes!(),
    "

The key of the Claude API comes from the first of these that is set: the file
named in ANTHROPIC_API_KEY_FILE or CLAUDE_API_KEY_FILE, the file
upstream.api_key_file, the variable ANTHROPIC_API_KEY or CLAUDE_API_KEY, the
file secrets.encrypted_env_file, AWS KMS (secrets.kms). To use several keys, put
one on each line of the file, or separate them by commas in the variable.

Every configuration key can be set by an environment variable: server.listen is
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
    /// Run the service.
    Serve(serve::Args),
    /// Run the simulator of the Claude API on its own.
    Simulate(simulate::Args),
    /// Answer a prompt, printing the answer as it is generated.
    ///
    /// What is piped or redirected into the command comes before the prompt, after
    /// a blank line. A pipe is read to its end, also one that nothing closes, as
    /// a job or a loop may pass it on: use `< /dev/null` there.
    #[command(after_help = EXIT_CODES)]
    Generate(client::generate::Args),
    /// Summarize texts.
    #[command(after_help = EXIT_CODES)]
    Summarize(client::summarize::Args),
    /// Classify texts with a set of labels.
    ///
    /// Prints one tab-separated line per chosen label: the label, the confidence
    /// of the model from 0 to 1 and, with --reason, the reason. With several
    /// files, each line starts with the file name, and a file that no label fits
    /// has a line with an empty label and confidence.
    #[command(after_help = EXIT_CODES)]
    Classify(client::classify::Args),
    /// Count the input tokens of a prompt without answering it.
    #[command(after_help = EXIT_CODES)]
    CountTokens(client::count_tokens::Args),
    /// List the templates of prompts, which generate and count-tokens use.
    Templates(client::templates::Args),
    /// List the models that the service offers.
    #[command(after_help = EXIT_CODES)]
    Models(client::models::Args),
    /// Manage API clients (the clients file).
    #[command(subcommand)]
    Clients(clients::ClientsCommand),
    /// Manage files that are encrypted with Fernet.
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Validate and print the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions of a shell.
    Completions(completions::Args),
    /// Print the man page, or write those of all commands.
    Man(man::Args),
    /// Write the text of a document, within limits. The client commands call it.
    #[command(hide = true)]
    ReadDocument(read_document::Args),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Validate the configuration and print the effective values, without secrets.
    Check(config_check::Args),
}

/// Parses the command line, and ends the process if that is not possible or if
/// it asks for help.
pub fn parse() -> Cli {
    let environment = Environment::of_process();
    let command = without_empty_variables(Cli::command(), &environment);
    let parsed = Cli::from_arg_matches(&command.get_matches());
    parsed.unwrap_or_else(|error| error.exit())
}

/// Makes flags ignore variables that are empty, which count as unset.
fn without_empty_variables(command: clap::Command, environment: &Environment) -> clap::Command {
    command
        .mut_args(|arg| {
            let name = arg.get_env().and_then(|name| name.to_str());
            if name.is_some_and(|name| environment.is_empty(name)) {
                arg.env(Resettable::Reset)
            } else {
                arg
            }
        })
        .mut_subcommands(|command| without_empty_variables(command, environment))
}

/// Runs the command. Reports failures on stderr, one per line, and returns the
/// exit code.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        // The threads of a runtime would take from the memory that it may have.
        Command::ReadDocument(args) => read_document::run(args),
        command => run_async(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run_async(command: Command) -> Result<(), Failure> {
    match Runtime::new() {
        Ok(runtime) => {
            let outcome = runtime.block_on(dispatch(command));
            // A blocking read of standard input cannot be cancelled.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("failed to start the async runtime: {error}"),
        )),
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => Box::pin(serve::run(args)).await,
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
        Command::Templates(args) => client::templates::run(args).await,
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::ReadDocument(args) => read_document::run(args),
        Command::Clients(command) => clients::run(command),
        Command::Secrets(command) => secrets::run(command),
        Command::Config(ConfigCommand::Check(args)) => config_check::run(&args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables_of(command: &clap::Command, found: &mut Vec<String>) {
        let names = command.get_arguments().filter_map(clap::Arg::get_env);
        found.extend(names.map(|name| name.to_str().unwrap().to_owned()));
        for command in command.get_subcommands() {
            variables_of(command, found);
        }
    }

    #[test]
    fn no_flag_reads_an_empty_variable() {
        let mut names = Vec::new();
        variables_of(&Cli::command(), &mut names);
        assert!(names.contains(&"CLAUDE_GRPC_ADDR".to_owned()), "{names:?}");
        let empty: Environment = names.iter().map(|name| (name, "")).collect();
        let mut left = Vec::new();
        variables_of(&without_empty_variables(Cli::command(), &empty), &mut left);
        assert!(left.is_empty(), "{left:?}");
        let set: Environment = names.iter().map(|name| (name, "x")).collect();
        variables_of(&without_empty_variables(Cli::command(), &set), &mut left);
        assert_eq!(left, names);
    }
}
