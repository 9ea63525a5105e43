//! `[[simulator.tokens]]`: credentials that expire.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// A key or token that the simulator accepts until it expires: next to those in
/// `api_keys`, and as they. The session token of AWS credentials is accepted unless it
/// is listed here and has expired.
// `Debug` is written by hand so that it does not show the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorToken {
    /// The key or token; with a signature of AWS, the access key id.
    pub token: String,
    /// Time from the start of the simulator until the token expires.
    #[serde(with = "humantime_serde")]
    pub expires_after: Duration,
}

impl fmt::Debug for SimulatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorToken")
            .field("expires_after", &self.expires_after)
            .finish_non_exhaustive()
    }
}
