//! The configuration: defaults < file < environment < flags.
//!
//! Each section is owned by the module that it configures, which defines and
//! validates it. Here the sections are combined, and all faults are reported at
//! once, each with its key and its origin.

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
    batches::BatchesConfig,
    files::FilesConfig,
    response_cache::ResponseCacheConfig,
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

/// The complete configuration, with a field per section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gRPC port: its address, its limits and what it serves.
    pub server: ServerConfig,
    /// The Claude API: its address, timeouts, connections and concurrency.
    pub upstream: UpstreamConfig,
    /// Models and defaults of the RPCs.
    pub service: ServiceConfig,
    /// Batches: where their state is kept, and for how long.
    pub batches: BatchesConfig,
    /// Files at the API, and whom they belong to.
    pub files: FilesConfig,
    /// Responses that are kept for exactly the same request of the same tenant. Nothing is
    /// kept unless a call asks for it.
    pub response_cache: ResponseCacheConfig,
    /// Access control.
    pub access: AccessConfig,
    /// The usage store and the prices of tokens.
    pub limits: LimitsConfig,
    /// Encrypted sources of secrets.
    pub secrets: SecretsConfig,
    /// The log on standard error.
    pub log: LogConfig,
    /// Traces and metrics.
    pub telemetry: TelemetryConfig,
    /// The port for operators.
    pub admin: AdminConfig,
    /// The simulator of the Claude API, which runs only on request.
    pub simulator: SimulatorConfig,
}

/// Sections with a list of tables, which is not written while it is empty.
const TABLE_LISTS: [(&str, &str); 4] = [
    ("upstream", "hosts"),
    ("upstream", "routes"),
    ("limits", "prices"),
    ("simulator", "tokens"),
];

/// The sources of a configuration, lowest layer first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file, which must exist.
    pub file: Option<PathBuf>,
    /// The environment. Variables without our prefix are ignored.
    pub environment: Environment,
    /// Values set by flags, which take precedence over all other layers.
    pub flags: Vec<FlagValue>,
}

impl Config {
    /// Reads, combines and validates the sources of a configuration.
    ///
    /// # Errors
    /// All faults, each with its key and its origin.
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

    /// Validates what the types do not express. Calls `wrong` with the dotted
    /// key and the problem of each fault.
    pub fn check(&self, mut wrong: impl FnMut(&str, String)) {
        self.server
            .check(&mut |key, problem| wrong(&format!("server.{key}"), problem));
        self.upstream
            .check(&mut |key, problem| wrong(&format!("upstream.{key}"), problem));
        self.service
            .check(&mut |key, problem| wrong(&format!("service.{key}"), problem));
        self.files.check(&self.limits.store, &mut |key, problem| {
            wrong(&format!("files.{key}"), problem)
        });
        self.batches.check(&self.limits.store, &mut |key, problem| {
            wrong(&format!("batches.{key}"), problem)
        });
        self.response_cache
            .check(&self.limits.store, &mut |key, problem| {
                wrong(&format!("response_cache.{key}"), problem)
            });
        self.access
            .check(&mut |key, problem| wrong(&format!("access.{key}"), problem));
        self.limits
            .check(&mut |key, problem| wrong(&format!("limits.{key}"), problem));
        self.secrets
            .check(&mut |key, problem| wrong(&format!("secrets.{key}"), problem));
        self.log
            .check(&mut |key, problem| wrong(&format!("log.{key}"), problem));
        self.admin
            .check(&mut |key, problem| wrong(&format!("admin.{key}"), problem));
        if let Err(error) = self.simulator.check() {
            wrong(
                &format!("simulator.{}", error.field),
                error.problem.to_owned(),
            );
        }
    }
}

/// All layers, merged over the defaults.
struct Layers {
    figment: Figment,
}

impl Layers {
    /// # Errors
    /// When the file cannot be read: without its values, further faults would be
    /// misleading.
    fn read(sources: &Sources, faults: &mut Vec<Fault>) -> Result<Layers, Fault> {
        let defaults = layers::with_lists(layers::defaults(Config::default()), &TABLE_LISTS);
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

    /// Extracts each section separately, so that a fault in one does not hide
    /// faults in others.
    fn extract(&self, faults: &mut Vec<Fault>) -> Option<Config> {
        let server = self.section("server", faults);
        let upstream = self.section("upstream", faults);
        let service = self.section("service", faults);
        let batches = self.section("batches", faults);
        let files = self.section("files", faults);
        let response_cache = self.section("response_cache", faults);
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
            batches: batches?,
            files: files?,
            response_cache: response_cache?,
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
        // Not `extract_inner`, whose errors have the section after the key.
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

    /// Makes the fault of a key, with the origin of its value.
    fn fault(&self, key: &str, problem: String) -> Fault {
        // The origin of a list item is known for the list as a whole only.
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

/// The text of an error of figment. It quotes the value unless that may be a
/// secret.
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
        Kind::UnknownVariant(_, known) => format!("must be one of {}", known.join(", ")),
        Kind::UnknownField(_, _) => "unknown key".to_owned(),
        // The message could quote the value.
        Kind::Message(_) if secret => "invalid value".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
