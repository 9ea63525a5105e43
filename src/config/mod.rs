//! The configuration: defaults < file < environment < flags.
//!
//! Each section is owned by the module it configures, which says what it may
//! hold. Here they are put together, and everything that is wrong is reported
//! at once: by its name and with the place it came from.

mod environment;
mod exposure;
mod fault;
mod layers;

pub use environment::Environment;
pub use exposure::ExposureError;
pub use fault::{ConfigErrors, Fault, Origin};
pub use layers::FlagValue;

use crate::{
    access::{AccessConfig, limits::LimitsConfig},
    admin::AdminConfig,
    secrets::SecretsConfig,
    server::ServerConfig,
    service::ServiceConfig,
    simulator::SimulatorConfig,
    telemetry::{LogConfig, TelemetryConfig},
    upstream::UpstreamConfig,
};
use figment::{
    Figment,
    error::{Actual, Kind},
    value::Dict,
};
use layers::Layer;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The way in.
    pub server: ServerConfig,
    /// The way to the Claude API.
    pub upstream: UpstreamConfig,
    /// Models and defaults of the RPCs.
    pub service: ServiceConfig,
    /// Who may call.
    pub access: AccessConfig,
    /// Where usage is kept, and what it costs.
    pub limits: LimitsConfig,
    /// Where secrets are.
    pub secrets: SecretsConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What is measured and traced.
    pub telemetry: TelemetryConfig,
    /// The port for those who run the service.
    pub admin: AdminConfig,
    /// The stand-in for the Claude API; it runs only when asked for.
    pub simulator: SimulatorConfig,
}

/// Where a configuration is read from, lowest layer first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file, which has to be there.
    pub file: Option<PathBuf>,
    /// The variables, those of others included.
    pub environment: Environment,
    /// What flags set.
    pub flags: Vec<FlagValue>,
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// All that is wrong, by name.
    pub fn load(sources: &Sources) -> Result<Config, ConfigErrors> {
        let mut faults = Vec::new();
        let layers = Layers::read(sources, &mut faults)?;
        let config = layers.extract(&mut faults);
        if let Some(config) = &config {
            config.check(|key, problem| faults.push(layers.fault(key, problem)));
        }
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(ConfigErrors(faults)),
        }
    }

    /// Checks what the types do not say. `wrong` is told the dotted key and
    /// the problem of each fault.
    pub fn check(&self, mut wrong: impl FnMut(&str, String)) {
        self.server
            .check(&mut |key, problem| wrong(&format!("server.{key}"), problem));
        self.upstream
            .check(&mut |key, problem| wrong(&format!("upstream.{key}"), problem));
        self.service
            .check(&mut |key, problem| wrong(&format!("service.{key}"), problem));
        self.access
            .check(&mut |key, problem| wrong(&format!("access.{key}"), problem));
        self.limits
            .check(&mut |key, problem| wrong(&format!("limits.{key}"), problem));
        self.secrets
            .check(&mut |key, problem| wrong(&format!("secrets.{key}"), problem));
        self.log
            .check(&mut |key, problem| wrong(&format!("log.{key}"), problem));
        if let Err(error) = self.simulator.check() {
            wrong(
                &format!("simulator.{}", error.field),
                error.problem.to_owned(),
            );
        }
    }
}

/// All layers over the defaults.
struct Layers {
    figment: Figment,
}

impl Layers {
    /// # Errors
    /// When the file cannot be read: what it would have set is not there, so
    /// nothing more can be said.
    fn read(sources: &Sources, faults: &mut Vec<Fault>) -> Result<Layers, Fault> {
        let defaults = layers::defaults(Config::default());
        let mut layers = Layers {
            figment: Figment::from(Layer::new(defaults.clone(), &Origin::Default)),
        };
        if let Some(path) = &sources.file {
            layers.add(layers::file(path)?, &defaults, faults);
        }
        for layer in layers::variables(&sources.environment, &defaults) {
            match layer {
                Ok(layer) => layers.add(layer, &defaults, faults),
                Err(fault) => faults.push(fault),
            }
        }
        for flag in &sources.flags {
            layers.add(layers::flag(flag), &defaults, faults);
        }
        Ok(layers)
    }

