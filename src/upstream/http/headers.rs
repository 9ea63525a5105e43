//! Parses the headers of a response.

use crate::upstream::{Bucket, RateLimits};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// Prefix of the rate limit headers. Each response has about ten of them.
const LIMITS: &str = "anthropic-ratelimit-";

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The API's request id.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    text(headers, "request-id").map(str::to_owned)
}

/// `x-should-retry`: whether the API asks for a retry.
pub fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match text(headers, "x-should-retry")? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// When the API wants the call to be retried: `retry-after-ms`, otherwise
/// `retry-after` in seconds or as an HTTP date (the order of the official
/// SDKs).
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let millis = text(headers, "retry-after-ms").and_then(|text| positive(text, 1000.0));
    millis.or_else(|| {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        positive(text, 1.0).or_else(|| {
            let date = httpdate::parse_http_date(text).ok()?;
            // A date in the past means now.
            Some(date.duration_since(now).unwrap_or_default())
        })
    })
}

fn positive(text: &str, per_second: f64) -> Option<Duration> {
    let figure: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(figure / per_second).ok()
}

/// The rate limits in the headers of a response. The `-reset` of a bucket adds
/// nothing: it refills within a minute.
pub fn rate_limits(status: StatusCode, headers: &HeaderMap) -> RateLimits {
    let (mut requests, mut input, mut output) = <([_; 2], [_; 2], [_; 2])>::default();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(LIMITS) else {
            continue;
        };
        let figure = match name {
            "requests-limit" => &mut requests[0],
            "requests-remaining" => &mut requests[1],
            "input-tokens-limit" => &mut input[0],
            "input-tokens-remaining" => &mut input[1],
            "output-tokens-limit" => &mut output[0],
            "output-tokens-remaining" => &mut output[1],
            _ => continue,
        };
        *figure = value.to_str().ok().and_then(|it| it.trim().parse().ok());
    }
    RateLimits {
        refused: status == StatusCode::TOO_MANY_REQUESTS,
        requests: bucket(requests),
        input_tokens: bucket(input),
        output_tokens: bucket(output),
    }
}

fn bucket([limit, remaining]: [Option<u64>; 2]) -> Option<Bucket> {
    Some(Bucket {
        limit: limit?,
        remaining: remaining?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let of = |pairs: &[(&'static str, &str)]| retry_after(&headers(pairs), now);
        assert_eq!(of(&[("retry-after", "2")]), Some(Duration::from_secs(2)));
        assert_eq!(
            of(&[("retry-after", "0.5")]),
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            of(&[("retry-after-ms", "15"), ("retry-after", "2")]),
            Some(Duration::from_millis(15))
        );
        assert_eq!(
            of(&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")]),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            of(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]),
            Some(Duration::ZERO)
        );
        for nonsense in ["", "-1", "NaN", "inf", "soon", "1e400"] {
            assert_eq!(of(&[("retry-after", nonsense)]), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_bucket_needs_both_of_its_headers() {
        let mut given = headers(&[
            ("anthropic-ratelimit-requests-limit", "1000"),
            ("anthropic-ratelimit-requests-remaining", "999"),
        ]);
        assert_eq!(
            rate_limits(StatusCode::OK, &given).requests,
            Some(Bucket {
                limit: 1000,
                remaining: 999,
            })
        );
        given.remove("anthropic-ratelimit-requests-remaining");
        assert!(rate_limits(StatusCode::OK, &given).is_empty());
    }
}
