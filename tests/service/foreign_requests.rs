//! Requests that are not gRPC, or that a foreign web page made a browser send.

use crate::{
    raw_grpc::{GENERATE, framed},
    support::{World, ask, http_client, soon},
};
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use prost::Message;
use tonic::body::Body;

/// Sends a complete call with these headers over HTTP/2.
async fn send(world: &World, method: Method, headers: &[(&str, &str)]) -> (u16, HeaderMap) {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{}{GENERATE}", world.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Body::new(Full::new(framed(&ask("Hello").encode_to_vec())));
    let response = soon(http_client().request(request.body(body).unwrap()))
        .await
        .unwrap();
    (response.status().as_u16(), response.headers().clone())
}

async fn with_web(grpc_web: bool, origins: &[&str]) -> World {
    let origins = origins.iter().map(|it| (*it).to_owned()).collect();
    World::with(|setup| {
        setup.server.grpc_web = grpc_web;
        setup.server.cors_origins = origins;
    })
    .await
}

#[tokio::test]
async fn what_is_not_grpc_is_not_executed() {
    for grpc_web in [false, true] {
        let world = with_web(grpc_web, &[]).await;
        for kind in [
            "text/plain",
            "text/plain;charset=UTF-8",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json",
            "application/grpc+json",
        ] {
            let (status, _) = send(&world, Method::POST, &[("content-type", kind)]).await;
            assert_eq!(status, 415, "{kind}");
        }
        assert_eq!(send(&world, Method::POST, &[]).await.0, 415);
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let grpc = [("content-type", "application/grpc")];
            let (status, headers) = send(&world, method.clone(), &grpc).await;
            assert_eq!(
                (status, &headers["allow"]),
                (405, &"POST".parse().unwrap()),
                "{method}"
            );
        }
        assert_eq!(world.attempts(), 0);
        let web = [("content-type", "application/grpc-web+proto")];
        let (status, _) = send(&world, Method::POST, &web).await;
        assert_eq!(status, if grpc_web { 200 } else { 415 });
        let grpc = [("content-type", "application/grpc+proto")];
        assert_eq!(send(&world, Method::POST, &grpc).await.0, 200);
    }
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_executes_nothing() {
    for grpc_web in [false, true] {
        let world = with_web(grpc_web, &["https://app.example"]).await;
        let grpc = ("content-type", "application/grpc");
        for foreign in [
            ("origin", "https://foreign.example"),
            ("origin", "https://app.example.foreign.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let (status, _) = send(&world, Method::POST, &[grpc, foreign]).await;
            assert_eq!(status, 403, "{foreign:?}");
        }
        assert_eq!(world.attempts(), 0);
        let configured = [
            grpc,
            ("origin", "https://app.example"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert_eq!(send(&world, Method::POST, &configured).await.0, 200);
        assert_eq!(world.attempts(), 1);
    }
}
