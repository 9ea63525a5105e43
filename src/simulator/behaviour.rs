//! Behaviours that a request can be given: faults, and unusual answers.
//!
//! A client asks for one with the header `x-simulator: NAME[=VALUE]`, to which
//! `;times=N` limits it to the first N attempts of a call, as the official
//! SDKs number them in `x-stainless-retry-count`.

use crate::claude::error::type_of_status;
use humantime::format_duration;
use std::{fmt, str::FromStr, time::Duration};
use thiserror::Error;

/// Type of the block that [`Behaviour::UnknownBlock`] adds, and the stop reason
/// of [`Behaviour::UnknownStopReason`].
pub(super) const UNKNOWN_BLOCK: &str = "simulated_unknown";

/// What a request meets instead of an ordinary answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// `rate_limited=2s` or `429=2s`: a 429 with `retry-after`.
    RateLimited {
        /// Sent in whole seconds, rounded up, and in `retry-after-ms` too when
        /// it is not a whole number of seconds.
        retry_after: Duration,
    },
    /// `spend_limit`: a 429 that lasts until the month ends, without
    /// `retry-after`.
    SpendLimit,
    /// `overloaded`: a 529.
    Overloaded,
    /// `500`: the error of a status: 400, 401, 402, 403, 404, 408, 409, 413,
    /// 422, 429, 500, 502, 503, 504 or 529.
    Error(u16),
    /// `should_retry=true,400`: the error of a status with `x-should-retry`.
    ShouldRetry(bool, u16),
    /// `drop`: the connection is closed before any byte of the answer (with
    /// HTTP/2, the stream is reset).
    Drop,
    /// `disconnect`: the connection is closed at once, with every stream on it.
    Disconnect,
    /// `refused_stream`: the stream is reset with `REFUSED_STREAM`, which says
    /// that the request was not processed (with HTTP/1.1, as `drop`).
    RefusedStream,
    /// `goaway`: an ordinary answer, after which the connection accepts no
    /// further request.
    GoAway,
    /// `cut=3`: the stream breaks off after three events, at the latest before
    /// `message_stop`; a plain answer breaks off half way.
    Cut {
        /// Events that are still sent, `message_start` and `ping` included.
        after_events: usize,
    },
    /// `error_event=3`: an `error` event (overloaded) ends the stream; a plain
    /// answer is a 529.
    ErrorEvent {
        /// Events that are sent before it.
        after_events: usize,
    },
    /// `stream_error=3,429`: as `error_event`, with the error of a status; on Amazon
    /// Bedrock's runtime, an exception.
    StreamError {
        /// Events that are sent before it.
        after_events: usize,
        /// Status of the error.
        status: u16,
    },
    /// `hang`: the request is accepted and never answered.
    Hang,
    /// `hang_after=3`: the stream stops moving, with the connection open; a
    /// plain answer stops half way.
    HangAfter {
        /// Events that are still sent.
        events: usize,
    },
    /// `garbage`: 200 with a body that is not JSON; in a stream, events whose
    /// data is not JSON.
    Garbage,
    /// `html_error`: a proxy's 502 with a page for people.
    HtmlError,
    /// `slow_body=100ms`: the answer is sent slowly, in small pieces.
    SlowBody {
        /// Pause before each 16 bytes of a plain answer, and before each event
        /// of a stream.
        delay: Duration,
    },
    /// `refusal`: a part of a text, then `stop_reason` refusal.
    Refusal,
    /// `unknown_block`: the answer has a block, deltas and an event of unknown
    /// types.
    UnknownBlock,
    /// `unknown_stop_reason`: the answer stops for an unknown reason.
    UnknownStopReason,
    /// `thinking`: a thinking block and a redacted one come first.
    Thinking,
    /// `citations`: the text cites a document.
    Citations,
    /// `deltas=10000`: a text of the numbers below 10,000, one per delta, each
    /// produced when it is read.
    Deltas(u64),
    /// `text=…`: exactly this text is the answer.
    Text(String),
    /// `max_tokens`: the answer is cut, with `stop_reason` max_tokens.
    MaxTokens,
}

/// A text that names no behaviour, or has an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown behaviour of the simulator: `{0}`")]
pub struct UnknownBehaviour(String);

impl FromStr for Behaviour {
    type Err = UnknownBehaviour;

