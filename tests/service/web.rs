//! gRPC-Web over HTTP/1.1, and CORS.

use crate::{
    raw_grpc::{GENERATE, framed},
    support::{World, ask, soon, streamed, wrong_fields},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use claude_grpc::proto::v1::{self, generate_stream_response::Event};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use prost::Message;
use tonic::{Code, Status};

const STREAM: &str = "/claude.v1.ClaudeService/GenerateStream";
const ORIGIN: &str = "https://app.example";

async fn world(origins: &[&str]) -> World {
    let origins = origins.iter().map(|it| (*it).to_owned()).collect();
    World::with(|setup| {
        setup.server.grpc_web = true;
        setup.server.cors_origins = origins;
    })
    .await
}

fn browser() -> reqwest::Client {
    reqwest::Client::builder().http1_only().build().unwrap()
}

fn url(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.address)
}

/// The messages of a gRPC-Web body, and the status at its end.
fn unframed(mut body: &[u8]) -> (Vec<Vec<u8>>, Status) {
    let mut messages = Vec::new();
    loop {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        let (frame, rest) = body[5..].split_at(length);
        if body[0] & 0x80 != 0 {
            assert!(rest.is_empty(), "something comes after the trailers");
            return (messages, trailers(frame));
        }
        messages.push(frame.to_vec());
        body = rest;
    }
}

fn trailers(frame: &[u8]) -> Status {
    let lines = std::str::from_utf8(frame).unwrap().lines();
    let headers: HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value.trim()).unwrap())
        })
        .collect();
    Status::from_header_map(&headers).unwrap()
}

/// Posts a message in one of the two forms of gRPC-Web.
async fn post(world: &World, path: &str, text: bool, message: &[u8]) -> reqwest::Response {
    let kind = if text {
        "application/grpc-web-text+proto"
    } else {
        "application/grpc-web+proto"
    };
    let body = framed(message);
    let request = browser()
        .post(url(world, path))
        .header("content-type", kind)
        .header("accept", kind)
        .header("x-grpc-web", "1")
        .header("origin", ORIGIN);
    let request = if text {
        request.body(BASE64.encode(&body))
    } else {
        request.body(body)
    };
    let response = soon(request.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.version(), http::Version::HTTP_11);
    response
}

async fn body_of(response: reqwest::Response, text: bool) -> Vec<u8> {
    let body = soon(response.bytes()).await.unwrap();
    if !text {
        return body.to_vec();
    }
    // Each piece is Base64 of its own, with its own padding.
    let text = std::str::from_utf8(&body).unwrap();
    let mut decoded = Vec::new();
    for quantum in text.as_bytes().chunks(4) {
        decoded.extend(BASE64.decode(quantum).unwrap());
    }
    decoded
}

#[tokio::test]
async fn a_browser_calls_and_streams_over_http_1() {
    let world = world(&[ORIGIN]).await;
    for text in [false, true] {
        let response = post(&world, GENERATE, text, &ask("Hello").encode_to_vec()).await;
        let allowed = response.headers()["access-control-allow-origin"].clone();
        assert_eq!(allowed, ORIGIN);
        let (messages, status) = unframed(&body_of(response, text).await);
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        assert_eq!(messages.len(), 1);
        let answer = v1::GenerateResponse::decode(&messages[0][..]).unwrap();
        assert_eq!(answer.stop_reason(), v1::StopReason::EndTurn);

        let request = streamed(ask("Hello")).encode_to_vec();
        let response = post(&world, STREAM, text, &request).await;
        let (messages, status) = unframed(&body_of(response, text).await);
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        let events: Vec<Event> = messages
            .iter()
            .map(|it| v1::GenerateStreamResponse::decode(&it[..]).unwrap())
            .map(|it| it.event.unwrap())
            .collect();
        assert!(matches!(events.first(), Some(Event::Started(_))));
        assert!(matches!(events.last(), Some(Event::Finished(_))));
    }
}

#[tokio::test]
async fn a_browser_sees_what_is_wrong() {
    let world = world(&[ORIGIN]).await;
    let request = v1::GenerateRequest::default().encode_to_vec();
    let response = post(&world, GENERATE, false, &request).await;
    let exposed = response.headers()["access-control-expose-headers"].clone();
    let exposed = exposed.to_str().unwrap().to_lowercase();
    for header in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert!(exposed.contains(header), "{exposed}");
    }
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&status), ["messages"]);
}

#[tokio::test]
async fn ordinary_grpc_works_beside_it() {
    let world = world(&[]).await;
    soon(world.grpc.clone().generate(ask("Hello")))
        .await
        .unwrap();
}

async fn preflight(world: &World, origin: &str) -> HeaderMap {
    let request = browser()
        .request(Method::OPTIONS, url(world, GENERATE))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,x-grpc-web,grpc-timeout",
        );
    let response = soon(request.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    response.headers().clone()
}

#[tokio::test]
async fn only_the_origins_of_the_configuration_may_call() {
    let named = world(&["https://other.example", ORIGIN]).await;
    let answer = preflight(&named, ORIGIN).await;
    assert_eq!(answer["access-control-allow-origin"], ORIGIN);
    assert_eq!(answer["access-control-allow-methods"], "POST");
    let headers = answer["access-control-allow-headers"].to_str().unwrap();
    assert_eq!(headers, "content-type,x-grpc-web,grpc-timeout");
    assert!(answer.contains_key("access-control-max-age"));
    for refused in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "null",
    ] {
        let answer = preflight(&named, refused).await;
        assert!(
            !answer.contains_key("access-control-allow-origin"),
            "{refused}"
        );
    }

    let any = world(&["*"]).await;
    let answer = preflight(&any, "https://anybody.example").await;
    assert_eq!(
        answer["access-control-allow-origin"],
        "https://anybody.example"
    );

    let nobody = world(&[]).await;
    let answer = preflight(&nobody, ORIGIN).await;
    assert!(!answer.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn it_is_off_unless_it_is_switched_on() {
    let world = World::start().await;
    let outcome = soon(
        browser()
            .post(url(&world, GENERATE))
            .header("content-type", "application/grpc-web+proto")
            .body(framed(&ask("Hello").encode_to_vec()))
            .send(),
    )
    .await;
    assert!(outcome.is_err(), "HTTP/1.1 got {outcome:?}");
    assert_eq!(world.attempts(), 0);
}
