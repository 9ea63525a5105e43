//! How large a status may be.
//!
//! A status travels in the trailers of a call, which gRPC clients bound: above
//! the 8 KiB of grpcio, the caller sees RESOURCE_EXHAUSTED instead of its
//! error. The size as sent counts. `grpc-message` is percent-encoded, which
//! makes a character up to three times as long. `grpc-status-details-bin` is
//! Base64 of the details, which repeat the message.
//!
//! Every part of a status is bounded here: what other systems wrote into it
//! when it is added, and the message, which takes what the details leave, when
//! the status is built.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Maximum size of message and details as sent, in bytes: 8 KiB, without the
/// other headers. Each of those counts with 32 bytes in addition to its text
/// (RFC 9113, section 6.5.2), and a proxy may add some.
const MAX_SENT: usize = 7 * 1024;

/// Maximum size of all violations in a status, in bytes before Base64. The rest
/// of the details is at most 1 KiB, so that some 800 characters of ASCII are
/// left for the message.
pub const MAX_VIOLATIONS: usize = 2560;

/// The tags and lengths of a violation and its two texts, in bytes.
pub const VIOLATION_OVERHEAD: usize = 9;

/// Maximum size of the description of a violation, in bytes: one of them must
/// not use up the space of all others.
pub const MAX_DESCRIPTION: usize = 2048;

/// Maximum size of the path of a field, in bytes. The longest of the API is a
/// third of it.
pub const MAX_FIELD: usize = 256;

/// Maximum length of an identifier that another system chose: an error type, a
/// request id.
const MAX_IDENTIFIER: usize = 128;

/// The status, with as much of the message as there is room for.
pub fn fitting(code: Code, message: &str, details: ErrorDetails) -> Status {
    let without_message = Status::with_error_details(code, "", details.clone());
    let room = MAX_SENT.saturating_sub(base64_length(without_message.details().len()));
    Status::with_error_details(code, shortened(message, room, message_length), details)
}

/// An identifier of another system, shortened and in visible ASCII: everything
/// else is escaped as in `\u{e9}`.
pub fn identifier(text: &str) -> String {
    let escaped = text.chars().flat_map(|c| {
        let (visible, other) = match c {
            '!'..='~' => (Some(c), None),
            _ => (None, Some(c.escape_unicode())),
        };
        visible.into_iter().chain(other.into_iter().flatten())
    });
    escaped.take(MAX_IDENTIFIER).collect()
}

/// A text of at most `max_bytes` bytes in UTF-8.
pub fn within(text: &str, max_bytes: usize) -> String {
    shortened(text, max_bytes, char::len_utf8)
}

/// The longest beginning of a text that has room, in the lengths that `length`
/// measures. `…` marks what was cut.
fn shortened(text: &str, room: usize, length: impl Fn(char) -> usize) -> String {
    const MARK: char = '…';
    let mut used = 0;
    let mut end = 0;
    for (start, c) in text.char_indices() {
        used += length(c);
        if used > room {
            return format!("{}{MARK}", &text[..end]);
        }
        if used + length(MARK) <= room {
            end = start + c.len_utf8();
        }
    }
    text.to_owned()
}

/// What a character of the message adds: percent-encoded in `grpc-message`, and
/// once more in the details.
fn message_length(c: char) -> usize {
    let encoded = match c {
        '"' | '#' | '%' | '<' | '>' | '`' | '?' | '{' | '}' => 3,
        '!'..='~' => 1,
        _ => 3 * c.len_utf8(),
    };
    encoded + base64_length(c.len_utf8())
}

