//! The pool against a peer in this process, whose time is the test's.

mod odd_peers;

use super::*;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, future::join_all};
use h2::{Reason, server};
use http::{HeaderValue, Request, Response, StatusCode};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use tokio::io::{DuplexStream, duplex};

const SECOND: Duration = Duration::from_secs(1);

/// How the peer behaves.
struct Script {
    /// Streams that it allows on a connection.
    limit: u32,
    /// How long it takes for a response.
    takes: Duration,
    /// Streams after which it drains a connection.
    drains_after: Option<usize>,
    /// Refuses the first streams of all.
    refuses: usize,
    /// Connections that break at the first stream.
    breaks: usize,
    /// Size of the headers of a response.
    headers: usize,
    /// What it speaks.
    is_http1: AtomicBool,
    /// Cannot be reached.
    is_down: AtomicBool,
    dials: AtomicUsize,
    open: AtomicUsize,
    requests: AtomicUsize,
    /// Most streams at a time on one connection.
    most_streams: AtomicUsize,
    resets: AtomicUsize,
}

impl Script {
    fn new(limit: u32) -> Script {
        Script {
            limit,
            takes: SECOND,
            drains_after: None,
            refuses: 0,
            breaks: 0,
            headers: 0,
            is_http1: AtomicBool::new(false),
            is_down: AtomicBool::new(false),
            dials: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            most_streams: AtomicUsize::new(0),
            resets: AtomicUsize::new(0),
        }
    }
}

/// The peer: each dial is a connection of its own.
#[derive(Clone)]
struct Peer(Arc<Script>);

impl Dial for Peer {
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, ConnectFailure>> {
        let peer = self.clone();
        async move {
            let number = peer.0.dials.fetch_add(1, SeqCst);
            if peer.0.is_down.load(SeqCst) {
                return Err(ConnectFailure::TimedOut);
            }
            if peer.0.is_http1.load(SeqCst) {
                return Ok(Dialed::Http1);
            }
            let (near, far) = duplex(64 * 1024);
            tokio::spawn(async move {
                peer.0.open.fetch_add(1, SeqCst);
                peer.serve(far, number).await;
                peer.0.open.fetch_sub(1, SeqCst);
            });
            Ok(Dialed::Http2(Box::new(near)))
        }
        .boxed()
    }
}

impl Peer {
    async fn serve(&self, io: DuplexStream, number: usize) {
        let script = &self.0;
        let mut builder = server::Builder::new();
        builder.max_concurrent_streams(script.limit);
        let Ok(mut connection) = builder.handshake(io).await else {
            return;
        };
        if script.drains_after == Some(0) {
            connection.graceful_shutdown();
        }
        let (mut accepted, streams) = (0, Arc::new(AtomicUsize::new(0)));
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            if script.requests.fetch_add(1, SeqCst) < script.refuses {
                respond.send_reset(Reason::REFUSED_STREAM);
                continue;
            }
            if number < script.breaks {
                return;
            }
            accepted += 1;
            if script.drains_after == Some(accepted) {
                connection.graceful_shutdown();
            }
            let now = streams.fetch_add(1, SeqCst) + 1;
            script.most_streams.fetch_max(now, SeqCst);
            let (peer, streams) = (self.clone(), Arc::clone(&streams));
            tokio::spawn(async move {
                let mut body = request.into_body();
                while let Some(Ok(piece)) = body.data().await {
                    let _ = body.flow_control().release_capacity(piece.len());
                }
                tokio::select! {
                    () = sleep(peer.0.takes) => {}
                    _ = poll_reset(&mut respond) => {
                        peer.0.resets.fetch_add(1, SeqCst);
                    }
                }
                let mut response = Response::new(());
                if peer.0.headers > 0 {
                    let long = HeaderValue::try_from("x".repeat(1_000)).unwrap();
                    for _ in 0..peer.0.headers / 1_000 {
                        response.headers_mut().append("x-long", long.clone());
                    }
                }
                streams.fetch_sub(1, SeqCst);
                if let Ok(mut body) = respond.send_response(response, false) {
                    let _ = body.send_data(Bytes::from_static(b"answer"), true);
                }
            });
        }
    }
}

async fn poll_reset(respond: &mut server::SendResponse<Bytes>) -> Result<Reason, h2::Error> {
    std::future::poll_fn(|cx| respond.poll_reset(cx)).await
}

const LIMITS: PoolLimits = PoolLimits {
    connections: 200,
    idle: 50,
    idle_timeout: Duration::from_secs(300),
};

