//! What the outcome of a call says about the health of the API.

use crate::upstream::{Reply, UpstreamError};

/// What an outcome says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It works.
    Healthy,
    /// It fails.
    Failing,
    /// Neither.
    Nothing,
}

/// What an outcome says about the connection: whether one can be made, and
/// nothing else. A connection that breaks or stalls under a call may do so
/// because of that call.
pub fn of_connection(outcome: &Result<Reply, UpstreamError>) -> Signal {
    match outcome {
        Ok(_) => Signal::Healthy,
        Err(UpstreamError::Connect(_)) => Signal::Failing,
        Err(
            UpstreamError::Api(_)
            | UpstreamError::Broken
            | UpstreamError::BrokenWithOthers
            | UpstreamError::Stalled(_)
            | UpstreamError::Malformed(_),
        ) => Signal::Healthy,
        Err(_) => Signal::Nothing,
    }
}

/// What an outcome says about the model. A response that could not be read
/// counts neither way: the API has answered, but not as expected. Of the calls
/// that one connection takes down with it, only the first one counts.
pub fn of_model(outcome: &Result<Reply, UpstreamError>, is_probe: bool) -> Signal {
    match outcome {
        Ok(_) => Signal::Healthy,
        Err(UpstreamError::Broken | UpstreamError::Stalled(_)) => Signal::Failing,
        Err(UpstreamError::Api(failure)) => match failure.status {
            408 | 500.. => Signal::Failing,
            // A rejection shows that the API is up, which is all that a probe
            // tests.
            _ if is_probe => Signal::Healthy,
            _ => Signal::Nothing,
        },
        Err(_) => Signal::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{ApiFailure, ConnectFailure};
    use std::time::Duration;

    fn api(status: u16) -> UpstreamError {
        UpstreamError::Api(Box::new(ApiFailure {
            status,
            ..ApiFailure::default()
        }))
    }

    #[test]
    fn only_the_guilty_is_blamed() {
        use Signal::{Failing, Healthy, Nothing};
        let table = [
            (
                UpstreamError::Connect(ConnectFailure::Refused),
                Failing,
                Nothing,
            ),
            (UpstreamError::Broken, Healthy, Failing),
            (UpstreamError::BrokenWithOthers, Healthy, Nothing),
            (
                UpstreamError::Stalled(Duration::from_secs(30)),
                Healthy,
                Failing,
            ),
            (
                UpstreamError::Malformed("in a test".into()),
                Healthy,
                Nothing,
            ),
            (api(400), Healthy, Nothing),
            (api(403), Healthy, Nothing),
            (api(429), Healthy, Nothing),
            (api(408), Healthy, Failing),
            (api(500), Healthy, Failing),
            (api(529), Healthy, Failing),
            (
                UpstreamError::DeadlineExceeded("in a test"),
                Nothing,
                Nothing,
            ),
            (UpstreamError::NoUsableKey, Nothing, Nothing),
        ];
        for (error, connection, model) in table {
            let outcome = Err(error);
            assert_eq!(of_connection(&outcome), connection, "{outcome:?}");
            assert_eq!(of_model(&outcome, false), model, "{outcome:?}");
        }
        assert_eq!(of_model(&Err(api(400)), true), Healthy);
    }
}
