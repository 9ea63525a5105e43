//! `[[upstream.hosts]]`: where Claude is called.

use super::{
    CredentialsKind, HostKind, RouteConfig,
    routes::{check as check_routes, is_model_id},
};
use crate::host_features::{LackedFeatures, MessageFeature};
use crate::upstream::{HostRateLimits, is_name};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
};

/// The name of the host that `[upstream]` describes by itself.
pub const DEFAULT_HOST: &str = "claude";

/// Maximum number of hosts: each has connections, keys and circuits of its own.
const MAX_HOSTS: usize = 16;

/// One host that sells Claude. Timeouts, connections, retries and the circuit breaker
/// are those of `[upstream]`, for each host by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostConfig {
    /// Name of the host in routes, answers, metrics and the log: 1 to 32 lowercase
    /// letters, digits and hyphens. Must be unique.
    pub name: String,
    /// What the host is: `claude` (the Claude API), `claude_platform_aws`,
    /// `bedrock_mantle`, `bedrock_runtime`, `vertex`, `google_cloud` or `foundry`.
    pub kind: HostKind,
    /// Base URL, `http` or `https`. Unset, the one of the kind, with `region`,
    /// `project`, `workspace_id` and `resource`; for `claude`, `upstream.base_url`.
    pub base_url: Option<String>,
    /// Region: of AWS, or the location on Google Cloud (`global`, `us`, `eu`, or a
    /// region such as `europe-west1`).
    pub region: Option<String>,
    /// Project of Google Cloud, for `vertex` and `google_cloud`.
    pub project: Option<String>,
    /// Workspace, for `claude_platform_aws`, `google_cloud` and
    /// `credentials = "federation"`; for the latter, by default `upstream.workspace_id`,
    /// or the one that the rule names.
    pub workspace_id: Option<String>,
    /// Resource of Microsoft Foundry, the first part of its host name.
    pub resource: Option<String>,
    /// Inference profile of Bedrock that is put in front of the ids of the catalogue:
    /// `global`, `us`, `eu`, … Unset, models are called in the region itself.
    pub inference_profile: Option<String>,
    /// File with one or more keys (or bearer tokens) of the host, one per line, with the
    /// rules of `upstream.api_key_file`. Unset, a host of the kind `claude` has the keys
    /// of the Claude API.
    pub api_key_file: Option<PathBuf>,
    /// How the service authenticates to the host: `key` (a key or bearer token of
    /// `api_key_file`); `aws` (a signature of AWS, Signature Version 4, with the
    /// credentials that the AWS SDK finds: environment, profile, web identity, container,
    /// instance), for the hosts on AWS; `federation` (an access token of the Claude API for
    /// the identity token of `identity_token_file`), for `claude`; `google` (an access token
    /// of Google, with the Application Default Credentials), for `vertex` and
    /// `google_cloud`; or `entra` (an access token of Microsoft Entra, with a client secret,
    /// a workload identity or a managed identity), for `foundry`. `aws`, `google` and `entra`
    /// require a build with the feature `aws`, `google` or `azure`.
    pub credentials: CredentialsKind,
    /// Profile of the AWS configuration files for `credentials = "aws"`. Unset, the
    /// SDK's default.
    pub aws_profile: Option<String>,
    /// Id of the federation rule (`fdrl_…`) for `credentials = "federation"`.
    pub federation_rule_id: Option<String>,
    /// Id of the organization, a UUID, for `credentials = "federation"`.
    pub organization_id: Option<String>,
    /// Id of the service account (`svac_…`) that tokens act as, for
    /// `credentials = "federation"`. Unset, the rule decides.
    pub service_account_id: Option<String>,
    /// File with the identity token (a JWT) for `credentials = "federation"`, such as the
    /// projected token of a Kubernetes service account. It is read for each exchange.
    pub identity_token_file: Option<PathBuf>,
    /// File with CAs (PEM) in addition to those of the system. Unset,
    /// `upstream.ca_file`.
    pub ca_file: Option<PathBuf>,
    /// Ids of models on this host, by their ids in calls. They take precedence over
    /// those of the catalogue: an ARN, or the name of a deployment, for example.
    pub models: BTreeMap<String, String>,
    /// Features that the host has although the catalogue says that its kind lacks them:
    /// `["structured_outputs"]`. docs/hosts.md lists them.
    pub has: Vec<MessageFeature>,
    /// Features that the host lacks, in addition to those that its kind lacks. A call
    /// that needs one goes to the next host that has it.
    pub lacks: Vec<MessageFeature>,
    /// Rate limits of the host, which paces calls to a host that reports none. Unset, such
    /// a host is asked until it answers 429.
    pub rate_limits: HostRateLimits,
    /// Maximum number of concurrent calls to the host. Unset, `upstream.max_in_flight`.
    pub max_in_flight: Option<usize>,
}

impl HostConfig {
    /// What the host lacks of requests.
    pub fn lacked_features(&self) -> LackedFeatures {
        LackedFeatures::of(self.kind.name(), &self.has, &self.lacks)
    }

