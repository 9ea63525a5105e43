//! Decodes the body of a streamed response into events.

use super::{body_ends::BodyEnds, response::BodyBroke};
use crate::{
    claude::{error::ErrorBody, event::StreamEvent, event_reader::EventReader},
    upstream::{EventStream, UpstreamError, usage_meter::UsageMeter},
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::time::timeout;

/// Reads events on demand; `meter` counts their usage.
pub fn events(
    body: impl Stream<Item = Result<Bytes, BodyBroke>> + Send + 'static,
    read_timeout: Duration,
    meter: UsageMeter,
    body_ends: BodyEnds,
) -> EventStream {
    let events = async_stream::stream! {
        let mut body = Box::pin(body);
        let mut reader = EventReader::default();
        let mut has_ended = false;
        loop {
            match reader.next_event() {
                Ok(Some(StreamEvent::MessageStop)) => break,
                Ok(Some(StreamEvent::Error(error))) => {
                    yield Err(failure(*error));
                    return;
                }
                Ok(Some(event)) => {
                    yield Ok(event);
                    continue;
                }
                // A stream without `message_stop` was cut off, maybe in an event.
                Ok(None) | Err(_) if has_ended => {
                    yield Err(UpstreamError::Broken);
                    return;
                }
                Ok(None) => {}
                Err(error) => {
                    yield Err(UpstreamError::Malformed(error));
                    return;
                }
            }
            match timeout(read_timeout, body.next()).await {
                Ok(Some(Ok(bytes))) => reader.feed(&bytes),
                Ok(Some(Err(broke))) => {
                    yield Err(broke.into());
                    return;
                }
                Ok(None) => {
                    has_ended = true;
                    reader.body_ended();
                }
                Err(_) => {
                    yield Err(UpstreamError::Stalled(read_timeout));
                    return;
                }
            }
        }
        // Whatever follows, the response is complete.
        body_ends.read(body);
        yield Ok(StreamEvent::MessageStop);
    };
    EventStream::metered(events, meter)
}

/// The failure that an `error` event reports, or an error with the status of a
/// success.
pub fn failure(body: ErrorBody) -> UpstreamError {
    UpstreamError::Api(Box::new(body.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    async fn read(pieces: &[&'static str]) -> Vec<Result<StreamEvent, UpstreamError>> {
        let pieces: Vec<_> = pieces.iter().map(|it| Ok(Bytes::from(*it))).collect();
        events(
            stream::iter(pieces),
            Duration::from_secs(1),
            UsageMeter::default(),
            BodyEnds::default(),
        )
        .collect()
        .await
    }

    #[tokio::test]
    async fn it_ends_after_message_stop_and_only_then() {
        const START: &str = "event: message_start\ndata: {}\n\n";
        let whole = read(&[
            START,
            "event: message_stop\ndata: {}\n\n",
            "event: ping\n\n",
        ])
        .await;
        assert!(matches!(
            whole[..],
            [
                Ok(StreamEvent::MessageStart(_)),
                Ok(StreamEvent::MessageStop)
            ]
        ));
        for cut in [
            "",
            "event: message_st",
            "event: message_delta\ndata: {\"type\":",
        ] {
            let cut = read(&[START, cut]).await;
            assert!(matches!(
                cut[..],
                [Ok(StreamEvent::MessageStart(_)), Err(UpstreamError::Broken)]
            ));
        }
    }

    #[tokio::test]
    async fn the_last_event_may_lack_its_empty_line() {
        for end in ["", "\n", "\r\n"] {
            let stop = format!("data: {{\"type\":\"message_stop\"}}{end}");
            let whole = read(&["event: message_start\ndata: {}\n\n", stop.leak()]).await;
            assert!(matches!(whole[..], [_, Ok(StreamEvent::MessageStop)]));
        }
    }

    /// The time stands still, so any wait would fail the test.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_held_open_costs_nothing() {
        let whole = "event: message_start\ndata: {}\n\nevent: message_stop\ndata: {}\n\n";
        let held = stream::iter([Ok(Bytes::from(whole))]).chain(stream::pending());
        let began = tokio::time::Instant::now();
        let whole = events(
            held,
            Duration::from_secs(30),
            UsageMeter::default(),
            BodyEnds::default(),
        );
        let whole: Vec<_> = whole.collect().await;
        assert!(matches!(whole[..], [.., Ok(StreamEvent::MessageStop)]));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn an_error_event_has_the_status_of_its_type() {
        let read = read(&[
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
        ])
        .await;
        let [Err(UpstreamError::Api(failure))] = &read[..] else {
            panic!("{read:?}");
        };
        assert_eq!(
            (failure.status, failure.kind.as_str()),
            (529, "overloaded_error")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let mut silent = events(
            stream::pending(),
            Duration::from_secs(30),
            UsageMeter::default(),
            BodyEnds::default(),
        );
        let event = silent.next().await;
        assert!(matches!(event, Some(Err(UpstreamError::Stalled(_)))));
    }
}
