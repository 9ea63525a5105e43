//! Which names the admin port answers to.
//!
//! A web page can have its own name resolve to the address of the admin port (DNS
//! rebinding), and its visitor's browser then lets it read what it gets there. The
//! browser sends the name of the page as the host; so only hosts that nobody
//! else can let point here are answered.

use axum::{
    extract::{Request, State},
    http::{StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc};

/// Answers requests for IP addresses, `localhost` and these names, and others
/// with 421.
pub async fn check(State(allowed): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let named = request.headers().get_all(header::HOST).iter();
    let mut hosts = named.map(|host| host.to_str().ok().and_then(|host| host.parse().ok()));
    let is_allowed = |host: &Authority| is_allowed(host.host(), &allowed);
    // No browser omits it: what does may be a health check over HTTP/1.0.
    let by_header = hosts.all(|host| host.as_ref().is_some_and(is_allowed));
    if by_header && request.uri().authority().is_none_or(is_allowed) {
        return next.run(request).await;
    }
    let text = "the host must be an IP address, localhost, or in admin.allowed_hosts\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

fn is_allowed(host: &str, allowed: &[String]) -> bool {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host).parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|name| host.eq_ignore_ascii_case(name))
}

/// Whether this is a host without a port, as the configuration names it.
pub fn is_host(text: &str) -> bool {
    let authority = text.parse::<Authority>();
    authority.is_ok_and(|authority| authority.host() == text) && !text.contains('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_configured_names_are_answered() {
        let allowed = ["metrics.example.com".to_owned()];
        let table = [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("[::1]", true),
            ("[2001:db8::1]", true),
            ("localhost", true),
            ("LocalHost", true),
            ("metrics.example.com", true),
            ("Metrics.Example.COM", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("sub.metrics.example.com", false),
            ("2130706433", false),
            ("[localhost]", false),
            ("", false),
        ];
        for (host, expected) in table {
            assert_eq!(is_allowed(host, &allowed), expected, "{host:?}");
        }
    }

    #[test]
    fn a_configured_host_is_a_name_without_a_port() {
        for good in ["metrics.example.com", "claude-grpc", "10.0.0.1", "[::1]"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a:80", "http://a", "a/b", "user@a", "a b", "*"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
