//! Callers that do not read are counted.

use crate::service::{Running, ask, streamed};
use bytes::{BufMut, Bytes, BytesMut};
use claude_grpc::simulator::Behaviour;
use prost::Message;
use std::time::Duration;

/// Calls that are counted as rejected by the limit `stall`, over all clients.
fn stalled(metrics: &str) -> f64 {
    let rejections = metrics.lines().filter(|line| {
        line.starts_with("claude_grpc_limit_rejections_total{") && line.contains("=\"stall\"")
    });
    rejections
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a short message"));
    frame.put_slice(&message);
    frame.freeze()
}

#[tokio::test]
async fn readers_that_take_nothing_are_counted_as_a_limit() {
    let service = Running::start(&[], "[server]\nstall_timeout = '200ms'").await;
    let stream = tokio::net::TcpStream::connect(&service.address).await;
    let handshake = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, Bytes>(stream.unwrap());
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    service.simulator.next([Behaviour::Deltas(1_000_000)]);
    let calls = [
        ("GenerateStream", framed(&streamed("hello"))),
        ("Generate", framed(&ask("hello"))),
    ];
    for (expected, (method, message)) in [1.0, 2.0].into_iter().zip(calls) {
        let path = format!("/claude.v1.ClaudeService/{method}");
        let request = http::Request::post(format!("http://{}{path}", service.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(message, true).unwrap();
        let response = response.await.unwrap();

        let counted = async {
            while stalled(&service.metrics().await) != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(20), counted).await;
        counted.unwrap_or_else(|_| panic!("{method} is not counted"));
        drop(response);
    }
}