fn pool_of(script: Script, limits: PoolLimits) -> (ConnectionPool, Arc<Script>) {
    let peer = Peer(Arc::new(script));
    let script = Arc::clone(&peer.0);
    let pool = ConnectionPool::new(Arc::new(peer), limits, 10 * SECOND);
    (pool, script)
}

fn pool(script: Script) -> (ConnectionPool, Arc<Script>) {
    pool_of(script, LIMITS)
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Answered(StatusCode, Vec<u8>),
    NoStream,
    Connect,
    Http1,
    Failed(StreamError),
}

impl Outcome {
    fn is_answer(&self) -> bool {
        matches!(self, Outcome::Answered(_, body) if body == b"answer")
    }
}

/// One attempt that waits for a stream up to five seconds.
async fn call(pool: &ConnectionPool) -> Outcome {
    let ticket = pool.0.lock().pool.ticket();
    call_with(pool, ticket, 5 * SECOND).await
}

async fn call_with(pool: &ConnectionPool, ticket: Ticket, longest: Duration) -> Outcome {
    let granted = match pool.reserve_with(ticket, longest).await {
        Ok(reservation) => reservation.granted(5 * SECOND).await,
        Err(error) => Err(error),
    };
    let slot = match granted {
        Ok(Grant::Stream(slot)) => slot,
        Ok(Grant::Http1) => return Outcome::Http1,
        Err(PoolError::NoStream) => return Outcome::NoStream,
        Err(PoolError::Connect(_)) => return Outcome::Connect,
    };
    let request = Request::post("https://peer.test/").body(()).unwrap();
    let answered = async {
        let opened = slot.open(request, Bytes::from_static(b"question"));
        let Ok(exchange) = timeout(5 * SECOND, opened).await else {
            return Ok(Outcome::NoStream);
        };
        let exchange = exchange?;
        let (head, mut body) = exchange.response().await?.into_parts();
        let mut read = Vec::new();
        while let Some(piece) = body.next().await {
            read.extend_from_slice(&piece?);
        }
        Ok(Outcome::Answered(head.status, read))
    };
    answered.await.unwrap_or_else(Outcome::Failed)
}

/// As the attempt does it: what the peer did not process is sent again.
async fn call_again(pool: &ConnectionPool) -> Outcome {
    let ticket = pool.0.lock().pool.ticket();
    let (mut resends, mut left) = (Resends::within(5 * SECOND), 5 * SECOND);
    loop {
        let outcome = call_with(pool, ticket, left).await;
        let Outcome::Failed(error) = outcome else {
            return outcome;
        };
        match resends.after(error) {
            Some(longest) => left = longest,
            None => return outcome,
        }
    }
}

async fn calls(pool: &ConnectionPool, count: usize) -> Vec<Outcome> {
    join_all((0..count).map(|_| call_again(pool))).await
}

