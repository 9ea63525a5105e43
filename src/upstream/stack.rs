//! The stack, layer by layer.

use super::{
    BoxStack, Client, UpstreamConfig,
    deadline::DeadlineLayer,
    http::{HttpApi, HttpConfigError},
    keys::{Keys, KeysLayer},
    places::PlacesLayer,
    retry::RetryPolicy,
};
use tower::{ServiceBuilder, retry::RetryLayer};

/// A client of the whole stack.
///
/// # Errors
/// When the configuration has an address or a version that cannot be used.
pub fn connect(config: &UpstreamConfig, keys: Keys) -> Result<Client, HttpConfigError> {
    let stack = stack(config, keys, HttpApi::new(config)?);
    Ok(Client::new(stack, config.read_timeout))
}

/// Outermost first.
fn stack(config: &UpstreamConfig, keys: Keys, http: HttpApi) -> BoxStack {
    let stack = ServiceBuilder::new()
        // Whatever happens below ends at the caller's deadline.
        .layer(DeadlineLayer)
        // Each attempt chooses its key and waits for its place anew.
        .layer(RetryLayer::new(RetryPolicy::new(&config.retry)))
        // A key that the API refuses is replaced without counting as a retry.
        .layer(KeysLayer::new(keys))
        // Only an attempt that runs holds a place.
        .layer(PlacesLayer::new(config.max_in_flight, config.place_timeout))
        .service(http);
    BoxStack::new(stack)
}
