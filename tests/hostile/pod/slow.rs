//! Peers that begin and do not go on.

use super::{
    attacker::{Attacker, Counted},
    measure::withstands,
    process::Variant,
};
use crate::attacker::{CONTINUATION, GENERATE, HEADERS, PREFACE, begun, frame};
use bytes::Bytes;
use futures::future::join_all;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::sleep,
};

/// What each kind of slow peer sends, and then nothing.
fn starts() -> Vec<Vec<u8>> {
    let mut settings = begun();
    settings.truncate(30);
    vec![
        Vec::new(),
        b"P".to_vec(),
        PREFACE[..20].to_vec(),
        PREFACE.to_vec(),
        settings,
    ]
}

/// Sends a start and waits for the end of the connection.
async fn hold<I>(attacker: &Attacker, io: io::Result<I>, start: &[u8])
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut io) = io else { return };
    let _ = io.write_all(start).await;
    let _ = io.read_to_end(&mut Vec::new()).await;
    attacker.note("closed");
}

/// More connections than a peer may have.
const CONNECTIONS: usize = 700;

/// Opens as many connections as it can, and waits for the end of each.
fn holds<C, I>(variant: Variant, starts: &[Vec<u8>], connect: C)
where
    C: AsyncFn(&Attacker) -> io::Result<I> + Sync,
    I: AsyncRead + AsyncWrite + Unpin,
{
    withstands(variant, async |attacker: Attacker| {
        let held = starts.iter().cycle().take(CONNECTIONS);
        let held = held.map(async |start| hold(&attacker, connect(&attacker).await, start).await);
        join_all(held).await;
    });
}

#[test]
#[ignore = "an attack on a pod"]
fn prefaces_that_do_not_end() {
    holds(Variant::default(), &starts(), Attacker::connect);
}

#[test]
#[ignore = "an attack on a pod"]
fn prefaces_that_do_not_end_with_grpc_web() {
    let variant = Variant {
        grpc_web: true,
        ..Variant::default()
    };
    holds(variant, &starts(), Attacker::connect);
}

const TLS: Variant = Variant {
    tls: true,
    grpc_web: false,
    open_files: None,
};

#[test]
#[ignore = "an attack on a pod"]
fn prefaces_that_do_not_end_after_the_tls_handshake() {
    holds(TLS, &starts(), Attacker::connect_tls);
}

/// A part of a ClientHello.
#[test]
#[ignore = "an attack on a pod"]
fn tls_handshakes_that_do_not_end() {
    let start = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
    holds(TLS, &[start.to_vec()], Attacker::connect);
}

/// Whole handshakes, one after the other: the server's signature is what costs.
#[test]
#[ignore = "an attack on a pod"]
fn tls_handshakes_without_a_request() {
    withstands(TLS, async |attacker: Attacker| {
        while attacker.goes_on() {
            if attacker.connect_tls().await.is_ok() {
                attacker.note("handshake");
            }
        }
    });
}

/// A head that goes on byte by byte, over HTTP/1.1 (slowloris).
#[test]
#[ignore = "an attack on a pod"]
fn heads_byte_by_byte_with_grpc_web() {
    let variant = Variant {
        grpc_web: true,
        ..Variant::default()
    };
    withstands(variant, async |attacker: Attacker| {
        let connections = (0..CONNECTIONS).map(|_| async {
            let Ok(io) = attacker.connect().await else {
                return;
            };
            let head = b"POST /claude.v1.ClaudeService/Generate HTTP/1.1\r\nx-";
            trickle(&attacker, io, head, b"a").await;
        });
        join_all(connections).await;
    });
}

/// The same over HTTP/2, with frames of CONTINUATION.
#[test]
#[ignore = "an attack on a pod"]
fn heads_byte_by_byte() {
    let start = [begun(), frame(HEADERS, 0, 1, &[0x83, 0x86])].concat();
    let more = frame(CONTINUATION, 0, 1, &[0x83]);
    withstands(Variant::default(), async |attacker: Attacker| {
        let connections = (0..CONNECTIONS).map(|_| async {
            if let Ok(io) = attacker.connect().await {
                trickle(&attacker, io, &start, &more).await;
            }
        });
        join_all(connections).await;
    });
}

/// Sends a piece each second until the peer closes.
async fn trickle(attacker: &Attacker, io: Counted, start: &[u8], piece: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(io);
    let _ = writer.write_all(start).await;
    let sending = async {
        while writer.write_all(piece).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let mut received = Vec::new();
    let reading = reader.read_to_end(&mut received);
    tokio::select! {
        _ = reading => {}
        () = sending => {}
    }
    attacker.note("closed");
}

/// Of a machine that allows 1,024 open files, as many do.
#[test]
#[ignore = "an attack on a pod"]
fn silent_connections_to_the_admin_port() {
    let variant = Variant {
        open_files: Some(1_024),
        ..Variant::default()
    };
    withstands(variant, async |attacker: Attacker| {
        let held = (0..1_100).map(|_| async {
            hold(&attacker, attacker.connect_to_admin().await, b"").await;
        });
        join_all(held).await;
    });
}

/// The head of a call and nothing after it, ten thousand times.
#[test]
#[ignore = "an attack on a pod"]
fn calls_of_a_head_alone() {
    calls_that_do_not_go_on(10_045, &[], b"");
}

/// The same with a deadline of 11,000 years.
#[test]
#[ignore = "an attack on a pod"]
fn calls_of_a_head_alone_with_a_long_deadline() {
    calls_that_do_not_go_on(1_000, &[("grpc-timeout", "99999999H")], b"");
}

/// A message of which a byte arrives each second.
#[test]
#[ignore = "an attack on a pod"]
fn bodies_byte_by_byte() {
    calls_that_do_not_go_on(1_000, &[], b"\x0a");
}

/// Calls that begin a message and then send this each second.
fn calls_that_do_not_go_on(count: usize, headers: &[(&str, &str)], more: &'static [u8]) {
    withstands(Variant::default(), async |attacker: Attacker| {
        let connections = (0..count.div_ceil(250)).map(|_| async {
            let Some(sender) = attacker.http2(65_535).await else {
                return;
            };
            let start = Bytes::from_static(if more.is_empty() {
                b""
            } else {
                b"\0\0\0\xff\xff"
            });
            let calls = (0..250).map(|_| async {
                let begun = attacker
                    .begin(&sender, GENERATE, headers, start.clone())
                    .await;
                let Ok((response, mut stream)) = begun else {
                    return attacker.note("closed");
                };
                let sending = async {
                    while !more.is_empty()
                        && stream.send_data(Bytes::from_static(more), false).is_ok()
                    {
                        sleep(Duration::from_secs(1)).await;
                    }
                    std::future::pending().await
                };
                tokio::select! {
                    () = attacker.end(response) => {}
                    () = sending => {}
                }
            });
            join_all(calls).await;
        });
        join_all(connections).await;
    });
}
