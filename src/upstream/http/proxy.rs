//! The proxy that the environment names, as curl and Go read it: `HTTPS_PROXY`
//! or `HTTP_PROXY` by the scheme of the address, otherwise `ALL_PROXY`, unless
//! `NO_PROXY` lists the host. Capitals take precedence over lower case, and an
//! empty variable counts as not set. An address on loopback is never reached
//! through a proxy.
//!
//! The HTTP clients could read these variables themselves, but they ignore a
//! value that they do not understand, and connect directly.

use data_encoding::BASE64;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use std::{fmt, net::IpAddr};
use thiserror::Error;

/// The port of SOCKS (RFC 1928) where the address of a proxy names none.
const SOCKS_PORT: u16 = 1080;

/// The variables of the environment that choose a proxy. Empty ones, and
/// `ProxyVariables::default()`, choose none.
// `Debug` is written by hand: a value may contain a password.
#[derive(Clone, Default)]
pub struct ProxyVariables {
    http: Option<Variable>,
    https: Option<Variable>,
    no_proxy: String,
}

/// The first variable of several that is set.
#[derive(Clone)]
struct Variable {
    name: &'static str,
    value: String,
}

/// A variable whose value is not the address of a proxy. The value may contain
/// a password, so it is not quoted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0}: must be the address of a proxy, such as http://proxy.example.com:3128; its scheme must \
     be http, https, socks5 or socks5h"
)]
pub struct ProxyVariableError(&'static str);

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyScheme {
    /// HTTP: `CONNECT`.
    Http,
    /// HTTP over TLS: `CONNECT`.
    Https,
    /// SOCKS 5. The proxy resolves the name of the API.
    Socks5,
}

/// A proxy, with the credentials in its address.
#[derive(Clone)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: ProxyScheme,
    /// Host and port.
    pub address: Uri,
    url: Url,
}

// === impl ProxyVariables ===

impl ProxyVariables {
    /// Reads the variables.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            let mut set = names.iter().map(|name| (*name, get(name)));
            set.find_map(|(name, value)| {
                let value = value.filter(|value| !value.trim().is_empty())?;
                Some(Variable { name, value })
            })
        };
        let no_proxy = first(&["NO_PROXY", "no_proxy"]);
        ProxyVariables {
            http: first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            https: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            no_proxy: no_proxy.map(|it| it.value).unwrap_or_default(),
        }
    }

    /// The proxy by which an address is reached; `None` for a direct
    /// connection.
    ///
    /// # Errors
    /// When the variable for this address is not the address of a proxy.
    pub fn proxy_for(&self, url: &Url) -> Result<Option<Proxy>, ProxyVariableError> {
        let variable = match url.scheme() {
            "https" => &self.https,
            _ => &self.http,
        };
        let Some(Variable { name, value }) = variable else {
            return Ok(None);
        };
        if is_loopback(url) || self.excludes(url) {
            return Ok(None);
        }
        let proxy = Proxy::parse(value.trim()).ok_or(ProxyVariableError(name))?;
        Ok(Some(proxy))
    }

    /// Whether `NO_PROXY` lists the host.
    fn excludes(&self, url: &Url) -> bool {
        let entries = self.no_proxy.split(',').filter_map(|entry| {
            let entry = entry.trim().to_ascii_lowercase();
            // `*.example.com` means what `.example.com` does.
            let entry = entry
                .strip_prefix('*')
                .filter(|it| !it.is_empty())
                .unwrap_or(&entry);
            match entry.rsplit_once(':') {
                // An entry with a port is for this port only.
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                    let port: u16 = port.parse().ok()?;
                    let host = host.trim_start_matches('[').trim_end_matches(']');
                    (Some(port) == url.port_or_known_default()).then(|| host.to_owned())
                }
                _ => Some(
                    entry
                        .trim_start_matches('[')
                        .trim_end_matches(']')
                        .to_owned(),
                ),
            }
        });
        let entries: Vec<String> = entries.collect();
        if entries.iter().any(|entry| entry == "*") {
            return true;
        }
        // The matcher applies the list to any proxy.
        let matcher = Matcher::builder().all("http://proxy").no(entries.join(","));
        let address = Uri::try_from(url.as_str());
        address.is_ok_and(|address| matcher.build().intercept(&address).is_none())
    }
}

impl fmt::Debug for ProxyVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |variable: &Option<Variable>| variable.as_ref().map(|it| it.name);
        f.debug_struct("ProxyVariables")
            .field("http", &name(&self.http))
            .field("https", &name(&self.https))
            .finish_non_exhaustive()
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

// === impl Proxy ===

