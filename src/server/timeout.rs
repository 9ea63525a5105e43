//! The caller's deadline in the header `grpc-timeout`.

use http::HeaderMap;
use std::time::Duration;
use thiserror::Error;

const HEADER: &str = "grpc-timeout";

/// Maximum number of digits in the gRPC protocol.
const MAX_DIGITS: usize = 8;

/// The header does not conform to the gRPC protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to 8 digits followed by one of H, M, S, m, u, n")]
pub struct Malformed;

/// How long the caller waits, if it says so.
///
/// # Errors
/// When the header is malformed. Ignoring it would leave the caller without the
/// deadline that it believes it has set.
pub fn requested(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    headers
        .get(HEADER)
        .map(|value| parse(value.as_bytes()))
        .transpose()
}

fn parse(value: &[u8]) -> Result<Duration, Malformed> {
    let (unit, digits) = value.split_last().ok_or(Malformed)?;
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(Malformed);
    }
    let mut figure: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Malformed);
        }
        figure = figure * 10 + u64::from(digit - b'0');
    }
    match unit {
        b'H' => Ok(Duration::from_secs(figure * 3600)),
        b'M' => Ok(Duration::from_secs(figure * 60)),
        b'S' => Ok(Duration::from_secs(figure)),
        b'm' => Ok(Duration::from_millis(figure)),
        b'u' => Ok(Duration::from_micros(figure)),
        b'n' => Ok(Duration::from_nanos(figure)),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_unit_is_read() {
        assert_eq!(parse(b"2H"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse(b"3M"), Ok(Duration::from_secs(180)));
        assert_eq!(parse(b"00000004S"), Ok(Duration::from_secs(4)));
        assert_eq!(parse(b"99999999m"), Ok(Duration::from_millis(99_999_999)));
        assert_eq!(parse(b"5u"), Ok(Duration::from_micros(5)));
        assert_eq!(parse(b"6n"), Ok(Duration::from_nanos(6)));
    }

    #[test]
    fn anything_else_is_malformed() {
        for value in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "1.5S",
            " 1S",
            "123456789m",
            "1SS",
        ] {
            assert_eq!(parse(value.as_bytes()), Err(Malformed), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(value: Vec<u8>) {
            let _ = parse(&value);
        }
    }
}
