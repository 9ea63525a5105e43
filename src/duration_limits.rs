//! The limits of configured durations.

use std::time::Duration;

/// Maximum of every configured duration, so that adding them up cannot
/// overflow.
const MAXIMUM: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Validates configured durations, each with its key and whether it may be 0.
/// Calls `wrong` with the key and the problem of each fault.
pub fn check<'a>(
    durations: impl IntoIterator<Item = (&'a str, Duration, bool)>,
    wrong: &mut dyn FnMut(&str, String),
) {
    for (key, duration, may_be_zero) in durations {
        if duration <= MAXIMUM && (may_be_zero || !duration.is_zero()) {
            continue;
        }
        let minimum = if may_be_zero {
            ""
        } else {
            "greater than 0 and "
        };
        wrong(key, format!("must be {minimum}at most a year"));
    }
}