impl Proxy {
    fn parse(text: &str) -> Option<Proxy> {
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&with_scheme).ok()?;
        let scheme = match url.scheme() {
            "http" => ProxyScheme::Http,
            "https" => ProxyScheme::Https,
            "socks5" | "socks5h" => ProxyScheme::Socks5,
            _ => return None,
        };
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let port = url.port_or_known_default().unwrap_or(SOCKS_PORT);
        Some(Proxy {
            scheme,
            address: Uri::builder()
                .scheme("http")
                .authority(format!("{host}:{port}"))
                .path_and_query("/")
                .build()
                .ok()?,
            url,
        })
    }

    /// The same proxy for the other HTTP client.
    ///
    /// # Errors
    /// When that client does not accept the address.
    pub fn for_reqwest(&self) -> reqwest::Result<reqwest::Proxy> {
        // It would resolve the name itself for `socks5`.
        let url = self.url.as_str().replacen("socks5://", "socks5h://", 1);
        reqwest::Proxy::all(url)
    }

    /// User name and password, if the address contains them.
    pub fn credentials(&self) -> Option<(String, String)> {
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = self.url.password();
        let is_named = !self.url.username().is_empty() || password.is_some();
        is_named.then(|| {
            (
                decoded(self.url.username()),
                decoded(password.unwrap_or_default()),
            )
        })
    }

    /// The value of `proxy-authorization`.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.credentials()?;
        let encoded = BASE64.encode(format!("{user}:{password}").as_bytes());
        let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("scheme", &self.scheme)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &[(&str, &str)]) -> ProxyVariables {
        ProxyVariables::read(|name| {
            let found = set.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn chosen(set: &[(&str, &str)], url: &str) -> Option<String> {
        let url = Url::parse(url).unwrap();
        let proxy = variables(set).proxy_for(&url).unwrap();
        proxy.map(|proxy| proxy.address.authority().unwrap().to_string())
    }

    const API: &str = "https://api.example.com";

    #[test]
    fn the_first_variable_that_is_set_is_used() {
        let all = [
            ("HTTPS_PROXY", "http://one:1"),
            ("https_proxy", "http://two:2"),
            ("ALL_PROXY", "http://three:3"),
            ("all_proxy", "http://four:4"),
        ];
        let authorities = ["one:1", "two:2", "three:3", "four:4"];
        for (first, authority) in authorities.into_iter().enumerate() {
            let chosen_here = chosen(&all[first..], API);
            assert_eq!(chosen_here.as_deref(), Some(authority));
        }
        let empty = [("HTTPS_PROXY", " "), ("all_proxy", "four:4")];
        assert_eq!(chosen(&empty, API).as_deref(), Some("four:4"));
        assert_eq!(chosen(&[("HTTP_PROXY", "one:1")], API), None);
        let plain = chosen(&[("HTTP_PROXY", "one:1")], "http://api.example.com");
        assert_eq!(plain.as_deref(), Some("one:1"));
        assert_eq!(chosen(&[], API), None);
    }

    #[test]
    fn the_port_of_a_proxy_follows_from_its_scheme() {
        for (value, authority) in [
            ("proxy", "proxy:80"),
            ("http://proxy/", "proxy:80"),
            ("https://proxy", "proxy:443"),
            ("socks5://proxy", "proxy:1080"),
            ("socks5h://me:hush@proxy:9", "proxy:9"),
            ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128"),
        ] {
            let chosen = chosen(&[("ALL_PROXY", value)], API);
            assert_eq!(chosen.as_deref(), Some(authority), "{value}");
        }
    }

    #[test]
    fn a_value_that_is_not_an_address_is_named_and_not_quoted() {
        for value in [
            "http://",
            "ftp://hush",
            "socks4://hush",
            "hush hush",
            "http://hush:x",
        ] {
            let url = Url::parse(API).unwrap();
            let error = variables(&[("https_proxy", value)]).proxy_for(&url);
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with("https_proxy: must"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn what_no_proxy_lists_is_reached_directly() {
        let reached = |no_proxy, url| {
            let set = [("ALL_PROXY", "proxy"), ("NO_PROXY", no_proxy)];
            chosen(&set, url).is_none()
        };
        for no_proxy in [
            "*",
            "other.example, api.example.com",
            "example.com",
            ".example.com",
            "*.example.com",
            "API.Example.com",
            "api.example.com:443",
        ] {
            assert!(reached(no_proxy, API), "{no_proxy}");
        }
        for no_proxy in [
            "",
            "ample.com",
            "api.example.com:8443",
            "example.org",
            "10.0.0.0/8",
        ] {
            assert!(!reached(no_proxy, API), "{no_proxy}");
        }
        assert!(reached("10.0.0.0/8", "https://10.1.2.3"));
        assert!(reached("10.1.2.3", "https://10.1.2.3:8443"));
        assert!(reached("*", "https://10.1.2.3"));
        assert!(reached("2001:db8::/32", "https://[2001:db8::7]"));
        assert!(reached("[2001:db8::7]:443", "https://[2001:db8::7]"));
        assert!(!reached("10.0.0.0/8", "https://11.1.2.3"));
    }

    #[test]
    fn loopback_is_reached_directly() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "api.localhost",
        ] {
            let set = [("ALL_PROXY", "not an address"), ("HTTP_PROXY", "proxy")];
            assert_eq!(chosen(&set, &format!("http://{host}:8080")), None, "{host}");
            assert_eq!(chosen(&set, &format!("https://{host}")), None, "{host}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let set = variables(&[("ALL_PROXY", "http://me:hu%40sh@proxy:1")]);
        let proxy = set.proxy_for(&Url::parse(API).unwrap()).unwrap().unwrap();
        let credentials = Some(("me".to_owned(), "hu@sh".to_owned()));
        assert_eq!(proxy.credentials(), credentials);
        assert_eq!(proxy.authorization().unwrap(), "Basic bWU6aHVAc2g=");
        for shown in [format!("{proxy:?}"), format!("{set:?}")] {
            assert!(!shown.contains("hu"), "{shown}");
        }
    }
}
