//! The proxy by which the API is reached, according to the environment.

use super::exit::Failure;
use crate::{
    config::{Config, Environment},
    upstream::ProxyVariables,
};
use reqwest::Url;

/// The proxy variables; what is not UTF-8 is not the address of a proxy.
pub fn proxy_variables(environment: &Environment) -> ProxyVariables {
    let text = |name: &str| environment.get(name).map(|it| it.to_string_lossy().into());
    ProxyVariables::read(text)
}

/// Host and port of the proxy that `serve` would use, if any.
///
/// # Errors
/// [`Exit::Usage`](super::exit::Exit::Usage) when a variable is not the address
/// of a proxy.
pub fn proxy_of_api(config: &Config, environment: &Environment) -> Result<Option<String>, Failure> {
    let Ok(url) = Url::parse(&config.upstream.base_url) else {
        return Ok(None);
    };
    let proxy = proxy_variables(environment).proxy_for(&url);
    let proxy = proxy.map_err(|error| Failure::usage(error.to_string()))?;
    Ok(proxy.and_then(|proxy| Some(proxy.address.authority()?.to_string())))
}