    fn from_str(text: &str) -> Result<Self, UnknownBehaviour> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value)),
            None => (text.trim(), None),
        };
        parse(name, value).ok_or_else(|| UnknownBehaviour(text.to_owned()))
    }
}

fn parse(name: &str, value: Option<&str>) -> Option<Behaviour> {
    // Text is taken as it is; all other values may have blanks around them.
    if name == "text" {
        return Some(Behaviour::Text(value?.to_owned()));
    }
    let value = value.map(str::trim);
    Some(match (name, value) {
        ("rate_limited" | "429", Some(after)) => Behaviour::RateLimited {
            retry_after: humantime::parse_duration(after).ok()?,
        },
        ("should_retry", Some(value)) => {
            let (should_retry, status) = value.split_once(',')?;
            Behaviour::ShouldRetry(should_retry.trim().parse().ok()?, parse_status(status)?)
        }
        ("cut", Some(events)) => Behaviour::Cut {
            after_events: events.parse().ok()?,
        },
        ("error_event", Some(events)) => Behaviour::ErrorEvent {
            after_events: events.parse().ok()?,
        },
        ("stream_error", Some(value)) => {
            let (events, status) = value.split_once(',')?;
            Behaviour::StreamError {
                after_events: events.trim().parse().ok()?,
                status: parse_status(status)?,
            }
        }
        ("hang_after", Some(events)) => Behaviour::HangAfter {
            events: events.parse().ok()?,
        },
        ("slow_body", Some(delay)) => Behaviour::SlowBody {
            delay: humantime::parse_duration(delay).ok()?,
        },
        ("deltas", Some(count)) => Behaviour::Deltas(count.parse().ok()?),
        (_, Some(_)) => return None,
        ("spend_limit", None) => Behaviour::SpendLimit,
        ("overloaded", None) => Behaviour::Overloaded,
        ("drop", None) => Behaviour::Drop,
        ("disconnect", None) => Behaviour::Disconnect,
        ("refused_stream", None) => Behaviour::RefusedStream,
        ("goaway", None) => Behaviour::GoAway,
        ("hang", None) => Behaviour::Hang,
        ("garbage", None) => Behaviour::Garbage,
        ("html_error", None) => Behaviour::HtmlError,
        ("refusal", None) => Behaviour::Refusal,
        ("unknown_block", None) => Behaviour::UnknownBlock,
        ("unknown_stop_reason", None) => Behaviour::UnknownStopReason,
        ("thinking", None) => Behaviour::Thinking,
        ("citations", None) => Behaviour::Citations,
        ("max_tokens", None) => Behaviour::MaxTokens,
        (status, None) => Behaviour::Error(parse_status(status)?),
    })
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Behaviour::RateLimited { retry_after } => {
                write!(f, "rate_limited={}", format_duration(*retry_after))
            }
            Behaviour::SpendLimit => f.write_str("spend_limit"),
            Behaviour::Overloaded => f.write_str("overloaded"),
            Behaviour::Error(status) => write!(f, "{status}"),
            Behaviour::ShouldRetry(should_retry, status) => {
                write!(f, "should_retry={should_retry},{status}")
            }
            Behaviour::Drop => f.write_str("drop"),
            Behaviour::Disconnect => f.write_str("disconnect"),
            Behaviour::RefusedStream => f.write_str("refused_stream"),
            Behaviour::GoAway => f.write_str("goaway"),
            Behaviour::Cut { after_events } => write!(f, "cut={after_events}"),
            Behaviour::ErrorEvent { after_events } => write!(f, "error_event={after_events}"),
            Behaviour::StreamError {
                after_events,
                status,
            } => write!(f, "stream_error={after_events},{status}"),
            Behaviour::Hang => f.write_str("hang"),
            Behaviour::HangAfter { events } => write!(f, "hang_after={events}"),
            Behaviour::Garbage => f.write_str("garbage"),
            Behaviour::HtmlError => f.write_str("html_error"),
            Behaviour::SlowBody { delay } => write!(f, "slow_body={}", format_duration(*delay)),
            Behaviour::Refusal => f.write_str("refusal"),
            Behaviour::UnknownBlock => f.write_str("unknown_block"),
            Behaviour::UnknownStopReason => f.write_str("unknown_stop_reason"),
            Behaviour::Thinking => f.write_str("thinking"),
            Behaviour::Citations => f.write_str("citations"),
            Behaviour::Deltas(count) => write!(f, "deltas={count}"),
            Behaviour::Text(text) => write!(f, "text={text}"),
            Behaviour::MaxTokens => f.write_str("max_tokens"),
        }
    }
}

