//! The API is reached through the proxies of the environment, as goproxy and
//! go-socks5 serve them, and over HTTP/2 inside.

use crate::{
    api::Api,
    program::{Program, program},
    service::Service,
};
use claude_grpc::upstream::ProxyVariables;
use reqwest::Url;
use std::{
    process::Command,
    sync::{Arc, Mutex},
    thread,
};
use tonic_types::StatusExt;

/// The name that the certificate of the API has; no resolver knows it (RFC 6761).
const API_NAME: &str = "api.example.test";

/// What a log must not contain.
const SECRETS: [&str; 2] = ["lucy", "hush"];

/// A running proxy, whose tunnels all lead to one API.
struct ForeignProxy {
    program: Program,
    /// What it was asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl ForeignProxy {
    fn start(api: &Api, arguments: &[&str]) -> ForeignProxy {
        let to = ["-to", &api.program.address];
        let files = api.files();
        let [cert, key] = ["tls.crt", "tls.key"].map(|name| files.join(name));
        let tls = [
            "-cert",
            cert.to_str().unwrap(),
            "-key",
            key.to_str().unwrap(),
        ];
        let mut program = Program::start("proxy", &[&to[..], &tls, arguments].concat());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, seen) = (program.lines(), Arc::clone(&asked));
        thread::spawn(move || lines.for_each(|line| seen.lock().unwrap().push(line)));
        ForeignProxy { program, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The API under its name, which only a proxy can reach.
fn named(api: &Api) -> String {
    let (_, port) = api.program.address.rsplit_once(':').unwrap();
    format!("https://{API_NAME}:{port}")
}

/// What a failed call says about the connection.
async fn failure(service: &Service) -> String {
    let status = service.call().await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "UPSTREAM_UNREACHABLE", "{status:?}");
    let proxy_status = info.metadata.get("proxyStatus");
    let failure = &info.metadata["connectFailure"];
    proxy_status.map_or_else(|| failure.clone(), |status| format!("{failure} {status}"))
}

fn no_secret_in(log: &str) {
    for secret in SECRETS {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
#[ignore = "needs go"]
async fn calls_go_through_each_kind_of_proxy_over_http2() {
    for (kind, schemes) in [
        ("http", &["", "http://"][..]),
        ("https", &["https://"]),
        ("socks5", &["socks5://", "socks5h://"]),
    ] {
        for (scheme, credentials) in schemes
            .iter()
            .flat_map(|it| [(it, ""), (it, "lucy:hu%40sh@")])
        {
            let mut api = Api::start(&["-takes", "200ms", "-streams", "100"]);
            let asks = match credentials {
                "" => &[][..],
                _ => &["-user", "lucy", "-password", "hu@sh"],
            };
            let proxy = ForeignProxy::start(&api, &[&["-kind", kind], asks].concat());
            let value = format!("{scheme}{credentials}{}", proxy.program.address);
            for variable in ["HTTPS_PROXY", "all_proxy"] {
                let variables = [(variable, value.as_str())];
                let service = Service::with(&named(&api), &api.ca_file(), &variables).await;
                service.calls(1).await.no_failure();
            }
            let counts = api.counts();
            assert!(counts.most_streams > 1, "not over HTTP/2: {counts:?}");
            let asked = proxy.asked();
            assert_eq!(asked.len(), counts.connections, "{asked:?}");
            let expected = named(&api).replace("https://", "");
            assert!(asked.iter().all(|it| *it == expected), "{asked:?}");
        }
    }
}

#[tokio::test]
#[ignore = "needs go"]
async fn a_proxy_that_rejects_is_named_and_its_credentials_are_not() {
    let api = Api::start(&[]);
    for (kind, arguments, userinfo, expected) in [
        (
            "http",
            &["-user", "lucy", "-password", "right"][..],
            "",
            "proxy_rejected 407",
        ),
        (
            "http",
            &["-user", "lucy", "-password", "right"],
            "lucy:hush@",
            "proxy_rejected 407",
        ),
        (
            "https",
            &["-user", "lucy", "-password", "right"],
            "lucy:hush@",
            "proxy_rejected 407",
        ),
        (
            "socks5",
            &["-user", "lucy", "-password", "right"],
            "",
            "proxy_tunnel",
        ),
        (
            "socks5",
            &["-user", "lucy", "-password", "right"],
            "lucy:hush@",
            "proxy_tunnel",
        ),
        (
            "http",
            &["-status", "403"],
            "lucy:hush@",
            "proxy_rejected 403",
        ),
        (
            "https",
            &["-status", "502"],
            "lucy:hush@",
            "proxy_rejected 502",
        ),
    ] {
        let proxy = ForeignProxy::start(&api, &[&["-kind", kind], arguments].concat());
        let value = format!("{kind}://{userinfo}{}", proxy.program.address);
        let variables = [("HTTPS_PROXY", value.as_str())];
        let service = Service::with(&named(&api), &api.ca_file(), &variables).await;
        assert_eq!(failure(&service).await, expected, "{kind} {arguments:?}");
        // The line of the call, which comes last.
        let log = service.logged("UPSTREAM_UNREACHABLE").await;
        let lines = log.matches("failed to connect to the Claude API").count();
        assert_eq!(lines, 1, "{log}");
        no_secret_in(&log);
    }
}

#[tokio::test]
#[ignore = "needs go"]
async fn a_proxy_of_another_protocol_is_named() {
    let api = Api::start(&[]);
    for (kind, scheme, expected) in [("socks5", "http", "proxy_tunnel"), ("http", "https", "tls")] {
        let proxy = ForeignProxy::start(&api, &["-kind", kind]);
        let value = format!("{scheme}://{}", proxy.program.address);
        let variables = [("HTTPS_PROXY", value.as_str())];
        let service = Service::with(&named(&api), &api.ca_file(), &variables).await;
        assert_eq!(failure(&service).await, expected, "{scheme} to {kind}");
    }
}

#[tokio::test]
#[ignore = "needs go"]
async fn it_is_logged_when_the_api_can_be_reached_again() {
    let api = Api::start(&[]);
    let proxy = ForeignProxy::start(&api, &[]);
    let address = proxy.program.address.clone();
    let value = format!("http://{address}");
    let variables = [("HTTPS_PROXY", value.as_str())];
    let service = Service::with(&named(&api), &api.ca_file(), &variables).await;
    drop(proxy);
    assert_eq!(failure(&service).await, "proxy_unreachable");
    let _proxy = ForeignProxy::start(&api, &["-listen", &address]);
    service.call().await.unwrap();
    let log = service.logged("connected to the Claude API again").await;
    let cause = r#"cause="proxy_unreachable""#;
    for said in [
        "failed to connect to the Claude API",
        "connected to the Claude API again",
    ] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(said)).collect();
        assert!(matches!(lines[..], [line] if line.contains(cause)), "{log}");
    }
}

/// Where this excludes more than Go: a leading dot means the domain itself as well,
/// as in curl, also after an asterisk, and an address may be in brackets.
const MORE_THAN_GO: [(&str, &str); 3] = [
    (".example.com", "https://example.com"),
    ("*.example.com", "https://example.com"),
    ("[2001:db8::7]", "https://[2001:db8::7]"),
];

/// Whether Go's standard library and this service agree on the use of a proxy.
#[test]
#[ignore = "needs go"]
fn no_proxy_means_what_it_means_to_go() {
    let urls = [
        "https://api.example.com",
        "https://example.com",
        "https://notexample.com",
        "https://api.example.com:8443",
        "https://10.1.2.3",
        "https://10.1.2.3:8443",
        "https://[2001:db8::7]",
        "https://localhost",
        "https://127.0.0.1:8080",
        "https://[::1]",
        "http://api.example.com",
    ];
    let lists = [
        "",
        " ",
        "*",
        "example.com",
        ".example.com",
        "*.example.com",
        "api.example.com",
        "API.EXAMPLE.COM",
        "api.example.com:443",
        "api.example.com:8443",
        "ample.com",
        "com",
        "localhost,127.0.0.1",
        "localhost, api.example.com",
        "other.example,,api.example.com",
        "10.1.2.3",
        "10.1.2.3:443",
        "10.0.0.0/8",
        "10.1.2.3/32",
        "11.0.0.0/8",
        "2001:db8::7",
        "2001:db8::/32",
        "[2001:db8::7]",
        "[2001:db8::7]:443",
        "example.com,10.0.0.0/8,2001:db8::/32",
    ];
    let proxy = "http://proxy.example.net:3128";
    let mut different = Vec::new();
    for list in lists {
        for url in urls {
            let variables = [
                ("HTTP_PROXY", proxy),
                ("HTTPS_PROXY", proxy),
                ("NO_PROXY", list),
            ];
            let go = Command::new(program("proxy"))
                .args(["-which", url])
                .env_clear()
                .envs(variables)
                .output()
                .unwrap();
            assert!(go.status.success(), "{go:?}");
            let ours = ProxyVariables::read(|name| {
                let set = variables.iter().find(|(it, _)| *it == name);
                set.map(|(_, value)| (*value).to_owned())
            });
            let ours = ours.proxy_for(&Url::parse(url).unwrap()).unwrap().is_some();
            if ours == go.stdout.is_empty() {
                different.push((list, url));
            }
        }
    }
    assert_eq!(different, MORE_THAN_GO);
}