    fn add(&mut self, layer: Layer, defaults: &Dict, faults: &mut Vec<Fault>) {
        let mut unknown = Vec::new();
        layers::unknown_keys(layer.dict(), defaults, "", &mut unknown);
        for key in unknown {
            let name = key.rsplit('.').next();
            let problem = layers::misplaced_key(name).unwrap_or("unknown key");
            faults.push(Fault::Key {
                problem: problem.to_owned(),
                key,
                origin: layer.origin(),
            });
        }
        let figment = std::mem::take(&mut self.figment);
        self.figment = figment.merge(layer);
    }

    /// Each section by itself, so that one fault does not hide those of the
    /// others.
    fn extract(&self, faults: &mut Vec<Fault>) -> Option<Config> {
        let server = self.section("server", faults);
        let upstream = self.section("upstream", faults);
        let service = self.section("service", faults);
        let access = self.section("access", faults);
        let limits = self.section("limits", faults);
        let secrets = self.section("secrets", faults);
        let log = self.section("log", faults);
        let telemetry = self.section("telemetry", faults);
        let admin = self.section("admin", faults);
        let simulator = self.section("simulator", faults);
        Some(Config {
            server: server?,
            upstream: upstream?,
            service: service?,
            access: access?,
            limits: limits?,
            secrets: secrets?,
            log: log?,
            telemetry: telemetry?,
            admin: admin?,
            simulator: simulator?,
        })
    }

    fn section<T: DeserializeOwned>(&self, name: &str, faults: &mut Vec<Fault>) -> Option<T> {
        // Not `extract_inner`, which puts the section behind the key.
        let errors = match self.figment.find_value(name) {
            Ok(section) => match section.deserialize() {
                Ok(section) => return Some(section),
                Err(errors) => errors,
            },
            Err(errors) => errors,
        };
        for error in errors {
            let path = error.path.iter().map(String::as_str);
            let key = [name].into_iter().chain(path).collect::<Vec<_>>().join(".");
            let known = |fault: &Fault| matches!(fault, Fault::Key { key: k, .. } if *k == key);
            if !faults.iter().any(known) {
                faults.push(self.fault(&key, problem(&key, &error.kind)));
            }
        }
        None
    }

    /// A fault of a key, with the place that its value came from.
    fn fault(&self, key: &str, problem: String) -> Fault {
        // Of an item of a list, only the list is known.
        let list = key.rsplit_once('.').map_or(key, |(list, _)| list);
        let metadata = self.figment.find_metadata(key);
        let metadata = metadata.or_else(|| self.figment.find_metadata(list));
        Fault::Key {
            key: key.to_owned(),
            problem,
            origin: metadata.map_or(Origin::Default, layers::origin_of),
        }
    }
}

/// What is wrong, in words. The value is shown unless it may be a secret.
fn problem(key: &str, kind: &Kind) -> String {
    // The last part may be a number: an item of a list.
    let mut names = key
        .rsplit('.')
        .filter(|name| name.parse::<usize>().is_err());
    let name = names.next().unwrap_or(key);
    let secret = ["key", "token", "secret", "password"]
        .iter()
        .any(|word| name.contains(word));
    let shown = |actual: &Actual| match actual {
        Actual::Str(_) | Actual::Char(_) | Actual::Bytes(_) if secret => "text".to_owned(),
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) if secret => {
            "a number".to_owned()
        }
        Actual::Str(text) => format!("{text:?}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        other => other.to_string(),
    };
    match kind {
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("{} is not {expected}", shown(actual))
        }
        Kind::UnknownVariant(_, known) => format!("has to be one of {}", known.join(", ")),
        Kind::UnknownField(_, _) => "unknown key".to_owned(),
        // Such a message may quote the value.
        Kind::Message(_) if secret => "is not what it has to be".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
