//! Who tells.

use super::environment::OtelSettings;
use crate::telemetry::names;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{
    Resource,
    resource::{ResourceDetector, TelemetryResourceDetector},
};
use uuid::Uuid;

/// The resource that the variables describe, with what they do not say.
pub fn resource(settings: &OtelSettings) -> Resource {
    let given = settings.resource.iter();
    let given = given.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let sdk: Box<dyn ResourceDetector> = Box::new(TelemetryResourceDetector);
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "claude-grpc"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            // Replicas push the same series: this tells them apart.
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ])
        .with_detector(sdk)
        .with_attributes(given)
        .build()
}

/// The instrumentation scope of all that the service exports.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(names::SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}
