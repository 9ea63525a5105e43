//! Points in time in the clients file: RFC 3339 in a text, or a date-time of
//! TOML. With an offset, or without one in UTC; with or without fractions of a
//! second.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use serde::{
    Deserialize, Deserializer, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};
use toml::value::Datetime;

const EXPECTED: &str = "a date and time such as 2027-01-01T00:00:00Z";

/// Parses a time as in the clients file.
///
/// # Errors
/// What it must be.
pub fn parse_time(text: &str) -> Result<SystemTime, String> {
    let text = text.trim();
    // A date alone does not say when on that day.
    let has_time = text.contains(':');
    let moment: Option<Timestamp> = text.parse().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        Offset::UTC.to_timestamp(local).ok()
    });
    match moment {
        Some(moment) if has_time => Ok(system_time(moment)),
        _ => Err(format!("must be {EXPECTED}")),
    }
}

fn system_time(moment: Timestamp) -> SystemTime {
    let since_1970 = moment.as_duration();
    if since_1970.is_negative() {
        UNIX_EPOCH - since_1970.unsigned_abs()
    } else {
        UNIX_EPOCH + since_1970.unsigned_abs()
    }
}

/// A time to be shown as in the clients file, which may be before 1970. One after
/// the year 9999 is shown as the end of that year.
pub fn moment(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

pub(super) fn serialize<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&moment(*time)),
        None => serializer.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SystemTime>, D::Error> {
    deserializer.deserialize_any(MomentVisitor).map(Some)
}

struct MomentVisitor;

impl<'de> Visitor<'de> for MomentVisitor {
    type Value = SystemTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SystemTime, E> {
        parse_time(text).map_err(E::custom)
    }

    /// A date-time of TOML comes as a map with one private key.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SystemTime, A::Error> {
        let datetime = Datetime::deserialize(MapAccessDeserializer::new(map))?;
        parse_time(&datetime.to_string()).map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClientsFile;
    use std::time::{Duration, UNIX_EPOCH};

    /// 2027-01-01T00:00:00Z.
    const START: u64 = 1_798_761_600;

    fn expires(value: &str) -> Result<Duration, String> {
        let text = format!("[[clients]]\nname = 'a'\nexpires = {value}");
        let file = ClientsFile::parse(&text).map_err(|error| error.to_string())?;
        Ok(file.clients[0]
            .expires
            .unwrap()
            .duration_since(UNIX_EPOCH)
            .unwrap())
    }

    #[test]
    fn every_form_of_a_time_is_read() {
        for (time, millis) in [
            ("2027-01-01T00:00:00Z", 0),
            ("2027-01-01 00:00:00Z", 0),
            ("2027-01-01T00:00:00", 0),
            ("2027-01-01 00:00:00", 0),
            ("2027-01-01T02:00:00+02:00", 0),
            ("2026-12-31T18:30:00-05:30", 0),
            ("2027-01-01T00:00:00+00:00", 0),
            ("2027-01-01T00:00:00.5Z", 500),
            ("2027-01-01T01:00:00.125+01:00", 125),
            ("2027-01-01t00:00:00z", 0),
        ] {
            let expected = Ok(Duration::from_millis(START * 1000 + millis));
            assert_eq!(expires(time), expected, "{time}");
            assert_eq!(expires(&format!("'{time}'")), expected, "{time}");
        }
    }

    #[test]
    fn anything_else_says_what_it_must_be() {
        for value in [
            "2027-01-01",
            "'2027-01-01'",
            "00:00:00",
            "'soon'",
            "''",
            "1798761600",
            "true",
        ] {
            let error = expires(value).unwrap_err();
            assert!(error.contains("2027-01-01T00:00:00Z"), "{value}: {error}");
        }
    }

    #[test]
    fn what_is_read_is_written_alike() {
        for time in [
            "2027-01-01T02:00:00.5+02:00",
            "1969-12-31T23:59:59.999999999Z",
            "0000-01-01T00:00:00Z",
            "9999-12-30T22:00:00Z",
        ] {
            let text = format!("[[clients]]\nname = 'a'\nexpires = {time}");
            let file = ClientsFile::parse(&text).unwrap();
            let written = toml::to_string(&file).unwrap();
            let again = ClientsFile::parse(&written).unwrap();
            assert_eq!(again.clients[0].expires, file.clients[0].expires, "{time}");
        }
    }
}
