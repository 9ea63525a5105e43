//! A day in UTC: the grain of every date in the catalogue.

use jiff::{Span, civil::Date};
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const SECONDS: u64 = 24 * 60 * 60;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// A day in UTC, from 1970 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

impl Day {
    /// The day of a moment.
    pub fn of(moment: SystemTime) -> Day {
        Day::since_1970(moment.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The day of a Unix time.
    pub fn since_1970(time: Duration) -> Day {
        Day((time.as_secs() / SECONDS) as u32)
    }

    /// The current day.
    pub fn today() -> Day {
        Day::of(SystemTime::now())
    }

    /// The Unix time at which the day begins, in seconds.
    pub fn begins(self) -> u64 {
        u64::from(self.0) * SECONDS
    }

    /// The RFC 3339 time at which the day begins.
    pub fn rfc3339(self) -> String {
        format!("{self}T00:00:00Z")
    }
}

impl fmt::Display for Day {
    /// As `2026-11-30`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = EPOCH.saturating_add(Span::new().days(self.0));
        fmt::Display::fmt(&date, f)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date: Date = text.parse().map_err(de::Error::custom)?;
        let days = (date - EPOCH).get_days();
        u32::try_from(days).map(Day).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_written_and_begins_at_midnight() {
        let read = |text: &str| serde_json::from_str::<Day>(&format!("{text:?}"));
        for (text, begins) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2026-11-30", 1_795_996_800),
        ] {
            let day = read(text).unwrap();
            assert_eq!((day.to_string(), day.begins()), (text.to_owned(), begins));
            let last = Duration::from_secs(begins + SECONDS - 1);
            assert_eq!(Day::since_1970(last), day, "{text}");
        }
        for wrong in ["1969-12-31", "2026-02-29", "30.11.2026", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
