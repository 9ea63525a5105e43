//! Days and months in UTC, the periods of budgets.

use jiff::{SignedDuration, Timestamp, tz::Offset};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// The day and the month of a point in time, and when they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Date {
    /// Days since 1970-01-01.
    pub day: u64,
    /// Months since January of year 0.
    pub month: u64,
    /// Time until the day ends.
    pub day_left: Duration,
    /// Time until the month ends.
    pub month_left: Duration,
}

impl Date {
    /// The date of a moment, given as the time since 1970.
    pub fn from_unix(since_1970: Duration) -> Date {
        let moment = SignedDuration::try_from(since_1970)
            .and_then(Timestamp::from_duration)
            .unwrap_or(Timestamp::MAX);
        let date = Offset::UTC.to_datetime(moment).date();
        let (year, month) = (date.year().unsigned_abs(), date.month().unsigned_abs());
        let later_days = (date.days_in_month() - date.day()).unsigned_abs();
        let day = since_1970.as_secs() / DAY;
        let left_until = |day: u64| Duration::from_secs(day * DAY).saturating_sub(since_1970);
        Date {
            day,
            month: u64::from(year) * 12 + u64::from(month) - 1,
            day_left: left_until(day + 1),
            month_left: left_until(day + 1 + u64::from(later_days)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        let time = humantime::parse_rfc3339(text).unwrap();
        Date::from_unix(time.duration_since(std::time::UNIX_EPOCH).unwrap())
    }

    #[test]
    fn days_and_months_end_when_the_calendar_says() {
        let table = [
            ("1970-01-01T00:00:00Z", 1970 * 12, 31),
            ("2026-11-24T00:00:00Z", 2026 * 12 + 10, 7),
            ("2026-12-31T00:00:00Z", 2026 * 12 + 11, 1),
            ("2027-01-01T00:00:00Z", 2027 * 12, 31),
            ("2027-02-01T00:00:00Z", 2027 * 12 + 1, 28),
            ("2028-02-28T00:00:00Z", 2028 * 12 + 1, 2),
            ("2028-02-29T00:00:00Z", 2028 * 12 + 1, 1),
            ("2028-03-01T00:00:00Z", 2028 * 12 + 2, 31),
            ("2100-02-28T00:00:00Z", 2100 * 12 + 1, 1),
        ];
        for (text, month, days_left) in table {
            let date = date(text);
            assert_eq!(date.month, month, "{text}");
            assert_eq!(
                date.month_left,
                Duration::from_secs(days_left * DAY),
                "{text}"
            );
            assert_eq!(date.day_left, Duration::from_secs(DAY), "{text}");
        }
        assert_eq!(
            date("2026-11-24T23:59:59Z").day_left,
            Duration::from_secs(1)
        );
    }
}
