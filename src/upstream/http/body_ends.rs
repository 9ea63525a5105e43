//! Reads what is left of a body after its last event, next to the call.
//!
//! A connection over HTTP/1.1 returns to the pool once its response was read to
//! the end, which is usually there together with the last event. An answer does
//! not wait for it: a peer may hold the body open. What is not there yet is read
//! by a task of its own, which holds nothing of the call. It is bounded in time
//! and number; beyond that, the body is dropped, which closes its connection.
//!
//! Over HTTP/2, dropping it resets the stream and costs only that, so the wait is
//! shorter: a stream that is held is missing to the next call, whose permit is
//! free. There is a wait, since many servers send the end in a frame of its own,
//! and some count resets as an attack.

use bytes::Bytes;
use futures::{FutureExt, Stream, StreamExt};
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

/// How long the end of a body may take over HTTP/1.1.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// How long the end of a body may take over HTTP/2.
const MAX_WAIT_HTTP2: Duration = Duration::from_millis(10);

/// Maximum number of bodies whose end is awaited at once.
const MAX_TASKS: usize = 100;

/// Maximum size of what may follow the last event, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The bodies whose end is awaited. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct BodyEnds {
    tasks: Arc<Semaphore>,
    max_wait: Duration,
}

impl Default for BodyEnds {
    fn default() -> Self {
        BodyEnds {
            tasks: Arc::new(Semaphore::new(MAX_TASKS)),
            max_wait: MAX_WAIT,
        }
    }
}

impl BodyEnds {
    /// The same, for a body over HTTP/2.
    pub fn over_http2(&self) -> Self {
        BodyEnds {
            tasks: Arc::clone(&self.tasks),
            max_wait: MAX_WAIT_HTTP2,
        }
    }

    /// Reads a body to its end, without waiting for it.
    pub fn read<E: Send>(
        &self,
        mut body: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    ) {
        let mut room = MAX_BYTES;
        let mut end = Box::pin(async move {
            while let Some(Ok(bytes)) = body.next().await {
                room = room.saturating_sub(bytes.len());
                if room == 0 {
                    return;
                }
            }
        });
        if (&mut end).now_or_never().is_some() {
            return;
        }
        // Without a runtime, the process is ending.
        if let (Ok(permit), Ok(runtime)) = (
            Arc::clone(&self.tasks).try_acquire_owned(),
            Handle::try_current(),
        ) {
            let max_wait = self.max_wait;
            runtime.spawn(async move {
                let _ = timeout(max_wait, end).await;
                drop(permit);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use std::convert::Infallible;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    type Piece = Result<Bytes, Infallible>;

    fn body() -> (mpsc::UnboundedSender<Piece>, UnboundedReceiverStream<Piece>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, UnboundedReceiverStream::new(receiver))
    }

    fn running(ends: &BodyEnds) -> usize {
        MAX_TASKS - ends.tasks.available_permits()
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_is_there_needs_no_task() {
        let ends = BodyEnds::default();
        ends.read(stream::iter([Ok::<_, Infallible>(Bytes::from("\n"))]));
        assert_eq!(running(&ends), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_comes_later_is_read_and_one_that_does_not_is_given_up() {
        let ends = BodyEnds::default();
        let (later, body_of_later) = body();
        let (never, body_of_never) = body();
        ends.read(body_of_later);
        ends.read(body_of_never);
        assert_eq!(running(&ends), 2);
        drop(later);
        tokio::time::sleep(MAX_WAIT / 2).await;
        assert_eq!(running(&ends), 1);
        assert!(!never.is_closed());
        never.closed().await;
        tokio::task::yield_now().await;
        assert_eq!(running(&ends), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn over_http2_a_body_is_given_up_sooner() {
        let ends = BodyEnds::default();
        let (over_http1, body_over_http1) = body();
        let (over_http2, body_over_http2) = body();
        ends.read(body_over_http1);
        ends.over_http2().read(body_over_http2);
        over_http2.closed().await;
        assert!(!over_http1.is_closed());
        over_http1.closed().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_goes_on_is_given_up_at_once() {
        let ends = BodyEnds::default();
        let (sender, endless) = body();
        sender.send(Ok(Bytes::from(vec![0; MAX_BYTES]))).unwrap();
        ends.read(endless);
        assert!(sender.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_maximum_number_bodies_are_dropped() {
        let ends = BodyEnds::default();
        let bodies: Vec<_> = (0..=MAX_TASKS)
            .map(|_| {
                let (sender, body) = body();
                ends.read(body);
                sender
            })
            .collect();
        assert_eq!(bodies.iter().filter(|it| it.is_closed()).count(), 1);
    }
}