    /// Validates the host. Calls `wrong` with the key and the problem of each fault.
    fn check(&self, default_url: &str, wrong: &mut dyn FnMut(&str, String)) {
        let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=32).contains(&self.name.len()) || !self.name.chars().all(is_label) {
            let problem = "must be 1 to 32 lowercase letters, digits and hyphens";
            wrong("name", problem.to_owned());
        }
        let parts = [
            ("region", &self.region),
            ("project", &self.project),
            ("workspace_id", &self.workspace_id),
            ("resource", &self.resource),
            ("inference_profile", &self.inference_profile),
        ];
        for (key, part) in parts {
            // They become parts of addresses.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let is_plain =
                |part: &String| is_name(part) && part.chars().all(|c| is_plain(c) || c == ':');
            if part.as_ref().is_some_and(|part| !is_plain(part)) {
                let problem = "must consist of letters, digits, hyphens and underscores";
                wrong(key, problem.to_owned());
            }
        }
        self.check_address(wrong);
        if self.kind == HostKind::Vertex && (self.project.is_none() || self.region.is_none()) {
            wrong("project", "must be set with region for vertex".to_owned());
        }
        if self.kind == HostKind::ClaudePlatformAws && self.workspace_id.is_none() {
            let problem = "must be set for claude_platform_aws";
            wrong("workspace_id", problem.to_owned());
        }
        if self.inference_profile.is_some()
            && !matches!(
                self.kind,
                HostKind::BedrockRuntime | HostKind::BedrockMantle
            )
        {
            let problem = "must be set for bedrock_runtime and bedrock_mantle only";
            wrong("inference_profile", problem.to_owned());
        }
        self.check_credentials(default_url, wrong);
        for (model, id) in &self.models {
            if model.is_empty() || !is_model_id(id) {
                let problem = format!("invalid id {id:?} of {model:?}");
                wrong("models", problem);
            }
        }
        if let Some(both) = self.has.iter().find(|it| self.lacks.contains(it)) {
            wrong(
                "has",
                format!("must not have {}, which is in lacks", both.name()),
            );
        }
        let mut limits = |key: &str, problem| wrong(&format!("rate_limits.{key}"), problem);
        self.rate_limits.check(&mut limits);
        if self.max_in_flight == Some(0) {
            wrong("max_in_flight", "must be at least 1".to_owned());
        }
    }
}

/// Validates the hosts and routes; `default_url` is that of the Claude API. Calls `wrong`
/// with the key and the problem of each fault.
pub fn check(
    default_url: &str,
    hosts: &[HostConfig],
    routes: &[RouteConfig],
    wrong: &mut dyn FnMut(&str, String),
) {
    if hosts.len() > MAX_HOSTS {
        wrong("hosts", format!("must be at most {MAX_HOSTS}"));
    }
    let mut names = HashSet::new();
    for (index, host) in hosts.iter().enumerate() {
        host.check(default_url, &mut |key, problem| {
            wrong(&format!("hosts.{index}.{key}"), problem);
        });
        if !names.insert(host.name.as_str()) {
            let problem = format!("{:?} is the name of another host", host.name);
            wrong(&format!("hosts.{index}.name"), problem);
        }
    }
    if hosts.is_empty() {
        names.insert(DEFAULT_HOST);
    }
    check_routes(&names, routes, wrong);
}

#[cfg(test)]
impl HostConfig {
    /// A host of this kind with all that it needs.
    pub fn for_tests(kind: HostKind) -> Self {
        let text = |text: &str| Some(text.to_owned());
        HostConfig {
            name: "h".to_owned(),
            kind,
            region: text("eu-central-1"),
            project: text("p"),
            workspace_id: text("wrkspc_1"),
            resource: text("r"),
            api_key_file: Some(PathBuf::from("/keys")),
            ..HostConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::TargetConfig;

    fn wrong(hosts: &[HostConfig], routes: &[RouteConfig]) -> Vec<String> {
        let mut keys = Vec::new();
        let url = "https://api.anthropic.com";
        check(url, hosts, routes, &mut |key, _| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn what_is_missing_or_twice_is_named() {
        let without = |change: fn(&mut HostConfig), kind| {
            let mut host = HostConfig::for_tests(kind);
            change(&mut host);
            wrong(&[host], &[])
        };
        assert_eq!(
            without(|it| it.region = None, HostKind::BedrockMantle),
            ["hosts.0.region"]
        );
        assert_eq!(
            without(|it| it.project = None, HostKind::Vertex),
            ["hosts.0.project"]
        );
        assert_eq!(
            without(|it| it.workspace_id = None, HostKind::ClaudePlatformAws),
            ["hosts.0.workspace_id"]
        );
        assert_eq!(
            without(|it| it.resource = None, HostKind::Foundry),
            ["hosts.0.resource"]
        );
        assert_eq!(
            without(|it| it.region = Some("a/b".to_owned()), HostKind::Foundry),
            ["hosts.0.region"]
        );
        assert_eq!(
            without(|it| it.name = "Not A Label".to_owned(), HostKind::Claude),
            ["hosts.0.name"]
        );
        assert_eq!(
            without(|it| it.api_key_file = None, HostKind::Foundry),
            ["hosts.0.api_key_file"]
        );
        let twice = [
            HostConfig::for_tests(HostKind::Claude),
            HostConfig::for_tests(HostKind::Foundry),
        ];
        assert_eq!(wrong(&twice, &[]), ["hosts.1.name"]);
    }

    #[test]
    fn routes_name_the_hosts_or_the_one_of_the_section_itself() {
        let to = |host: &str| {
            let target = TargetConfig {
                host: host.to_owned(),
                ..TargetConfig::default()
            };
            [RouteConfig {
                targets: vec![target],
                ..RouteConfig::default()
            }]
        };
        let hosts = [HostConfig::for_tests(HostKind::Claude)];
        assert!(wrong(&hosts, &to("h")).is_empty());
        assert_eq!(
            wrong(&hosts, &to(DEFAULT_HOST)),
            ["routes.0.targets.0.host"]
        );
        assert!(wrong(&[], &to(DEFAULT_HOST)).is_empty());
    }
}
