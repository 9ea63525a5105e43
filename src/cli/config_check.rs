//! `claude-grpc config check`: validates the configuration and prints it.

use super::{
    exit::{Exit, Failure},
    output,
    proxies::proxy_of_api,
    settings::ServeFlags,
};
use crate::{
    config::{Config, Environment},
    secrets::{ApiKeys, KeySource},
};

/// Flags of `config check`: those of `serve`, to see their effect.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: ServeFlags,
}

/// Prints the configuration that `serve` would run with, as a TOML file.
///
/// # Errors
/// [`Exit::Usage`] with all faults of the configuration, when the API keys cannot
/// be read, or when a variable does not name a proxy.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let config = args.flags.load(&environment)?;
    let source = KeySource::resolve(
        config.upstream.api_key_file.as_deref(),
        &config.secrets,
        |name| environment.get(name).map(Into::into),
    );
    let keys = match source {
        Some(source) => Some(ApiKeys::read(source).await?),
        None => None,
    };
    let proxy = proxy_of_api(&config, &environment)?;
    output::write(&printed(config, keys.as_ref(), proxy.as_deref())?)
}

/// Formats the configuration as a TOML file. Of secrets, it contains the source
/// and the number.
fn printed(
    mut config: Config,
    keys: Option<&ApiKeys>,
    proxy: Option<&str>,
) -> Result<String, Failure> {
    let mut comments = match keys {
        Some(keys) => format!("# API keys: {} from {}\n", keys.keys.len(), keys.source),
        None => "# API keys: none; `serve` requires one, or --simulate\n".to_owned(),
    };
    if let Some(proxy) = proxy {
        comments += &format!("# Proxy to the API: {proxy}\n");
    }
    let accepted = std::mem::take(&mut config.simulator.api_keys).len();
    if accepted > 0 {
        comments += &format!("# simulator.api_keys: {accepted}, not shown\n");
    }
    let expiring = std::mem::take(&mut config.simulator.tokens).len();
    if expiring > 0 {
        comments += &format!("# simulator.tokens: {expiring}, not shown\n");
    }
    let text = toml::to_string(&config).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("failed to format the configuration: {error}"),
        )
    })?;
    Ok(format!("{comments}\n{text}"))
}
