//! Parses the headers of a response.

use crate::upstream::{Bucket, LONGEST_RETRY_AFTER, RateLimits};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// Prefix of the rate limit headers. Each response has about ten of them.
const LIMITS: &str = "anthropic-ratelimit-";

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Where a host has its id of a request: the Claude API, AWS, Microsoft, Google.
const REQUEST_IDS: [&str; 4] = [
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-goog-request-id",
];

/// The host's id of the request.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    let found = REQUEST_IDS.iter().find_map(|name| text(headers, name));
    found.map(str::to_owned)
}

/// The name of an exception of AWS.
pub fn exception(headers: &HeaderMap) -> Option<String> {
    text(headers, "x-amzn-errortype").map(str::to_owned)
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
/// SDKs). A time that is not in the future says nothing, and none is longer
/// than an hour.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let millis = text(headers, "retry-after-ms").and_then(|text| positive(text, 1000.0));
    let given = millis.or_else(|| {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        positive(text, 1.0).or_else(|| {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(now).ok()
        })
    })?;
    (!given.is_zero()).then(|| given.min(LONGEST_RETRY_AFTER))
}

/// A time above 0 that is written as a figure.
fn positive(text: &str, per_second: f64) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok()? / per_second;
    let is_time = seconds.is_finite() && seconds > 0.0;
    is_time.then(|| Duration::from_secs_f64(seconds.min(LONGEST_RETRY_AFTER.as_secs_f64())))
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
        accepted: status.is_success(),
        requests: bucket(requests),
        input_tokens: bucket(input),
        output_tokens: bucket(output),
    }
}

/// A bucket that both of its headers report. A limit of 0 says nothing: it
/// would allow no call, ever.
fn bucket([limit, remaining]: [Option<u64>; 2]) -> Option<Bucket> {
    Some(Bucket {
        limit: limit.filter(|it| *it > 0)?,
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
            of(&[("retry-after-ms", "0"), ("retry-after", "2")]),
            Some(Duration::from_secs(2))
        );
        let past = "Sun, 06 Nov 1994 08:00:00 GMT";
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        let nothing = [
            "", "0", "0.0", "-0", "-1", "-1e300", "NaN", "inf", "soon", "1e400", "1e-400", past,
            now,
        ];
        for text in nothing {
            assert_eq!(of(&[("retry-after", text)]), None, "{text:?}");
            assert_eq!(of(&[("retry-after-ms", text)]), None, "{text:?}");
        }
        for never in ["3601", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            let capped = of(&[("retry-after", never)]);
            assert_eq!(capped, Some(Duration::from_secs(3600)), "{never:?}");
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
        given.insert("anthropic-ratelimit-requests-limit", "0".parse().unwrap());
        assert!(rate_limits(StatusCode::OK, &given).is_empty());
        given.remove("anthropic-ratelimit-requests-remaining");
        assert!(rate_limits(StatusCode::OK, &given).is_empty());
    }
}
