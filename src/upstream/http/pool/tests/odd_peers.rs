//! Peers that say what good servers rarely say, or at odd times, frame by frame
//! (RFC 9113). None acknowledges SETTINGS or answers a ping.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const ALTSVC: u8 = 10;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// `:status 200` in HPACK.
const OK: &[u8] = &[0x88];

const NO_ERROR: u32 = 0;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Frame {
    Frame {
        kind,
        flags,
        stream,
        payload: payload.to_vec(),
    }
}

fn setting(name: u16, value: u32) -> Frame {
    let payload = [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
    frame(SETTINGS, 0, 0, &payload)
}

fn goaway(last: u32) -> Frame {
    let payload = [last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

fn answer(stream: u32) -> Vec<Frame> {
    vec![
        frame(HEADERS, END_HEADERS, stream, OK),
        frame(DATA, END_STREAM, stream, b"answer"),
    ]
}

/// The side of the peer of one connection.
struct Frames(DuplexStream);

impl Frames {
    async fn accept(mut io: DuplexStream) -> Frames {
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await.unwrap();
        Frames(io)
    }

    async fn send(&mut self, frames: impl IntoIterator<Item = Frame>) {
        for Frame {
            kind,
            flags,
            stream,
            payload,
        } in frames
        {
            let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
            let mut bytes = length[1..].to_vec();
            bytes.extend([kind, flags]);
            bytes.extend(stream.to_be_bytes());
            bytes.extend(payload);
            let _ = self.0.write_all(&bytes).await;
        }
    }

    /// Waits for a request that is complete; `None` at the end of the
    /// connection.
    async fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            if head[3] == DATA && head[4] & END_STREAM != 0 {
                return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
            }
        }
    }
}

/// A pool of connections to a peer that runs this script on each of them.
fn pool_to<F>(connections: usize, script: fn(Frames) -> F) -> (ConnectionPool, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    struct OddPeer<F>(fn(Frames) -> F, Arc<AtomicUsize>);

    impl<F: Future<Output = ()> + Send + 'static> Dial for OddPeer<F> {
        fn dial(&self) -> BoxFuture<'static, Result<Dialed, ConnectFailure>> {
            self.1.fetch_add(1, SeqCst);
            let (near, far) = duplex(64 * 1024);
            let script = self.0;
            tokio::spawn(async move { script(Frames::accept(far).await).await });
            std::future::ready(Ok(Dialed::Http2(Box::new(near) as _))).boxed()
        }
    }

    let dials = Arc::new(AtomicUsize::new(0));
    let limits = PoolLimits {
        connections,
        ..LIMITS
    };
    let peer = OddPeer(script, Arc::clone(&dials));
    (
        ConnectionPool::new(Arc::new(peer), limits, 10 * SECOND),
        dials,
    )
}

