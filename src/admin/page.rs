//! The status page: one document, nothing loaded from elsewhere.

use super::{
    gauges::Left,
    status::{Client, Status},
};
use crate::telemetry::FailedCall;
use std::{
    fmt::{self, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What the page may do: show itself, and fetch its own news.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     script-src 'unsafe-inline'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn whole(status: &Status) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>claude-grpc</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <div id=\"now\">{}</div>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        changing(status)
    )
}

/// The part that changes.
pub fn changing(status: &Status) -> String {
    let mut html = String::with_capacity(16 * 1024);
    // Writing to a String never fails.
    let _ = write_changing(&mut html, status);
    html
}

fn write_changing(html: &mut String, status: &Status) -> fmt::Result {
    let (class, state) = match status.unready {
        None => ("good", "ready"),
        Some(reason) => ("bad", reason),
    };
    write!(
        html,
        "<header><h1>claude-grpc</h1><span class=\"pill {class}\">{state}</span>\
         <small>{} · up {} · <time>{}</time></small></header><main>",
        env!("CARGO_PKG_VERSION"),
        Long(status.up),
        Clock(status.at)
    )?;
    figures(html, status)?;
    upstream(html, status)?;
    errors(html, status)?;
    clients(html, &status.clients)?;
    failures(html, &status.failures)?;
    html.push_str("</main>");
    Ok(())
}

fn figures(html: &mut String, status: &Status) -> fmt::Result {
    let rates = &status.per_second;
    let lately = &rates[rates.len().saturating_sub(10)..];
    let rate = lately.iter().sum::<f64>() / lately.len().max(1) as f64;
    let (good, bad) = status.outcomes;
    let success = match good + bad {
        0 => "–".to_owned(),
        all => format!("{:.2} %", 100.0 * good as f64 / all as f64),
    };
    // The service level: 99.5 % succeed.
    let class = match good + bad {
        0 => "",
        all if bad * 200 > all => "bad",
        _ => "good",
    };
    let seconds = status.window.as_secs();
    write!(
        html,
        "<section class=\"figures\"><h2>Last {seconds} s</h2><dl>"
    )?;
    figure(html, "", "calls / s", &format!("{rate:.1}"))?;
    figure(html, class, "succeeded", &success)?;
    figure(html, "", "in flight", &status.in_flight.to_string())?;
    for (name, [median, high]) in [("call", status.whole), ("own time", status.own)] {
        figure(html, "", &format!("{name} p50"), &Took(median).to_string())?;
        figure(html, "", &format!("{name} p99"), &Took(high).to_string())?;
    }
    html.push_str("</dl>");
    curve(html, rates)?;
    html.push_str("</section>");
    Ok(())
}

fn figure(html: &mut String, class: &str, name: &str, value: &str) -> fmt::Result {
    write!(
        html,
        "<div class=\"{class}\"><dt>{name}</dt><dd>{value}</dd></div>"
    )
}

/// Calls per second as a curve.
fn curve(html: &mut String, rates: &[f64]) -> fmt::Result {
    let most = rates.iter().copied().fold(1.0, f64::max);
    html.push_str(
        "<svg viewBox=\"0 0 600 60\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"calls per second\"><polyline points=\"",
    );
    let first = 60_usize.saturating_sub(rates.len());
    for (at, rate) in rates.iter().enumerate() {
        let (x, y) = ((first + at) * 600 / 59, 57.0 - rate / most * 54.0);
        write!(html, "{x},{y:.1} ")?;
    }
    html.push_str("\"/></svg>");
    Ok(())
}

fn upstream(html: &mut String, status: &Status) -> fmt::Result {
    html.push_str("<section><h2>Claude API</h2><dl>");
    let class = match status.breaker {
        "closed" => "good",
        _ => "bad",
    };
    figure(html, class, "breaker", &status.breaker.replace('_', " "))?;
    let (used, places, waiting) = status.places;
    figure(html, "", "places", &format!("{used} / {places}"))?;
    let class = if waiting > 0 { "bad" } else { "" };
    figure(html, class, "waiting", &waiting.to_string())?;
    let (refused, keys) = status.keys;
    let class = if refused > 0 { "bad" } else { "" };
    let usable = format!("{} / {keys}", keys - refused);
    figure(html, class, "usable keys", &usable)?;
    html.push_str("</dl>");
    if !status.ledger.is_empty() {
        html.push_str("<h3>Left of the API's limits</h3><ul class=\"bars\">");
        for left in &status.ledger {
            bar(html, left)?;
        }
        html.push_str("</ul>");
    }
    html.push_str("</section>");
    Ok(())
}

