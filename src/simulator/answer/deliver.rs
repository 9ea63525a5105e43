//! Writing an answer: at once or as a stream, at its speed, and with the
//! faults that strike in the middle.

use super::{
    super::{
        behaviour::Behaviour,
        body::{AnswerBody, BrokenOff, Pieces, Whole, respond},
        cache::CacheWrites,
        config::SimulatorConfig,
        error::ApiError,
        exchange::{Exchange, ExchangeError},
        host::StreamFraming,
        limits::OutputReservation,
    },
    events::{self, WireEvent},
    message::SimulatedMessage,
};
use bytes::Bytes;
use http::Response;
use std::{future::pending, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// Sent in place of JSON.
const GARBAGE: &str = "<<< this is not JSON >>>";

/// A slow plain answer comes in pieces of this size.
const SLOW_BYTES: usize = 16;

/// Sends the answer at the configured speed.
///
/// # Errors
/// When the behaviour asks for an error.
pub(super) async fn deliver(
    exchange: &Exchange,
    answer: SimulatedMessage,
    streams: bool,
    mut reservation: OutputReservation,
    writes: CacheWrites,
) -> Result<Response<AnswerBody>, ExchangeError> {
    reservation.used = answer.output_tokens();
    let config = &exchange.state.config;
    if !config.time_to_first_token.is_zero() {
        sleep(config.time_to_first_token).await;
    }
    exchange.state.cache.write(writes);
    if streams {
        let framing = StreamFraming {
            host: config.host,
            input_tokens: answer.usage.input_tokens.unwrap_or(0),
            output_tokens: answer.output_tokens(),
        };
        let behaviour = exchange.behaviour.clone();
        let error = match behaviour {
            Some(Behaviour::StreamError { status, .. }) => {
                let message = format!("[simulated] an error with status {status}");
                ApiError::new(status, message)
            }
            _ => ApiError::overloaded(),
        };
        let error = framing.error(&error, &exchange.request_id);
        let pace = Pace::new(config);
        let pieces = stream(answer, behaviour, error, framing, pace, reservation);
        let body = AnswerBody::pieces(pieces);
        let mut response = respond(framing.content_type(), body);
        framing.set_headers(response.headers_mut());
        return Ok(response);
    }
    Pace::new(config).wait(answer.output_tokens()).await;
    Ok(plain(answer.json(), exchange.behaviour.as_ref())?)
}

/// A whole answer in JSON.
///
/// # Errors
/// When the behaviour asks for an error.
pub(in crate::simulator) fn plain(
    json: String,
    behaviour: Option<&Behaviour>,
) -> Result<Response<AnswerBody>, ApiError> {
    let bytes = Bytes::from(json);
    let pieces: Pieces = match behaviour {
        Some(Behaviour::Garbage) => return Ok(Whole::json(GARBAGE).respond()),
        Some(Behaviour::ErrorEvent { .. }) => return Err(ApiError::overloaded()),
        Some(Behaviour::StreamError { status, .. }) => {
            let message = format!("[simulated] an answer with status {status}");
            return Err(ApiError::new(*status, message));
        }
        Some(Behaviour::Cut { .. }) => Box::pin(async_stream::stream! {
            yield Ok(bytes.slice(..bytes.len() / 2));
            flushed().await;
            yield Err(BrokenOff::Cut);
        }),
        Some(Behaviour::HangAfter { .. }) => Box::pin(async_stream::stream! {
            yield Ok(bytes.slice(..bytes.len() / 2));
            pending::<()>().await;
        }),
        Some(Behaviour::SlowBody { delay }) => {
            let delay = *delay;
            Box::pin(async_stream::stream! {
                let mut rest = bytes;
                while !rest.is_empty() {
                    sleep(delay).await;
                    yield Ok(rest.split_to(SLOW_BYTES.min(rest.len())));
                }
            })
        }
        _ => return Ok(Whole::json(bytes).respond()),
    };
    Ok(respond("application/json", AnswerBody::pieces(pieces)))
}

/// The events, each produced when it is read. The reservation is settled
/// when the stream is dropped.
fn stream(
    answer: SimulatedMessage,
    behaviour: Option<Behaviour>,
    error: Bytes,
    framing: StreamFraming,
    pace: Pace,
    reservation: OutputReservation,
) -> Pieces {
    Box::pin(async_stream::stream! {
        let _reservation = reservation;
        let mut tokens = 0;
        for (position, mut event) in events::of(answer).enumerate() {
            match behaviour {
                Some(Behaviour::Cut { after_events }) if ends(&event, position, after_events) => {
                    flushed().await;
                    yield Err(BrokenOff::Cut);
                    return;
                }
                Some(
                    Behaviour::ErrorEvent { after_events }
                    | Behaviour::StreamError { after_events, .. },
                ) if ends(&event, position, after_events) => {
                    yield Ok(error);
                    return;
                }
                Some(Behaviour::HangAfter { events }) if ends(&event, position, events) => {
                    pending::<()>().await;
                }
                Some(Behaviour::SlowBody { delay }) => sleep(delay).await,
                Some(Behaviour::Garbage) => event.data = GARBAGE.to_owned(),
                _ => {}
            }
            tokens += event.tokens;
            pace.wait(tokens).await;
            yield Ok(framing.event(event.name, &event.data));
        }
    })
}

/// Whether the stream ends before this event: an answer with fewer events than
/// that does not become whole either.
fn ends(event: &WireEvent, position: usize, after_events: usize) -> bool {
    position >= after_events || event.name == "message_stop"
}

/// Lets hyper send what it holds before the connection is closed: it does so
/// whenever the body has nothing ready.
async fn flushed() {
    tokio::task::yield_now().await;
}

/// The speed of an answer.
#[derive(Debug, Clone, Copy)]
struct Pace {
    begun: Instant,
    /// 0 for as fast as possible.
    tokens_per_second: f64,
}

impl Pace {
    fn new(config: &SimulatorConfig) -> Self {
        Pace {
            begun: Instant::now(),
            tokens_per_second: config.tokens_per_second,
        }
    }

    /// Waits until the time at which this number of tokens is written.
    async fn wait(&self, tokens: u64) {
        if self.tokens_per_second > 0.0 && tokens > 0 {
            let seconds = tokens as f64 / self.tokens_per_second;
            // A very slow simulator hangs, rather than overflow the clock.
            let taken = Duration::try_from_secs_f64(seconds.min(1e6)).unwrap_or_default();
            sleep_until(self.begun + taken).await;
        }
    }
}
