//! Attributes in OTLP.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Attributes under construction.
#[derive(Debug, Default)]
pub struct Attributes(pub Vec<KeyValue>);

impl Attributes {
    fn push(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }

    /// Adds a text; an empty one says nothing and is left out.
    pub fn text(&mut self, key: &str, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.push(key, Value::StringValue(text));
        }
    }

    /// Adds a whole number.
    pub fn integer(&mut self, key: &str, number: impl TryInto<i64>) {
        self.push(key, Value::IntValue(number.try_into().unwrap_or(i64::MAX)));
    }

    /// Adds a number.
    pub fn number(&mut self, key: &str, number: f64) {
        self.push(key, Value::DoubleValue(number));
    }

    /// Adds a time in seconds, unless there was none.
    pub fn seconds(&mut self, key: &str, time: Duration) {
        if !time.is_zero() {
            self.number(key, time.as_secs_f64());
        }
    }

    /// Adds a yes or no.
    pub fn boolean(&mut self, key: &str, yes: bool) {
        self.push(key, Value::BoolValue(yes));
    }

    /// Adds a list of one text.
    pub fn list_of(&mut self, key: &str, text: &str) {
        let value = Some(Value::StringValue(text.to_owned()));
        let values = vec![AnyValue { value }];
        self.push(key, Value::ArrayValue(ArrayValue { values }));
    }
}

/// Who tells.
pub fn resource(attributes: &[(String, String)]) -> Resource {
    let mut all = Attributes::default();
    for (key, value) in attributes {
        all.text(key, value.clone());
    }
    Resource {
        attributes: all.0,
        ..Resource::default()
    }
}

/// What of it tells.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: super::super::names::SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// A point in time as OTLP has it.
pub fn unix_nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
