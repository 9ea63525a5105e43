//! The status page: one document, nothing loaded from elsewhere. `page.html` is
//! its template, with `page.css` and `page.js` put into it.

use super::status::StatusReport;
use crate::upstream::PoolCounts;
use askama::Template;
use std::{fmt::Write as _, time::Duration};

/// The `content-security-policy`: the page may show itself and fetch its own
/// updates.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     script-src 'unsafe-inline'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page. `as_now()` is the part of it that changes.
#[derive(Template)]
#[template(path = "page.html", config = "src/admin/askama.toml", blocks = ["now"])]
pub struct StatusPage<'a> {
    status: &'a StatusReport,
}

impl<'a> StatusPage<'a> {
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// The page of a report.
    pub fn new(status: &'a StatusReport) -> Self {
        StatusPage { status }
    }

    /// Whether the API has been reached over HTTP/2.
    fn speaks_http2(&self) -> bool {
        self.status.http2 != PoolCounts::default()
    }

    /// Calls per second, averaged over the last ten seconds.
    fn rate(&self) -> f64 {
        let rates = &self.status.per_second;
        let lately = &rates[rates.len().saturating_sub(10)..];
        lately.iter().sum::<f64>() / lately.len().max(1) as f64
    }

    /// The share of calls that succeeded.
    fn success(&self) -> String {
        let (good, bad) = self.status.outcomes;
        match good + bad {
            0 => "–".to_owned(),
            all => format!("{:.2} %", 100.0 * good as f64 / all as f64),
        }
    }

    /// Whether the service level is met: 99.5 % succeed.
    fn success_class(&self) -> &'static str {
        let (good, bad) = self.status.outcomes;
        match good + bad {
            0 => "",
            all if bad * 200 > all => "bad",
            _ => "good",
        }
    }

    /// Median and 99th percentile of each duration.
    fn quantiles(&self) -> [(&'static str, [Option<Duration>; 2]); 2] {
        [
            ("call", self.status.call_quantiles),
            ("overhead", self.status.overhead_quantiles),
        ]
    }

    /// The failures that are counted.
    fn error_tables(&self) -> [(&'static str, &'a [(String, f64)]); 2] {
        [
            ("Calls, by reason", &self.status.errors),
            ("Attempts at the API, by type", &self.status.upstream_errors),
        ]
    }

    /// The points of the curve of calls per second: a minute is 600 wide, and
    /// its highest value is 54 high.
    fn curve(&self) -> String {
        let rates = &self.status.per_second;
        let highest = rates.iter().copied().fold(1.0, f64::max);
        let first = 60_usize.saturating_sub(rates.len());
        let mut points = String::new();
        for (at, rate) in rates.iter().enumerate() {
            let (x, y) = ((first + at) * 600 / 59, 57.0 - rate / highest * 54.0);
            // Writing to a string cannot fail.
            let _ = write!(points, "{x},{y:.1} ");
        }
        points
    }
}

/// How the template writes figures.
mod filters {
    use askama::{Result, Values, filter_fn};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    /// A measured duration, in the unit that fits.
    #[filter_fn]
    pub fn took(duration: &Duration, _: &dyn Values) -> Result<String> {
        Ok(in_unit(*duration))
    }

    /// A quantile of durations; a dash without calls.
    #[filter_fn]
    pub fn quantile(duration: &Option<Duration>, _: &dyn Values) -> Result<String> {
        Ok(duration.map_or_else(|| "–".to_owned(), in_unit))
    }

    fn in_unit(duration: Duration) -> String {
        match duration.as_secs_f64() {
            seconds if seconds >= 10.0 => format!("{seconds:.0} s"),
            seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
            seconds if seconds >= 0.01 => format!("{:.0} ms", seconds * 1e3),
            seconds => format!("{:.2} ms", seconds * 1e3),
        }
    }

    /// The age of a process, in the unit that fits.
    #[filter_fn]
    pub fn age(duration: &Duration, _: &dyn Values) -> Result<String> {
        Ok(match duration.as_secs() {
            seconds if seconds < 120 => format!("{seconds} s"),
            seconds if seconds < 7_200 => format!("{} min", seconds / 60),
            seconds if seconds < 172_800 => format!("{} h", seconds / 3_600),
            seconds => format!("{} days", seconds / 86_400),
        })
    }

    /// A count, shortened when it is large.
    #[filter_fn]
    pub fn count(count: &f64, _: &dyn Values) -> Result<String> {
        Ok(match *count {
            count if count >= 1e7 => format!("{:.1} M", count / 1e6),
            count if count >= 1e5 => format!("{:.0} k", count / 1e3),
            count => format!("{count:.0}"),
        })
    }

    /// A time of day, in UTC.
    #[filter_fn]
    pub fn time_of_day(time: &SystemTime, _: &dyn Values) -> Result<String> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs() % 86_400;
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        Ok(format!("{hours:02}:{minutes:02}:{:02} UTC", seconds % 60))
    }

    /// A name of a metric, as words.
    #[filter_fn]
    pub fn spaced(name: &str, _: &dyn Values) -> Result<String> {
        Ok(name.replace('_', " "))
    }

    /// The method of `package.Service/Method`.
    #[filter_fn]
    pub fn method(path: &str, _: &dyn Values) -> Result<String> {
        Ok(path.rsplit('/').next().unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{gauges::Headroom, status::ClientUsage};
    use std::time::UNIX_EPOCH;

    fn report() -> StatusReport {
        StatusReport {
            at: UNIX_EPOCH + Duration::from_secs(3_723),
            unready: None,
            up: Duration::from_secs(7_300),
            in_flight: 0,
            per_second: Vec::new(),
            window: Duration::from_secs(60),
            outcomes: (0, 0),
            call_quantiles: [Some(Duration::from_micros(420)), None],
            overhead_quantiles: [Some(Duration::from_micros(1_260_000)), None],
            breaker: "half_open",
            failing: vec!["claude-opus-5-5".to_owned()],
            permits: (8, 8, 3),
            http2: PoolCounts {
                connecting: 1,
                active: 2,
                idle: 1,
                in_flight: 12,
                capacity: 30,
                ..PoolCounts::default()
            },
            keys: (1, 2),
            rate_limits: Vec::new(),
            errors: Vec::new(),
            upstream_errors: Vec::new(),
            clients: Vec::new(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn figures_are_short() {
        let html = StatusPage::new(&report()).render().unwrap();
        for part in [
            "up 2 h",
            "01:02:03 UTC",
            "0.42 ms",
            "1.3 s",
            "half open",
            "claude-opus-5-5",
            "8 / 8",
            "12 / 30",
            "1 connecting",
            "no calls yet",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn names_are_no_markup() {
        let mut report = report();
        report.errors.push(("<b>".to_owned(), 1_234_567.0));
        report.clients.push(ClientUsage {
            name: "<b a='x'>&".to_owned(),
            calls: 1.0,
            input: 0.0,
            output: 0.0,
            cost: 0.12,
        });
        report.rate_limits.push(Headroom {
            host: "claude".to_owned(),
            model: "<b>".to_owned(),
            resource: "input_tokens",
            left: 5.0,
            limit: 50.0,
        });
        let html = StatusPage::new(&report).as_now().render().unwrap();
        assert!(html.starts_with("<header>"), "{html}");
        assert!(!html.contains("<b"), "{html}");
        assert!(
            html.contains("1235 k") && html.contains("$0.1200"),
            "{html}"
        );
        assert!(html.contains("input tokens"), "{html}");
        assert!(html.contains("class=\"bar low\""), "{html}");
    }
}
