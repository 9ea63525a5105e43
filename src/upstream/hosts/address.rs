//! The address of a host: the one that is configured, or that of its kind.

use super::{HostConfig, HostKind};
use reqwest::Url;

impl HostConfig {
    /// The base URL.
    ///
    /// # Errors
    /// What must be set for a host of this kind.
    pub fn address(&self) -> Result<String, &'static str> {
        if let Some(url) = &self.base_url {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        let set = |value: &Option<String>, problem| value.clone().ok_or(problem);
        let region = || set(&self.region, "region must be set");
        let project = || set(&self.project, "project must be set");
        Ok(match self.kind {
            HostKind::Claude => "https://api.anthropic.com".to_owned(),
            HostKind::ClaudePlatformAws => {
                format!("https://aws-external-anthropic.{}.api.aws", region()?)
            }
            HostKind::BedrockMantle => {
                format!("https://bedrock-mantle.{}.api.aws/anthropic", region()?)
            }
            HostKind::BedrockRuntime => {
                format!("https://bedrock-runtime.{}.amazonaws.com", region()?)
            }
            HostKind::Vertex => vertex(&region()?),
            HostKind::GoogleCloud => {
                let workspace = set(&self.workspace_id, "workspace_id must be set")?;
                let (project, region) = (project()?, region()?);
                format!(
                    "https://claude.googleapis.com/v1/projects/{project}/locations/{region}/workspaces/{workspace}/invoke"
                )
            }
            HostKind::Foundry => {
                let resource = set(&self.resource, "resource must be set")?;
                format!("https://{resource}.services.ai.azure.com/anthropic")
            }
        })
    }

    /// Validates the address. Calls `wrong` with the key and the problem of a fault.
    pub(super) fn check_address(&self, wrong: &mut dyn FnMut(&str, String)) {
        match self.address() {
            Ok(address) => {
                if let Err(problem) = base_url(&address) {
                    wrong("base_url", problem.to_owned());
                }
            }
            Err(problem) => {
                let key = problem.split_once(' ').map_or("base_url", |(key, _)| key);
                wrong(key, format!("must be set for {}", self.kind.name()));
            }
        }
    }
}

/// The address of Vertex AI in a location.
fn vertex(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
        region => format!("https://{region}-aiplatform.googleapis.com/v1"),
    }
}

/// Validates a base URL. The error does not quote it, since it may contain a
/// password.
///
/// # Errors
/// What is wrong with it.
pub fn base_url(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).map_err(|_| "must be a URL such as https://api.anthropic.com")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must be an http or https URL with a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or fragment");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::hosts::check;

    /// The addresses that the official SDK classes call, with the same settings.
    #[test]
    fn each_kind_has_its_address() {
        let address = |kind, region: &str| {
            let host = HostConfig {
                region: Some(region.to_owned()),
                ..HostConfig::for_tests(kind)
            };
            let url = "https://api.anthropic.com";
            let mut wrong = |key: &str, problem| panic!("{key} {problem}");
            check(url, std::slice::from_ref(&host), &[], &mut wrong);
            host.address().unwrap()
        };
        for (kind, region, expected) in [
            (HostKind::Claude, "", "https://api.anthropic.com"),
            (
                HostKind::ClaudePlatformAws,
                "us-east-1",
                "https://aws-external-anthropic.us-east-1.api.aws",
            ),
            (
                HostKind::BedrockMantle,
                "us-east-1",
                "https://bedrock-mantle.us-east-1.api.aws/anthropic",
            ),
            (
                HostKind::BedrockRuntime,
                "us-east-1",
                "https://bedrock-runtime.us-east-1.amazonaws.com",
            ),
            (
                HostKind::Vertex,
                "global",
                "https://aiplatform.googleapis.com/v1",
            ),
            (
                HostKind::Vertex,
                "eu",
                "https://aiplatform.eu.rep.googleapis.com/v1",
            ),
            (
                HostKind::Vertex,
                "europe-west1",
                "https://europe-west1-aiplatform.googleapis.com/v1",
            ),
            (
                HostKind::GoogleCloud,
                "global",
                "https://claude.googleapis.com/v1/projects/p/locations/global/workspaces/wrkspc_1/invoke",
            ),
            (
                HostKind::Foundry,
                "eastus2",
                "https://r.services.ai.azure.com/anthropic",
            ),
        ] {
            let region = if region.is_empty() { "x" } else { region };
            assert_eq!(address(kind, region), expected);
        }
    }

    #[test]
    fn the_address_is_one_that_can_be_called() {
        for good in [
            "https://api.anthropic.com",
            "http://127.0.0.1:80",
            "https://a.b/c/",
        ] {
            assert_eq!(base_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "api.anthropic.com",
            "ftp://a",
            "https://",
            "https://me:hush@a",
        ] {
            let problem = base_url(bad).unwrap_err();
            assert!(!problem.contains("hush"), "{problem}");
        }
    }
}