fn all_answered(outcomes: &[Outcome]) {
    let failed: Vec<_> = outcomes.iter().filter(|it| !it.is_answer()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Lets all tasks do what they can without waiting.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_calls_take_the_time_of_one_whatever_the_peer_allows() {
    for (limit, connections) in [(1, 200), (3, 67), (10, 20), (100, 2), (1_000, 2)] {
        let (pool, peer) = pool(Script::new(limit));
        let began = Instant::now();
        all_answered(&calls(&pool, 200).await);
        assert!(began.elapsed() < 1_200 * Duration::from_millis(1));
        assert_eq!(
            peer.dials.load(SeqCst),
            connections,
            "at a limit of {limit}"
        );
        assert!(peer.most_streams.load(SeqCst) <= limit as usize);
        let counts = pool.counts();
        assert_eq!(
            (counts.in_flight, counts.waiting, counts.connecting),
            (0, 0, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn open_connections_are_used_again() {
    let (pool, peer) = pool(Script::new(10));
    for _ in 0..5 {
        all_answered(&calls(&pool, 40).await);
    }
    assert_eq!(peer.dials.load(SeqCst), 4);
    assert_eq!(pool.counts().capacity, 40);
}

#[tokio::test(start_paused = true)]
async fn calls_are_spread_evenly() {
    let (pool, peer) = pool(Script::new(10));
    all_answered(&calls(&pool, 20).await);
    peer.most_streams.store(0, SeqCst);
    all_answered(&calls(&pool, 10).await);
    assert_eq!(
        peer.most_streams.load(SeqCst),
        5,
        "ten over two connections"
    );
}

#[tokio::test(start_paused = true)]
async fn draining_connections_are_replaced_without_a_failed_call() {
    for (limit, drains_after) in [(1, 1), (10, 3), (10, 10), (100, 20), (100, 1)] {
        let (pool, _) = pool(Script {
            drains_after: Some(drains_after),
            ..Script::new(limit)
        });
        for _ in 0..5 {
            all_answered(&calls(&pool, 50).await);
        }
        settle().await;
        assert_eq!(pool.counts().draining, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_loses_only_its_own_calls() {
    let (pool, _) = pool(Script {
        breaks: 1,
        ..Script::new(10)
    });
    let outcomes = calls(&pool, 30).await;
    let count = |error| {
        let failed = Outcome::Failed(error);
        outcomes.iter().filter(|it| **it == failed).count()
    };
    let with_others = count(StreamError::BrokenWithOthers);
    let answered = outcomes.iter().filter(|it| it.is_answer()).count();
    assert_eq!(count(StreamError::Broken), 1, "one reports it");
    assert_eq!(1 + with_others + answered, 30, "{outcomes:?}");
    assert!(with_others < 10, "{with_others} lost");
    all_answered(&calls(&pool, 30).await);
}

#[tokio::test(start_paused = true)]
async fn refused_streams_are_distinguished() {
    let (pool, peer) = pool(Script {
        refuses: 1,
        ..Script::new(10)
    });
    let refused = Outcome::Failed(StreamError::Refused);
    assert_eq!(call(&pool).await, refused);
    assert!(call(&pool).await.is_answer());
    assert_eq!(peer.dials.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_stream_is_bounded_and_in_order() {
    let limits = PoolLimits {
        connections: 1,
        ..LIMITS
    };
    let script = Script {
        takes: 4 * SECOND,
        ..Script::new(1)
    };
    let (pool, _) = pool_of(script, limits);
    // Before the first connection, more is expected of the peer.
    all_answered(&calls(&pool, 1).await);
    // One is answered at once, the next after 4 s, and the others have waited
    // for more than five.
    let outcomes = calls(&pool, 5).await;
    assert!(outcomes[0].is_answer() && outcomes[1].is_answer());
    assert!(
        outcomes[2..].iter().all(|it| *it == Outcome::NoStream),
        "{outcomes:?}"
    );
    assert_eq!(pool.counts().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_leaves_nothing_behind() {
    let limits = PoolLimits {
        connections: 1,
        ..LIMITS
    };
    let (pool, _) = pool_of(Script::new(1), limits);
    all_answered(&calls(&pool, 1).await);
    let mut first = Box::pin(call(&pool));
    let mut second = Box::pin(call(&pool));
    let mut third = Box::pin(call(&pool));
    for it in [&mut first, &mut second, &mut third] {
        assert!(futures::poll!(it.as_mut()).is_pending());
    }
    assert_eq!(pool.counts().waiting, 2);
    drop(second);
    assert_eq!(pool.counts().waiting, 1);
    let began = Instant::now();
    let (first, third) = futures::join!(first, third);
    assert!(first.is_answer() && third.is_answer());
    assert!(began.elapsed() < 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_attempt_resets_its_stream_and_gives_it_back() {
    let limits = PoolLimits {
        connections: 1,
        ..LIMITS
    };
    let (pool, peer) = pool_of(Script::new(1), limits);
    let abandoned = timeout(SECOND / 2, call(&pool)).await;
    assert!(abandoned.is_err());
    assert_eq!(pool.counts().in_flight, 0);
    let began = Instant::now();
    assert!(call(&pool).await.is_answer());
    assert!(began.elapsed() < 2 * SECOND);
    assert_eq!(peer.resets.load(SeqCst), 1);
    assert_eq!(peer.dials.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_streams_is_not_dialed_without_end() {
    for (limit, drains_after) in [(0, None), (1, Some(0))] {
        let (pool, peer) = pool(Script {
            drains_after,
            ..Script::new(limit)
        });
        let began = Instant::now();
        let outcomes = calls(&pool, 50).await;
        let answers = outcomes.iter().filter(|it| it.is_answer()).count();
        assert!(limit > 0 || answers == 0, "{outcomes:?}");
        assert!(began.elapsed() < 60 * SECOND);
        let dials = peer.dials.load(SeqCst);
        assert!(dials < 60, "{dials} dials at a limit of {limit}");
        assert!(pool.counts().idle <= 2, "{:?}", pool.counts());
        assert_eq!(pool.counts().waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_reached_fails_at_once_and_is_tried_again() {
    let (pool, peer) = pool(Script::new(10));
    peer.is_down.store(true, SeqCst);
    let began = Instant::now();
    let outcomes = calls(&pool, 20).await;
    assert!(
        outcomes.iter().all(|it| *it == Outcome::Connect),
        "{outcomes:?}"
    );
    assert!(began.elapsed() < SECOND);
    peer.is_down.store(false, SeqCst);
    all_answered(&calls(&pool, 20).await);
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_stream_while_no_further_connection_can_be_opened() {
    let (pool, peer) = pool(Script::new(10));
    let mut first = Box::pin(calls(&pool, 10));
    assert!(timeout(SECOND / 10, &mut first).await.is_err());
    peer.is_down.store(true, SeqCst);
    let (first, second) = futures::join!(first, calls(&pool, 10));
    all_answered(&first);
    all_answered(&second);
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_http1_is_remembered() {
    let (pool, peer) = pool(Script::new(10));
    peer.is_http1.store(true, SeqCst);
    for _ in 0..3 {
        let outcomes = calls(&pool, 20).await;
        assert!(outcomes.iter().all(|it| *it == Outcome::Http1));
    }
    assert_eq!(peer.dials.load(SeqCst), 1);
    sleep(HTTP1_REMEMBERED).await;
    peer.is_http1.store(false, SeqCst);
    all_answered(&calls(&pool, 20).await);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_in_time_and_number() {
    let limits = PoolLimits { idle: 2, ..LIMITS };
    let (pool, peer) = pool_of(Script::new(1), limits);
    all_answered(&calls(&pool, 8).await);
    settle().await;
    assert_eq!((pool.counts().idle, peer.open.load(SeqCst)), (2, 2));
    sleep(limits.idle_timeout + SECOND).await;
    assert_eq!((pool.counts().idle, peer.open.load(SeqCst)), (0, 0));
    all_answered(&calls(&pool, 8).await);
    drop(pool);
    settle().await;
    assert_eq!(peer.open.load(SeqCst), 0, "connections outlive their pool");
}

#[tokio::test(start_paused = true)]
async fn large_headers_are_read_and_too_large_ones_are_an_error_of_their_own() {
    for headers in [30_000, 100_000, 600_000] {
        let (pool, _) = pool(Script {
            headers,
            ..Script::new(10)
        });
        all_answered(&calls(&pool, 2).await);
    }
    let (pool, peer) = pool(Script {
        headers: 3_000_000,
        ..Script::new(10)
    });
    let outcome = call(&pool).await;
    assert_eq!(outcome, Outcome::Failed(StreamError::Unreadable));
    assert_eq!(peer.requests.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_accepts_and_stays_silent_is_given_up() {
    struct Silent(AtomicU32);
    impl Dial for Silent {
        fn dial(&self) -> BoxFuture<'static, Result<Dialed, ConnectFailure>> {
            self.0.fetch_add(1, SeqCst);
            let (near, far) = duplex(64 * 1024);
            tokio::spawn(async move {
                sleep(Duration::from_secs(3_600)).await;
                drop(far);
            });
            std::future::ready(Ok(Dialed::Http2(Box::new(near) as _))).boxed()
        }
    }
    let pool = ConnectionPool::new(Arc::new(Silent(AtomicU32::new(0))), LIMITS, 10 * SECOND);
    let began = Instant::now();
    let outcome = call(&pool).await;
    assert_eq!(outcome, Outcome::Failed(StreamError::Broken));
    assert!(began.elapsed() < 11 * SECOND);
    settle().await;
    assert_eq!(pool.counts(), PoolCounts::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the peer allows, and whichever calls are given up, nothing is
    /// left over and no limit is exceeded.
    #[test]
    fn nothing_is_left_over(
        limit in 1_u32..12,
        drains_after in prop::option::of(1_usize..9),
        connections in 1_usize..12,
        patience in prop::collection::vec(0_u64..8_000, 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let script = Script { drains_after, ..Script::new(limit) };
            let (pool, _) = pool_of(script, PoolLimits { connections, ..LIMITS });
            let given_up = patience.iter().map(|millis| {
                timeout(Duration::from_millis(*millis), call_again(&pool))
            });
            join_all(given_up).await;
            settle().await;
            let counts = pool.counts();
            assert_eq!((counts.in_flight, counts.waiting), (0, 0), "{counts:?}");
            assert!(counts.idle + counts.active <= connections);
            all_answered(&calls(&pool, 1).await);
        });
    }
}
