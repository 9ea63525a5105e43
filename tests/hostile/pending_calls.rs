//! Calls that send their head and nothing, or next to nothing, after it.

use crate::{
    attacker::{CHECK, GENERATE, half_open, http2, others_notice_nothing, status},
    support::{World, reason, soon},
};
use std::time::Duration;
use tonic::Code;

#[tokio::test]
async fn a_message_that_does_not_arrive_ends_its_call() {
    let timeout = Duration::from_millis(300);
    let world = World::with(|setup| setup.server.body_timeout = timeout).await;
    let sender = http2(world.address).await;
    for path in [GENERATE, CHECK] {
        // Nothing, a part of the prefix, a part of the message.
        for body in [&b""[..], b"\0\0", b"\0\0\0\0\xff\x0a"] {
            let (response, mut stream) = half_open(&sender, path, body).await;
            // A byte of the message now and then is no progress.
            let byte: &[u8] = if body.len() > 5 { b"\x0a" } else { b"" };
            let dribbling = tokio::spawn(async move {
                while stream
                    .send_data(bytes::Bytes::from_static(byte), false)
                    .is_ok()
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            let status = status(response).await;
            dribbling.abort();
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
            assert_eq!(reason(&status), "REQUEST_STALLED");
        }
    }
    others_notice_nothing(&world).await;
}

#[tokio::test]
async fn a_peer_has_a_limit_of_pending_calls_over_all_its_connections() {
    let world = World::with(|setup| setup.server.max_pending_calls_per_peer = 6).await;
    let connections = [http2(world.address).await, http2(world.address).await];
    let mut held = Vec::new();
    for path in [GENERATE, CHECK, GENERATE] {
        for sender in &connections {
            held.push(half_open(sender, path, b"\0").await);
        }
    }
    // Which of them came last is the server's to say.
    let mut over = Vec::new();
    for path in [GENERATE, CHECK] {
        for sender in &connections {
            over.push(half_open(sender, path, b"\0").await);
        }
    }
    let (mut responses, _streams): (Vec<_>, Vec<_>) = held.into_iter().chain(over).unzip();
    for _ in 0..4 {
        let (response, index, _) = soon(futures::future::select_all(responses.iter_mut())).await;
        drop(responses.remove(index));
        let status = tonic::Status::from_header_map(response.unwrap().headers()).unwrap();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(reason(&status), "OVERLOADED");
    }
    others_notice_nothing(&world).await;
    // Room again, once they are gone.
    drop((responses, _streams));
    let again = async {
        loop {
            let (response, _stream) = half_open(&connections[0], GENERATE, b"\0").await;
            if tokio::time::timeout(Duration::from_millis(50), response)
                .await
                .is_err()
            {
                return;
            }
        }
    };
    soon(again).await;
}