fn bar(html: &mut String, left: &Left) -> fmt::Result {
    let share = (100.0 * left.left / left.limit.max(1.0)).clamp(0.0, 100.0);
    let class = if share < 20.0 { "low" } else { "" };
    write!(
        html,
        "<li><span>{} <small>{}</small></span><small>{} / {}</small>\
         <div class=\"bar {class}\"><i style=\"width:{share:.0}%\"></i></div></li>",
        Escaped(&left.model),
        left.resource.replace('_', " "),
        Count(left.left.max(0.0)),
        Count(left.limit)
    )
}

fn errors(html: &mut String, status: &Status) -> fmt::Result {
    html.push_str("<section><h2>Errors since the start</h2>");
    for (title, errors) in [
        ("Calls, by reason", &status.errors),
        ("Attempts at the API, by type", &status.upstream_errors),
    ] {
        write!(html, "<h3>{title}</h3>")?;
        if errors.is_empty() {
            html.push_str("<p class=\"none\">none</p>");
            continue;
        }
        html.push_str("<table class=\"counts\">");
        for (name, count) in errors.iter().take(12) {
            let name = Escaped(name);
            write!(html, "<tr><td>{name}</td><td>{}</td></tr>", Count(*count))?;
        }
        html.push_str("</table>");
    }
    html.push_str("</section>");
    Ok(())
}

fn clients(html: &mut String, clients: &[Client]) -> fmt::Result {
    html.push_str("<section><h2>Clients since the start</h2>");
    if clients.is_empty() {
        html.push_str("<p class=\"none\">no calls yet</p></section>");
        return Ok(());
    }
    html.push_str(
        "<table><thead><tr><th>client</th><th>calls</th><th>tokens in</th>\
         <th>out</th><th>cost</th></tr></thead><tbody>",
    );
    for client in clients.iter().take(20) {
        write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>${:.4}</td></tr>",
            Escaped(&client.name),
            Count(client.calls),
            Count(client.input),
            Count(client.output),
            client.cost
        )?;
    }
    html.push_str("</tbody></table></section>");
    Ok(())
}

fn failures(html: &mut String, failures: &[FailedCall]) -> fmt::Result {
    html.push_str("<section class=\"wide\"><h2>Last failures</h2>");
    if failures.is_empty() {
        html.push_str("<p class=\"none\">none</p></section>");
        return Ok(());
    }
    html.push_str("<ol class=\"failures\">");
    for failure in failures {
        let attempts = match failure.attempts {
            1 => "1 attempt".to_owned(),
            several => format!("{several} attempts"),
        };
        write!(
            html,
            "<li><div><b>{}</b> <span>{}</span></div>\
             <small>{} · {} · {} · {} · {attempts}</small>\
             <code>{}</code></li>",
            failure.status,
            Escaped(&failure.reason),
            Clock(failure.at),
            failure.method.rsplit('/').next().unwrap_or_default(),
            Escaped(&failure.client),
            Took(Some(failure.took)),
            failure.trace
        )?;
    }
    html.push_str("</ol></section>");
    Ok(())
}

/// Text, safe within HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A time that something took, in the unit that fits.
struct Took(Option<Duration>);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|it| it.as_secs_f64()) {
            None => f.write_str("–"),
            Some(seconds) if seconds >= 10.0 => write!(f, "{seconds:.0} s"),
            Some(seconds) if seconds >= 1.0 => write!(f, "{seconds:.1} s"),
            Some(seconds) if seconds >= 0.01 => write!(f, "{:.0} ms", seconds * 1e3),
            Some(seconds) => write!(f, "{:.2} ms", seconds * 1e3),
        }
    }
}

/// A long time.
struct Long(Duration);

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds if seconds < 120 => write!(f, "{seconds} s"),
            seconds if seconds < 7_200 => write!(f, "{} min", seconds / 60),
            seconds if seconds < 172_800 => write!(f, "{} h", seconds / 3_600),
            seconds => write!(f, "{} days", seconds / 86_400),
        }
    }
}

/// A count, shortened when it is large.
struct Count(f64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            count if count >= 1e7 => write!(f, "{:.1} M", count / 1e6),
            count if count >= 1e5 => write!(f, "{:.0} k", count / 1e3),
            count => write!(f, "{count:.0}"),
        }
    }
}

/// A time of day, UTC.
struct Clock(SystemTime);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs() % 86_400;
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02} UTC", seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        let shown = Escaped("<b a='x'>&").to_string();
        assert_eq!(shown, "&lt;b a=&#39;x&#39;&gt;&amp;");
    }

    #[test]
    fn figures_are_short() {
        let took = |micros| Took(Some(Duration::from_micros(micros))).to_string();
        assert_eq!(took(420), "0.42 ms");
        assert_eq!(took(1_260_000), "1.3 s");
        assert_eq!(Count(1_234_567.0).to_string(), "1235 k");
        assert_eq!(Long(Duration::from_secs(7_300)).to_string(), "2 h");
    }
}