/// Answers one request with these frames, and then says nothing.
async fn says(mut frames: Frames, said: fn(u32) -> Vec<Frame>) {
    frames.send([frame(SETTINGS, 0, 0, &[])]).await;
    if let Some(stream) = frames.request().await {
        frames.send(said(stream)).await;
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn padding_costs_nothing() {
    let (pool, _) = pool_to(1, |frames| {
        says(frames, |stream| {
            let head = [&[3], OK, &[0; 3]].concat();
            let body = [&[200], &b"answer"[..], &[0; 200]].concat();
            vec![
                frame(HEADERS, END_HEADERS | PADDED, stream, &head),
                frame(DATA, END_STREAM | PADDED, stream, &body),
            ]
        })
    });
    all_answered(&calls(&pool, 1).await);
}

#[tokio::test(start_paused = true)]
async fn trailers_are_read_past() {
    let (pool, _) = pool_to(1, |frames| {
        says(frames, |stream| {
            vec![
                frame(HEADERS, END_HEADERS, stream, OK),
                frame(DATA, 0, stream, b"answer"),
                // A literal header: `a: b`.
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    stream,
                    &[0, 1, b'a', 1, b'b'],
                ),
            ]
        })
    });
    all_answered(&calls(&pool, 1).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_complete_survives_a_reset_without_an_error() {
    let (pool, _) = pool_to(1, |frames| {
        says(frames, |stream| {
            let mut said = answer(stream);
            said.push(frame(RST_STREAM, 0, stream, &NO_ERROR.to_be_bytes()));
            said
        })
    });
    all_answered(&calls(&pool, 1).await);
    let (pool, _) = pool_to(1, |frames| {
        says(frames, |stream| {
            vec![
                frame(HEADERS, END_HEADERS, stream, OK),
                frame(DATA, 0, stream, b"answer"),
                frame(RST_STREAM, 0, stream, &NO_ERROR.to_be_bytes()),
            ]
        })
    });
    all_answered(&calls(&pool, 1).await);
}

#[tokio::test(start_paused = true)]
async fn informational_responses_are_not_the_answer() {
    let (pool, _) = pool_to(1, |frames| {
        says(frames, |stream| {
            let status = |digits: &[u8]| [&[8, 3], digits].concat();
            let mut said = vec![
                frame(HEADERS, END_HEADERS, stream, &status(b"100")),
                frame(HEADERS, END_HEADERS, stream, &status(b"103")),
            ];
            said.extend(answer(stream));
            said
        })
    });
    all_answered(&calls(&pool, 1).await);
}

#[tokio::test(start_paused = true)]
async fn headers_may_come_in_many_small_pieces() {
    let (pool, _) = pool_to(1, |frames| {
        says(frames, |stream| {
            // A literal header of 30,000 bytes; its length as HPACK writes it.
            let mut block = vec![0, 1, b'a', 0x7f];
            block.extend([0xb1, 0xe9, 0x01]);
            block.extend([b'x'; 30_000]);
            let mut said = vec![frame(HEADERS, 0, stream, OK)];
            let pieces = block.chunks(4_000);
            said.extend(pieces.map(|piece| frame(CONTINUATION, 0, stream, piece)));
            said.last_mut().unwrap().flags = END_HEADERS;
            said.push(frame(DATA, END_STREAM, stream, b"answer"));
            said
        })
    });
    all_answered(&calls(&pool, 1).await);
}

#[tokio::test(start_paused = true)]
async fn frames_that_mean_nothing_here_are_skipped() {
    let (pool, _) = pool_to(1, |frames| {
        says(frames, |stream| {
            vec![
                frame(ALTSVC, 0, 0, b"\0\0h2=\":443\""),
                frame(0xfa, 0xff, 0, b"of an extension"),
                frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 16]),
                setting(0x7777, 1),
                frame(PING, 0, 0, b"whatever"),
                frame(HEADERS, END_HEADERS, stream, OK),
                frame(DATA, 0, stream, b""),
                frame(DATA, 0, stream, b"answer"),
                frame(WINDOW_UPDATE, 0, stream, &1_000_u32.to_be_bytes()),
                frame(DATA, END_STREAM, stream, b""),
                frame(WINDOW_UPDATE, 0, stream, &1_000_u32.to_be_bytes()),
            ]
        })
    });
    all_answered(&calls(&pool, 1).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_ends_with_its_last_frame_even_if_the_connection_does_too() {
    let (pool, _) = pool_to(1, |mut frames| async move {
        frames.send([frame(SETTINGS, 0, 0, &[])]).await;
        if let Some(stream) = frames.request().await {
            frames.send([goaway(stream)]).await;
            frames.send(answer(stream)).await;
        }
    });
    all_answered(&calls(&pool, 1).await);
    all_answered(&calls(&pool, 1).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_after_the_last_one_that_is_processed_is_unprocessed() {
    let (pool, dials) = pool_to(1, |mut frames| async move {
        frames.send([setting(MAX_CONCURRENT_STREAMS, 10)]).await;
        let Some(first) = frames.request().await else {
            return;
        };
        if frames.request().await.is_some() {
            frames.send([goaway(first)]).await;
            sleep(SECOND).await;
        }
        frames.send(answer(first)).await;
        std::future::pending().await
    });
    let (first, second) = futures::join!(call(&pool), call(&pool));
    assert!(first.is_answer(), "{first:?}");
    assert_eq!(second, Outcome::Failed(StreamError::Drained));
    assert_eq!(dials.load(SeqCst), 1);
}

/// As nginx does it: allows more streams at a time than it processes on a
/// connection, skips those beyond, and closes after the last answer.
async fn processes_few<const STREAMS: u32, const REQUESTS: usize>(mut frames: Frames) {
    frames
        .send([setting(MAX_CONCURRENT_STREAMS, STREAMS)])
        .await;
    let mut streams = Vec::new();
    while streams.len() < REQUESTS {
        // Only those that are there answer before the next one is read.
        match timeout(SECOND, frames.request()).await {
            Ok(Some(stream)) => streams.push(stream),
            Ok(None) => return,
            Err(_) => {
                for stream in streams.drain(..) {
                    frames.send(answer(stream)).await;
                }
                return;
            }
        }
    }
    frames.send([goaway(streams[REQUESTS - 1])]).await;
    sleep(SECOND / 10).await;
    for stream in streams {
        frames.send(answer(stream)).await;
    }
    while frames.request().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn no_call_fails_at_a_peer_that_processes_few_requests_on_a_connection() {
    async fn all_are_answered<const STREAMS: u32, const REQUESTS: usize>() {
        let (pool, dials) = pool_to(200, processes_few::<STREAMS, REQUESTS>);
        for _ in 0..5 {
            let began = Instant::now();
            all_answered(&calls(&pool, 200).await);
            let took = began.elapsed();
            assert!(took < 3 * SECOND, "{STREAMS}, {REQUESTS}: {took:?}");
        }
        let dials = dials.load(SeqCst);
        let least = 1_000 / REQUESTS;
        assert!(dials <= 3 * least, "{STREAMS}, {REQUESTS}: {dials}");
    }
    all_are_answered::<128, 1>().await;
    all_are_answered::<128, 2>().await;
    all_are_answered::<128, 19>().await;
    all_are_answered::<10, 2>().await;
    all_are_answered::<10, 7>().await;
    all_are_answered::<1, 1>().await;
}

#[tokio::test(start_paused = true)]
async fn the_peer_may_change_its_limit_at_any_time() {
    let (pool, dials) = pool_to(1, |mut frames| async move {
        frames.send([setting(MAX_CONCURRENT_STREAMS, 0)]).await;
        sleep(SECOND).await;
        frames.send([setting(MAX_CONCURRENT_STREAMS, 1)]).await;
        let first = frames.request().await.unwrap();
        sleep(SECOND).await;
        frames.send([setting(MAX_CONCURRENT_STREAMS, 3)]).await;
        let (second, third) = (frames.request().await, frames.request().await);
        frames.send([setting(MAX_CONCURRENT_STREAMS, 1)]).await;
        for stream in [Some(first), second, third].into_iter().flatten() {
            frames.send(answer(stream)).await;
        }
        // With one stream at a time again, the next request comes after the
        // answer to the one before.
        while let Some(stream) = frames.request().await {
            let next = timeout(SECOND, frames.request()).await;
            assert!(next.is_err(), "more streams than allowed");
            frames.send(answer(stream)).await;
        }
    });
    let began = Instant::now();
    all_answered(&calls(&pool, 5).await);
    assert!(began.elapsed() < 5 * SECOND);
    assert_eq!(dials.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_when_the_window_opens() {
    let (pool, _) = pool_to(1, |mut frames| async move {
        frames.send([setting(INITIAL_WINDOW_SIZE, 0)]).await;
        sleep(SECOND).await;
        frames.send([setting(INITIAL_WINDOW_SIZE, 4)]).await;
        sleep(SECOND).await;
        frames.send([setting(INITIAL_WINDOW_SIZE, 4_000)]).await;
        let stream = frames.request().await.unwrap();
        frames.send(answer(stream)).await;
        std::future::pending().await
    });
    all_answered(&calls(&pool, 1).await);
}

/// The peer reads everything and answers nothing, as if a firewall had forgotten
/// the connection.
#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_no_ping_is_closed_and_fails_only_its_own_calls() {
    let (pool, dials) = pool_to(2, |mut frames| async move {
        frames.send([setting(MAX_CONCURRENT_STREAMS, 2)]).await;
        while frames.request().await.is_some() {}
    });
    let began = Instant::now();
    let mut early = Box::pin(calls(&pool, 2));
    // On a connection of its own, which is pinged later.
    let late = async {
        sleep(20 * SECOND).await;
        let outcome = call(&pool).await;
        (outcome, began.elapsed())
    };
    let mut late = Box::pin(late);
    let lost = tokio::select! {
        lost = &mut early => lost,
        _ = &mut late => panic!("it is on another connection"),
    };
    let broken = Outcome::Failed(StreamError::Broken);
    let with_others = Outcome::Failed(StreamError::BrokenWithOthers);
    assert_eq!(lost.iter().filter(|it| **it == broken).count(), 1);
    assert_eq!(lost.iter().filter(|it| **it == with_others).count(), 1);
    let dead_after = 10 * SECOND + driver::PING_INTERVAL + driver::PING_TIMEOUT;
    assert!(
        began.elapsed() <= dead_after + SECOND,
        "{:?}",
        began.elapsed()
    );
    settle().await;
    let counts = pool.counts();
    assert_eq!((counts.active, counts.in_flight), (1, 1), "{counts:?}");
    let (outcome, at) = late.await;
    assert_eq!(outcome, broken);
    assert!(at > began.elapsed() - SECOND);
    assert_eq!(dials.load(SeqCst), 2);
    settle().await;
    assert_eq!(pool.counts().active, 0);
}