/// The value of the header `x-simulator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestedBehaviour {
    behaviour: Behaviour,
    /// Number of attempts of a call that meet it; all when `None`.
    times: Option<u32>,
}

impl RequestedBehaviour {
    /// The behaviour of the attempt that follows `retries` earlier ones.
    pub(super) fn attempt(self, retries: u32) -> Option<Behaviour> {
        match self.times {
            Some(times) if retries >= times => None,
            _ => Some(self.behaviour),
        }
    }
}

impl FromStr for RequestedBehaviour {
    type Err = UnknownBehaviour;

    fn from_str(text: &str) -> Result<Self, UnknownBehaviour> {
        if let Some((behaviour, option)) = text.rsplit_once(';')
            && let Some(times) = option.trim().strip_prefix("times=")
        {
            let times = times
                .parse()
                .map_err(|_| UnknownBehaviour(text.to_owned()))?;
            return Ok(RequestedBehaviour {
                behaviour: behaviour.parse()?,
                times: Some(times),
            });
        }
        Ok(RequestedBehaviour {
            behaviour: text.parse()?,
            times: None,
        })
    }
}

fn parse_status(text: &str) -> Option<u16> {
    let status = text.trim().parse().ok()?;
    type_of_status(status)?;
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_behaviour() -> impl Strategy<Value = Behaviour> {
        let duration = (0..1_000_000_000_000u64).prop_map(Duration::from_nanos);
        let slow = duration
            .clone()
            .prop_map(|delay| Behaviour::SlowBody { delay });
        let limited = duration.prop_map(|retry_after| Behaviour::RateLimited { retry_after });
        prop_oneof![
            limited,
            slow,
            prop::sample::select(vec![
                400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 529
            ])
            .prop_map(Behaviour::Error),
            (any::<bool>(), prop::sample::select(vec![400, 503]))
                .prop_map(|(should, status)| Behaviour::ShouldRetry(should, status)),
            any::<usize>().prop_map(|after_events| Behaviour::Cut { after_events }),
            any::<usize>().prop_map(|after_events| Behaviour::ErrorEvent { after_events }),
            any::<usize>().prop_map(|after_events| Behaviour::StreamError {
                after_events,
                status: 429,
            }),
            any::<usize>().prop_map(|events| Behaviour::HangAfter { events }),
            any::<u64>().prop_map(Behaviour::Deltas),
            any::<String>().prop_map(Behaviour::Text),
            prop::sample::select(vec![
                Behaviour::SpendLimit,
                Behaviour::Overloaded,
                Behaviour::Drop,
                Behaviour::Disconnect,
                Behaviour::RefusedStream,
                Behaviour::GoAway,
                Behaviour::Hang,
                Behaviour::Garbage,
                Behaviour::HtmlError,
                Behaviour::Refusal,
                Behaviour::UnknownBlock,
                Behaviour::UnknownStopReason,
                Behaviour::Thinking,
                Behaviour::Citations,
                Behaviour::MaxTokens,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(behaviour in any_behaviour()) {
            prop_assert_eq!(behaviour.to_string().parse(), Ok(behaviour));
        }

        #[test]
        fn nothing_makes_the_parser_fail(text: String) {
            let _ = text.parse::<RequestedBehaviour>();
        }
    }

    #[test]
    fn the_header_counts_attempts() {
        let asked: RequestedBehaviour = "529;times=2".parse().unwrap();
        assert_eq!(asked.clone().attempt(1), Some(Behaviour::Error(529)));
        assert_eq!(asked.attempt(2), None);
        let asked: RequestedBehaviour = "429=2s".parse().unwrap();
        let retry_after = Duration::from_secs(2);
        assert_eq!(
            asked.attempt(9),
            Some(Behaviour::RateLimited { retry_after })
        );
        let asked: RequestedBehaviour = "text=a;b=c;times=1".parse().unwrap();
        assert_eq!(asked.attempt(0), Some(Behaviour::Text("a;b=c".to_owned())));
        for unknown in ["", "418", "nap", "cut", "cut=x", "hang=1", "529;times=x"] {
            assert!(unknown.parse::<RequestedBehaviour>().is_err(), "{unknown}");
        }
    }
}
