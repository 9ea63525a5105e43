//! Calls over HTTP/2 take as long as over HTTP/1.1, however many streams the
//! peer allows, and none fails while the peer drains its connections.

use crate::{
    api::Api,
    nginx::Nginx,
    service::{CALLERS, Service},
};
use std::time::Duration;

/// How often all callers call at once, one time after the other.
const TIMES: usize = 5;

/// How often a comparison is made before it counts as failed: another program on
/// the machine may have disturbed it.
const TRIES: usize = 4;

/// Maximum of the time over HTTP/2 in relation to that over HTTP/1.1.
const LONGEST: f64 = 1.2;

async fn all_at_once(service: &Service) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..TIMES {
        let outcomes = service.calls(1).await;
        outcomes.no_failure();
        took += outcomes.took;
    }
    took
}

/// Compares both versions of HTTP against a peer with this limit of streams.
async fn compare(streams: usize) {
    let mut ratios = Vec::new();
    for _ in 0..TRIES {
        let draining = ["-drain-every", "20"];
        let http1 = Api::start(&[&["-http1"], &draining[..]].concat());
        let limit = streams.to_string();
        let mut http2 = Api::start(&[&["-streams", &limit], &draining[..]].concat());
        let over_http1 = Service::start(&http1.url(), &http1.ca_file()).await;
        let over_http2 = Service::start(&http2.url(), &http2.ca_file()).await;
        let (one, two) = (
            all_at_once(&over_http1).await,
            all_at_once(&over_http2).await,
        );
        println!("{streams} streams: {one:.2?} over HTTP/1.1, {two:.2?} over HTTP/2");
        let counts = http2.counts();
        assert!(counts.requests >= TIMES * CALLERS, "{counts:?}");
        assert!(counts.drained > 0 && counts.connections > 2, "{counts:?}");
        assert!(counts.most_streams <= streams, "{counts:?}");
        ratios.push(two.as_secs_f64() / one.as_secs_f64());
        if ratios.last() <= Some(&LONGEST) {
            return;
        }
    }
    panic!("at {streams} streams, in relation to HTTP/1.1: {ratios:?}");
}

#[tokio::test]
#[ignore = "needs go"]
async fn calls_at_once_take_as_long_as_over_http1() {
    for streams in [1, 10, 100] {
        compare(streams).await;
    }
}

/// A connection that breaks takes up to two hundred calls down with it, of which
/// the retries cost as much as those of one. The rates are such that no call is
/// hit by each of its attempts.
#[tokio::test]
#[ignore = "needs go"]
async fn no_call_fails_when_connections_break() {
    for (streams, every) in [("1", "50"), ("10", "200"), ("100", "600"), ("250", "700")] {
        let arguments = ["-streams", streams, "-break-every", every];
        let mut api = Api::start(&[&arguments[..], &["-spread", "900ms"]].concat());
        let service = Service::start(&api.url(), &api.ca_file()).await;
        let outcomes = service.calls(5).await;
        println!("{arguments:?}: {:.2?}, {:?}", outcomes.took, api.counts());
        outcomes.no_failure();
    }
}

/// Through an nginx that allows so many streams on a connection, and drains it
/// after so many requests. What it did not process is no failure of the API, and
/// costs no retry.
async fn through_nginx(api: &Api, streams: usize, requests: usize) {
    let nginx = Nginx::start(api, streams, requests);
    let log = [("CLAUDE_GRPC_LOG__LEVEL", "debug")];
    let service = Service::with(&nginx.url, &nginx.ca_file, &log).await;
    let outcomes = service.calls(5).await;
    println!(
        "{streams} streams, {requests} requests: {:.2?}",
        outcomes.took
    );
    outcomes.no_failure();
    let log = service.log();
    assert!(log.contains("claude_grpc"), "debug is logged");
    let retry = log.lines().find(|line| line.contains("retrying"));
    assert_eq!(retry, None);
}

#[tokio::test]
#[ignore = "needs go and nginx"]
async fn no_call_fails_while_nginx_drains_connections() {
    let api = Api::start(&["-http1", "-spread", "900ms"]);
    for (streams, requests) in [(1, 1), (10, 7), (128, 2)] {
        through_nginx(&api, streams, requests).await;
    }
}

/// As above, for longer.
mod nightly {
    use super::*;

    #[tokio::test]
    #[ignore = "needs go"]
    async fn no_call_fails_while_the_api_drains_connections() {
        for streams in ["1", "2", "7", "10", "100", "250"] {
            for drain_every in ["1", "2", "10", "50"] {
                let arguments = ["-streams", streams, "-drain-every", drain_every];
                let api = Api::start(&[&arguments[..], &["-spread", "900ms"]].concat());
                let service = Service::start(&api.url(), &api.ca_file()).await;
                let outcomes = service.calls(5).await;
                println!("{arguments:?}: {:.2?}", outcomes.took);
                outcomes.no_failure();
            }
        }
    }

    #[tokio::test]
    #[ignore = "needs go and nginx"]
    async fn no_call_fails_while_nginx_drains_connections() {
        let api = Api::start(&["-http1", "-spread", "900ms"]);
        for streams in [1, 2, 10, 128] {
            for requests in [1, 2, 19, 100] {
                through_nginx(&api, streams, requests).await;
            }
        }
    }
}
