//! Flags that set the configuration: what people set often. Everything else
//! is set in the file or by a variable.

use super::exit::Failure;
use crate::{
    config::{Config, Environment, FlagValue, Sources},
    telemetry::LogFormat,
};
use clap::ValueEnum;
use figment::value::Value;
use serde::Serialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Which file, and how much is logged: of all commands that run something.
#[derive(Debug, Clone, clap::Args)]
pub struct CommonFlags {
    /// Configuration file (TOML).
    #[arg(
        long,
        value_name = "FILE",
        env = "CLAUDE_GRPC_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// Log filter, for example `debug` or `warn,claude_grpc=debug`.
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormatFlag>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormatFlag {
    Pretty,
    Json,
}

/// What `serve` is started with.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeFlags {
    #[command(flatten)]
    common: CommonFlags,
    /// Address and port to listen on; port 0 for any free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// How long calls under way may go on after SIGTERM, for example `30s`.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    drain_timeout: Option<Duration>,
    /// Address of the Claude API, without `/v1`.
    #[arg(long, value_name = "URL")]
    upstream_url: Option<String>,
}

impl CommonFlags {
    /// What the flags set, over nothing.
    pub fn values(&self) -> FlagValues {
        let mut values = FlagValues::default();
        values.set("log.level", "--log-level", self.log_level.as_ref());
        let format = self.log_format.map(|format| match format {
            LogFormatFlag::Pretty => LogFormat::Pretty,
            LogFormatFlag::Json => LogFormat::Json,
        });
        values.set("log.format", "--log-format", format);
        values
    }

    /// The configuration with these flags on top.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self, flags: FlagValues, environment: &Environment) -> Result<Config, Failure> {
        Ok(Config::load(&Sources {
            file: self.config.clone(),
            environment: environment.clone(),
            flags: flags.0,
        })?)
    }
}

impl ServeFlags {
    /// The configuration with these flags on top.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self, environment: &Environment) -> Result<Config, Failure> {
        let mut values = self.common.values();
        values.set("server.listen", "--listen", self.listen);
        let drain_timeout = self
            .drain_timeout
            .map(|time| humantime::format_duration(time).to_string());
        values.set("server.drain_timeout", "--drain-timeout", drain_timeout);
        let upstream_url = self.upstream_url.as_ref();
        values.set("upstream.base_url", "--upstream-url", upstream_url);
        self.common.load(values, environment)
    }
}

/// What flags set.
#[derive(Debug, Default)]
pub struct FlagValues(Vec<FlagValue>);

impl FlagValues {
    /// Sets a key if its flag is given.
    pub fn set(
        &mut self,
        key: impl Into<String>,
        flag: &'static str,
        value: Option<impl Serialize>,
    ) {
        // Figures and text always serialize.
        let value = value.and_then(|value| Value::serialize(value).ok());
        if let Some(value) = value {
            self.0.push(FlagValue {
                key: key.into(),
                flag,
                value,
            });
        }
    }
}
