//! The resource and the scope that exported items belong to.

use super::environment::OtelSettings;
use crate::telemetry::names;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::{
    Resource,
    resource::{ResourceDetector, TelemetryResourceDetector},
};
use uuid::Uuid;

/// The resource that the variables describe, with defaults for the rest.
pub fn resource(settings: &OtelSettings) -> Resource {
    let given = settings.resource.iter();
    let given = given.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let sdk: Box<dyn ResourceDetector> = Box::new(TelemetryResourceDetector);
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "claude-grpc"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            // Distinguishes replicas, which push the same series.
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ])
        .with_detector(sdk)
        .with_attributes(given)
        .build()
}

/// The instrumentation scope of everything exported.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(names::SCOPE)
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}
