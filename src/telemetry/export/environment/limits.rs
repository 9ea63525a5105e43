//! Limits of exported items: the number of attributes, events and links, and the
//! length of texts.

use super::reader::VariableReader;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// The default of the specification for every count.
const DEFAULT_MAX: usize = 128;

/// Limits of spans, and of their events and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLimits {
    /// Maximum length of an attribute text, in characters.
    pub value: Option<usize>,
    /// Maximum number of attributes per span.
    pub attributes: usize,
    /// Maximum number of events per span.
    pub events: usize,
    /// Maximum number of links per span.
    pub links: usize,
    /// Maximum number of attributes per event.
    pub event_attributes: usize,
    /// Maximum number of attributes per link.
    pub link_attributes: usize,
}

/// Limits of log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Maximum length of an attribute text, in characters.
    pub value: Option<usize>,
    /// Maximum number of attributes per record.
    pub attributes: usize,
}

impl VariableReader<'_> {
    /// The limits of each signal, which default to the general limits.
    pub(super) fn limits(&mut self) -> (SpanLimits, LogLimits) {
        let value = self.integer("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        let attributes = self.integer("OTEL_ATTRIBUTE_COUNT_LIMIT");
        let attributes = attributes.unwrap_or(DEFAULT_MAX);
        let mut count = |name: &str, default| self.integer(name).unwrap_or(default);
        let mut spans = SpanLimits {
            value,
            attributes: count("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes),
            events: count("OTEL_SPAN_EVENT_COUNT_LIMIT", DEFAULT_MAX),
            links: count("OTEL_SPAN_LINK_COUNT_LIMIT", DEFAULT_MAX),
            event_attributes: count("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", DEFAULT_MAX),
            link_attributes: count("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", DEFAULT_MAX),
        };
        let mut logs = LogLimits {
            value,
            attributes: count("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", attributes),
        };
        let own = self.integer("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        spans.value = own.or(value);
        let own = self.integer("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        logs.value = own.or(value);
        (spans, logs)
    }
}

// === impl SpanLimits ===

impl SpanLimits {
    /// Cuts a span to the limits.
    pub fn apply(&self, span: &mut SpanData) {
        span.dropped_attributes_count += cut(&mut span.attributes, self.attributes);
        self.shorten(&mut span.attributes);
        span.events.dropped_count += cut(&mut span.events.events, self.events);
        for event in &mut span.events.events {
            event.dropped_attributes_count += cut(&mut event.attributes, self.event_attributes);
            self.shorten(&mut event.attributes);
        }
        span.links.dropped_count += cut(&mut span.links.links, self.links);
        for link in &mut span.links.links {
            link.dropped_attributes_count += cut(&mut link.attributes, self.link_attributes);
            self.shorten(&mut link.attributes);
        }
    }

    fn shorten(&self, attributes: &mut [KeyValue]) {
        let Some(longest) = self.value else {
            return;
        };
        for KeyValue { value, .. } in attributes {
            if let Value::String(text) = value
                && let Some(short) = shortened(text.as_str(), longest)
            {
                *value = short.to_owned().into();
            }
        }
    }
}

/// The first `longest` characters of a text, if it is longer.
pub fn shortened(text: &str, longest: usize) -> Option<&str> {
    let (end, _) = text.char_indices().nth(longest)?;
    Some(&text[..end])
}

/// Keeps the first `most` items, and returns how many were dropped.
fn cut<T>(items: &mut Vec<T>, most: usize) -> u32 {
    let over = items.len().saturating_sub(most);
    items.truncate(most);
    u32::try_from(over).unwrap_or(u32::MAX)
}
