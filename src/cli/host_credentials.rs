//! The credentials that the service fetches itself for a host, in place of API keys.

use super::exit::{Failure, with_causes};
use crate::{
    credentials::{AwsSigner, BearerToken, CredentialsError, Federation, entra_token},
    upstream::{CredentialsKind, HostConfig, Key, ProxyVariables, UpstreamConfig, token_client},
};
use std::error::Error;

/// The credentials of a host; `None` for one with keys.
///
/// # Errors
/// When there are none here. A source that cannot be reached is asked again with the calls:
/// other hosts may serve them meanwhile.
pub async fn credentials_of(
    host: &HostConfig,
    upstream: &UpstreamConfig,
    proxies: &ProxyVariables,
) -> Result<Option<Key>, Failure> {
    let token = match host.credentials {
        CredentialsKind::Key => return Ok(None),
        CredentialsKind::Aws => return aws(host).await.map(Some),
        CredentialsKind::Federation => federation(host, upstream, proxies).await?,
        CredentialsKind::Google => {
            BearerToken::of_google().map_err(|error| missing(host, &error))?
        }
        CredentialsKind::Entra => entra_token().map_err(|error| missing(host, &error))?,
    };
    Ok(Some(key(host, token).await))
}

/// Finds the credentials of a host on AWS.
async fn aws(host: &HostConfig) -> Result<Key, Failure> {
    let service = host.kind.aws_service().unwrap_or_default();
    let region = host.region.as_deref().unwrap_or_default();
    let profile = host.aws_profile.as_deref();
    let signer = AwsSigner::load(service, region, profile).await;
    let signer = signer.map_err(|error: CredentialsError| missing(host, &error))?;
    let profile = profile.unwrap_or_default();
    let shared_name = format!("{service}/{region}/{profile}/{}", host.name);
    Ok(Key::of_aws(&shared_name, signer))
}

/// The access token of the Claude API for the identity token of the platform.
async fn federation(
    host: &HostConfig,
    upstream: &UpstreamConfig,
    proxies: &ProxyVariables,
) -> Result<BearerToken, Failure> {
    let (client, base_url) =
        token_client(host, upstream, proxies).map_err(|error| missing(host, &error))?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let federation = Federation {
        federation_rule_id: text(&host.federation_rule_id),
        organization_id: text(&host.organization_id),
        service_account_id: host.service_account_id.clone(),
        workspace_id: host.workspace_id.clone(),
        identity_token_file: host.identity_token_file.clone().unwrap_or_default(),
    };
    let identity = federation.identity_token().await;
    identity.map_err(|error| missing(host, &error))?;
    Ok(federation.token(client, &base_url))
}

/// A token as a key, fetched before the first call.
async fn key(host: &HostConfig, token: BearerToken) -> Key {
    // Logged there.
    let _ = token.fetch().await;
    // What replicas share of it: the same rights, whatever the token is.
    let workspace = host.workspace_id.as_deref().unwrap_or_default();
    let rights = host.federation_rule_id.as_deref().unwrap_or_default();
    let source = token.source().name();
    let shared_name = format!("{source}/{rights}/{workspace}/{}", host.name);
    Key::of_token(&shared_name, token)
}

fn missing(host: &HostConfig, error: &dyn Error) -> Failure {
    Failure::usage(format!(
        "upstream.hosts: {}: {}",
        host.name,
        with_causes(error)
    ))
}
