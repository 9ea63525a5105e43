//! Which failed calls of a run are made again, and when.

use super::stop::RunStop;
use crate::{
    cli::client::backoff::{FIRST_PAUSE, backoff},
    reason::{Reason, Retry},
};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Makes a call, and makes it again for this time while it may succeed later, unless the run
/// stops.
///
/// # Errors
/// That of the last call.
pub async fn repeated<T>(
    retry_for: Duration,
    stop: &RunStop,
    mut call: impl AsyncFnMut() -> Result<T, Status>,
) -> Result<T, Status> {
    let (began, mut calls) = (Instant::now(), 0);
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        calls += 1;
        let pause = pause_after(&status, calls);
        let Some(pause) = pause.filter(|pause| began.elapsed() + *pause <= retry_for) else {
            return Err(status);
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.begun.cancelled() => return Err(status),
        }
    }
}

/// The pause before a failed call is made again; `None` if it would fail again. `calls` is
/// the number of calls so far.
pub fn pause_after(status: &Status, calls: u32) -> Option<Duration> {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        return is_lost(status).then(|| backoff(calls));
    };
    // The service knows when its limits allow a call, and asks for less than its clients
    // should wait where another replica may answer.
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        return Some(delay.max(backoff(calls).min(FIRST_PAUSE)));
    }
    let reason = Reason::named(&info.reason)?;
    (reason.retry() != Retry::No).then(|| backoff(calls))
}

/// Whether the service may not have seen the call, or its answer was lost: it restarts, or
/// the network failed. What the service itself says has details.
fn is_lost(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Internal => true,
        // So tonic says that the deadline has passed: a longer answer would not be there
        // the next time either.
        Code::Cancelled => status.message() != "Timeout expired",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn status(reason: Reason, delay: Option<Duration>) -> Status {
        let mut details = ErrorDetails::with_error_info(reason.name(), "claude-grpc", []);
        if let Some(delay) = delay {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(reason.code(), "why", details)
    }

    #[test]
    fn the_service_says_when() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            pause_after(&status(Reason::Overloaded, Some(minute)), 1),
            Some(minute)
        );
        let soon = pause_after(&status(Reason::Overloaded, Some(Duration::ZERO)), 9);
        assert_eq!(soon, Some(FIRST_PAUSE));
        assert_eq!(pause_after(&status(Reason::InvalidRequest, None), 1), None);
        assert_eq!(pause_after(&status(Reason::UpstreamAuth, None), 1), None);
    }

    #[test]
    fn a_call_without_an_answer_is_made_again() {
        for lost in [
            Status::unavailable("tcp connect error"),
            Status::unknown("h2 protocol error"),
            Status::cancelled("stream was reset"),
        ] {
            assert!(pause_after(&lost, 1).is_some(), "{lost:?}");
        }
        for ended in [
            Status::cancelled("Timeout expired"),
            Status::deadline_exceeded("no response within 60s"),
            Status::unimplemented(""),
        ] {
            assert_eq!(pause_after(&ended, 1), None, "{ended:?}");
        }
    }
}
