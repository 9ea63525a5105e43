//! What must be set for the credentials of a host.

use super::{CredentialsKind, HostConfig, HostKind};
use crate::{credentials::CredentialsError, upstream::is_name};
use reqwest::Url;
use std::net::IpAddr;

impl HostConfig {
    /// Validates what workload identity federation needs.
    fn check_federation(&self, default_url: &str, wrong: &mut dyn FnMut(&str, String)) {
        let url = self.base_url.as_deref().unwrap_or(default_url);
        if !keeps_secrets(url) {
            let problem = "must be an https URL for federation: the identity token is sent there";
            wrong("base_url", problem.to_owned());
        }
        for (key, id, is_required) in self.federation_ids() {
            match id {
                Some(id) if !is_name(id) => {
                    let problem =
                        "must be 1 to 128 printable ASCII characters without commas and spaces";
                    wrong(key, problem.to_owned());
                }
                None if is_required => wrong(key, "must be set for federation".to_owned()),
                _ => {}
            }
        }
        if self.identity_token_file.is_none() {
            let problem = "must be set for federation";
            wrong("identity_token_file", problem.to_owned());
        }
    }

    /// The ids that federation has, and whether they must be set.
    fn federation_ids(&self) -> [(&'static str, Option<&String>, bool); 3] {
        [
            ("federation_rule_id", self.federation_rule_id.as_ref(), true),
            ("organization_id", self.organization_id.as_ref(), true),
            (
                "service_account_id",
                self.service_account_id.as_ref(),
                false,
            ),
        ]
    }

    /// Validates how the service authenticates.
    pub(super) fn check_credentials(&self, default_url: &str, wrong: &mut dyn FnMut(&str, String)) {
        match self.credentials {
            CredentialsKind::Key => {
                if self.api_key_file.is_none() && self.kind != HostKind::Claude {
                    let problem = format!("must be set for {}", self.kind.name());
                    wrong("api_key_file", problem);
                }
            }
            CredentialsKind::Aws if self.region.is_none() => {
                wrong("region", "must be set for credentials of AWS".to_owned());
            }
            CredentialsKind::Federation => self.check_federation(default_url, wrong),
            CredentialsKind::Aws | CredentialsKind::Google | CredentialsKind::Entra => {}
        }
        if !self.credentials.fits(self.kind) {
            let (credentials, kind) = (self.credentials.name(), self.kind.name());
            let problem = format!("must not be {credentials} for {kind}");
            wrong("credentials", problem);
        } else if let Some(feature) = self.credentials.missing_feature() {
            let problem = CredentialsError::NotBuilt(feature);
            wrong("credentials", problem.to_string());
        }
        if self.credentials != CredentialsKind::Key && self.api_key_file.is_some() {
            let problem = "must be set for credentials of a key only";
            wrong("api_key_file", problem.to_owned());
        }
        if self.credentials != CredentialsKind::Federation {
            let ids = self
                .federation_ids()
                .map(|(key, id, _)| (key, id.is_some()));
            let file = ("identity_token_file", self.identity_token_file.is_some());
            for (key, _) in ids.into_iter().chain([file]).filter(|(_, is_set)| *is_set) {
                wrong(key, "must be set for federation only".to_owned());
            }
        }
    }
}

/// Whether nobody on the way reads what is sent to a URL: over TLS, or on this machine.
fn keeps_secrets(url: &str) -> bool {
    let is_local = |url: &Url| {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|it| it.is_loopback())
    };
    Url::parse(url).is_ok_and(|url| url.scheme() == "https" || is_local(&url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// The keys of the faults of a host.
    fn wrong(host: &HostConfig) -> Vec<String> {
        let mut keys = Vec::new();
        let url = "https://api.anthropic.com";
        host.check_credentials(url, &mut |key, _| keys.push(key.to_owned()));
        keys
    }

    #[test]
    fn federation_is_complete_and_keeps_the_identity_token_to_itself() {
        let text = |text: &str| Some(text.to_owned());
        let federated = HostConfig {
            credentials: CredentialsKind::Federation,
            federation_rule_id: text("fdrl_1"),
            organization_id: text("00000000-0000-4000-8000-000000000001"),
            identity_token_file: Some(PathBuf::from("/token")),
            ..HostConfig::default()
        };
        let with = |change: fn(&mut HostConfig)| {
            let mut host = federated.clone();
            change(&mut host);
            wrong(&host)
        };
        assert!(with(|_| {}).is_empty());
        assert!(with(|it| it.base_url = Some("http://127.0.0.1:1".to_owned())).is_empty());
        for (change, keys) in [
            (
                (|it| it.base_url = Some("http://gateway.internal".to_owned()))
                    as fn(&mut HostConfig),
                &["base_url"][..],
            ),
            (|it| it.federation_rule_id = None, &["federation_rule_id"]),
            (
                |it| it.organization_id = Some("a b".to_owned()),
                &["organization_id"],
            ),
            (
                |it| it.service_account_id = Some(String::new()),
                &["service_account_id"],
            ),
            (|it| it.identity_token_file = None, &["identity_token_file"]),
            (
                |it| it.api_key_file = Some(PathBuf::from("/key")),
                &["api_key_file"],
            ),
            (|it| it.kind = HostKind::ClaudePlatformAws, &["credentials"]),
            (
                |it| it.credentials = CredentialsKind::Key,
                &[
                    "federation_rule_id",
                    "organization_id",
                    "identity_token_file",
                ],
            ),
        ] {
            assert_eq!(with(change), keys);
        }
    }

    #[test]
    fn credentials_are_those_of_the_hosts_cloud() {
        for kind in [
            HostKind::Claude,
            HostKind::ClaudePlatformAws,
            HostKind::BedrockMantle,
            HostKind::BedrockRuntime,
            HostKind::Vertex,
            HostKind::GoogleCloud,
            HostKind::Foundry,
        ] {
            let all = [
                CredentialsKind::Aws,
                CredentialsKind::Federation,
                CredentialsKind::Google,
                CredentialsKind::Entra,
            ];
            let accepted = all.into_iter().filter(|it| it.fits(kind));
            assert_eq!(accepted.count(), 1, "{kind:?}");
            for credentials in all.into_iter().filter(|it| !it.fits(kind)) {
                let host = HostConfig {
                    kind,
                    credentials,
                    ..HostConfig::default()
                };
                let wrong = wrong(&host);
                assert!(wrong.contains(&"credentials".to_owned()));
            }
        }
    }
}
