//! Flags that set configuration keys: those that are set often. The file and
//! variables set all others.

use super::exit::Failure;
use crate::{
    config::{Config, Environment, FlagValue, Sources},
    telemetry::LogFormat,
};
use clap::ValueEnum;
use figment::value::Value;
use serde::Serialize;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Flags of all commands that load the configuration.
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
    /// Log filter, such as `debug` or `warn,claude_grpc=debug`.
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// Format of log lines.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormatFlag>,
}

/// The values of `--log-format`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormatFlag {
    Pretty,
    Json,
}

/// Flags of `serve` that set configuration keys.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeFlags {
    #[command(flatten)]
    common: CommonFlags,
    /// Address and port to listen on; port 0 picks a free port.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Maximum time that calls in flight may continue after SIGTERM, such as `30s`.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    drain_timeout: Option<Duration>,
    /// Base URL of the Claude API, without `/v1`.
    #[arg(long, value_name = "URL")]
    upstream_url: Option<String>,
}

impl CommonFlags {
    /// The keys that these flags set.
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

    /// Loads the configuration, with the flags as the highest layer.
    ///
    /// # Errors
    /// [`Exit::Usage`](super::exit::Exit::Usage) with all its faults.
    pub fn load(&self, flags: FlagValues, environment: &Environment) -> Result<Config, Failure> {
        Ok(Config::load(&Sources {
            file: self.config.clone(),
            environment: environment.clone(),
            flags: flags.0,
        })?)
    }
}

impl ServeFlags {
    /// Loads the configuration, with the flags as the highest layer.
    ///
    /// # Errors
    /// [`Exit::Usage`](super::exit::Exit::Usage) with all its faults.
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

/// Configuration keys that flags set.
#[derive(Debug, Default)]
pub struct FlagValues(Vec<FlagValue>);

impl FlagValues {
    /// Sets a key if its flag was given.
    pub fn set(
        &mut self,
        key: impl Into<String>,
        flag: &'static str,
        value: Option<impl Serialize>,
    ) {
        // Numbers and strings always serialize.
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