fn base64_length(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{
        reason::Reason,
        status::{self, Violations},
        upstream::{ApiFailure, Failed, UpstreamError},
    };
    use proptest::prelude::*;

    /// The soft limit of grpcio: it rejects more at random, and all from 16 KiB.
    const CLIENT_LIMIT: usize = 8 * 1024;

    /// Left for the headers that are not of the status.
    const OTHERS: usize = 512;

    /// The trailers as a client counts them.
    fn sent(status: &Status) -> usize {
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let lengths = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32);
        lengths.sum()
    }

    /// Fails unless every client accepts the trailers of this status.
    pub fn assert_arrives(status: &Status) {
        let sent = sent(status);
        assert!(sent + OTHERS <= CLIENT_LIMIT, "{sent} bytes: {status:?}");
    }

    fn any_text() -> impl Strategy<Value = String> {
        let kinds = prop_oneof![
            "\\PC{0,40}",
            ".{0,40}",
            "[%\"{}#]{0,40}",
            "[\u{0}-\u{1f}]{0,40}",
            "[\u{1f600}-\u{1f64f}]{0,40}",
            "[\u{4e00}-\u{4eff}]{0,40}",
        ];
        (kinds, prop_oneof![Just(1_usize), 1..400_usize])
            .prop_map(|(text, times)| text.repeat(times))
    }

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(within("abcdef", 6), "abcdef");
        assert_eq!(within("abcdefg", 6), "abc…");
        assert_eq!(within("ééé", 5), "é…");
    }

    #[test]
    fn an_identifier_is_visible_ascii() {
        let usual = "req_011CSHoEeqs5C35K2UUqR7Fy";
        assert_eq!(identifier(usual), usual);
        assert_eq!(identifier("a b\né"), "a\\u{20}b\\u{a}\\u{e9}");
        assert_eq!(identifier(&"k".repeat(12_000)).len(), 128);
    }

    proptest! {
        #[test]
        fn the_error_of_an_api_arrives_whatever_is_in_it(
            http in prop::sample::select(vec![400_u16, 401, 402, 404, 413, 418, 429, 500, 529]),
            kind in any_text(),
            message in any_text(),
            code in prop::option::of(any_text()),
            request_id in prop::option::of(any_text()),
            attempts: u32,
            retry_after in prop::option::of(any::<std::time::Duration>()),
        ) {
            let failure = ApiFailure {
                status: http, kind, message, code, request_id, retry_after, ..ApiFailure::default()
            };
            let error = UpstreamError::Api(Box::new(failure));
            assert_arrives(&status::upstream_failed(&Failed { error, attempts }, "messages"));
        }

        #[test]
        fn violations_arrive_however_many_there_are(
            violations in prop::collection::vec((any_text(), any_text()), 1..40),
            times in prop_oneof![Just(1_usize), 1..50_usize],
        ) {
            let mut collected = Violations::default();
            for _ in 0..times {
                for (field, description) in &violations {
                    collected.add(field, description.clone());
                }
            }
            let count = violations.len() * times;
            let status = collected.into_status();
            assert_arrives(&status);
            let details = status.get_error_details();
            let listed = details.bad_request().map_or(0, |it| it.field_violations.len());
            if listed < count {
                let note = format!("{} of them not listed", count - listed);
                prop_assert!(status.message().ends_with(&note), "{}", status.message());
            }
        }

        #[test]
        fn any_message_arrives(text in any_text(), request_id in any_text(), code in 1..17_i32) {
            let given = Status::new(Code::from_i32(code), text.clone());
            assert_arrives(&status::detailed(&given));
            assert_arrives(&status::invalid_answer(Reason::AnswerInvalid, text, Some(&request_id)));
        }

        /// What is counted is what tonic sends.
        #[test]
        fn the_length_of_a_message_is_that_of_its_encoding(text in any_text()) {
            let status = Status::with_error_details(Code::Internal, text.clone(), ErrorDetails::new());
            let mut headers = http::HeaderMap::new();
            status.add_header(&mut headers).unwrap();
            let sent = headers.get("grpc-message").map_or(0, http::HeaderValue::len)
                + headers.get("grpc-status-details-bin").map_or(0, http::HeaderValue::len);
            let counted: usize = text.chars().map(message_length).sum();
            // The details have a code, and the length of the message.
            prop_assert!(sent <= counted + 12, "{sent} {counted}");
        }
    }
}
