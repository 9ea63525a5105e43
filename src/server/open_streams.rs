//! The streams of one HTTP/2 connection: whether there was one yet, and whether
//! the connection is idle.
//!
//! The HTTP library runs each stream as a task of its own, through this
//! executor, until its response is sent.

use super::{ended_tasks::EndedTasks, open_connections::OpenRequests, reading_queue::ReadingQueue};
use http::Version;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

/// Counts the streams of a connection. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct OpenStreams(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Requests since the beginning of the connection.
    requests: AtomicU64,
    open: OpenRequests,
    first: Notify,
    queue: ReadingQueue,
    /// Streams among them end as if they were done.
    ended_tasks: EndedTasks,
}

impl OpenStreams {
    /// No streams yet. They are counted as open requests too, and as calls until
    /// they begin. Those whose tasks must end do.
    pub fn new(open: OpenRequests, queue: ReadingQueue, ended_tasks: EndedTasks) -> Self {
        OpenStreams(Arc::new(Counts {
            open,
            queue,
            ended_tasks,
            ..Counts::default()
        }))
    }

    /// Counts a request.
    pub fn count_request(&self, version: Version) {
        if self.0.requests.fetch_add(1, Relaxed) > 0 {
            return;
        }
        self.0.first.notify_one();
        // What the library does not run through this executor counts as open to the
        // end of the connection, which the library closes when it is idle.
        if version != Version::HTTP_2 {
            self.0.open.add();
        }
    }

    /// Waits for the first request. For one waiter.
    pub async fn first_request(&self) {
        if self.0.requests.load(Relaxed) == 0 {
            self.0.first.notified().await;
        }
    }

    /// Waits until no stream has been open for this time. It looks twice in that
    /// time and not at each stream, so up to half of it more may pass.
    pub async fn idle(&self, time: Duration) {
        let (mut seen, mut quiet) = (u64::MAX, 0);
        while quiet < 2 {
            let requests = self.0.requests.load(Relaxed);
            let is_quiet = requests == seen && self.0.open.count() == 0;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            seen = requests;
            if quiet < 2 {
                sleep(time / 2).await;
            }
        }
    }
}

impl<F> hyper::rt::Executor<F> for OpenStreams
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(OpenStream {
            stream,
            open: Open::new(Arc::clone(&self.0)),
        });
    }
}

pin_project! {
    /// A stream, counted until it is dropped. An async block would hold the
    /// stream twice.
    struct OpenStream<F> {
        #[pin]
        stream: F,
        open: Open,
    }
}

impl<F: Future> Future for OpenStream<F> {
    /// `None` if it had to end: what it holds is dropped, and the stream is reset.
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.open.counts.ended_tasks.has_current() {
            return Poll::Ready(None);
        }
        let ended = this.stream.poll(cx);
        this.open.begin();
        ended.map(Some)
    }
}

struct Open {
    counts: Arc<Counts>,
    has_begun: bool,
}

impl Open {
    fn new(counts: Arc<Counts>) -> Self {
        counts.open.add();
        counts.queue.call_handed_out();
        Open {
            counts,
            has_begun: false,
        }
    }

    fn begin(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            self.counts.queue.call_begun();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.begin();
        self.counts.open.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::reading_queue::NextTurn;
    use futures::FutureExt;
    use hyper::rt::Executor;
    use std::future::{pending, poll_fn};
    use tokio::{sync::oneshot, task, time::Instant};

    const TIME: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_some_time_after_its_last_stream() {
        let streams = OpenStreams::default();
        let busy = TIME * 10;
        streams.count_request(Version::HTTP_2);
        streams.execute(sleep(busy));
        let began = Instant::now();
        streams.idle(TIME).await;
        let idle = began.elapsed() - busy;
        assert!(idle >= TIME && idle <= TIME * 3 / 2, "{idle:?}");
    }

    #[tokio::test]
    async fn the_first_request_is_waited_for() {
        let streams = OpenStreams::default();
        assert!(streams.first_request().now_or_never().is_none());
        streams.count_request(Version::HTTP_2);
        streams.first_request().await;
        streams.first_request().await;
    }

    #[tokio::test]
    async fn a_stream_whose_task_must_end_is_dropped() {
        let tasks = EndedTasks::default();
        let (requests, queue) = (OpenRequests::default(), ReadingQueue::default());
        let streams = OpenStreams::new(requests, queue, tasks.clone());
        let (sender, task) = oneshot::channel();
        let (held, dropped) = oneshot::channel::<()>();
        streams.execute(async move {
            let _held = held;
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            sender.send((task::id(), waker)).expect("the test waits");
            pending::<()>().await;
        });
        let (id, waker) = task.await.expect("the stream began");
        assert_eq!(streams.0.open.count(), 1);
        let _ended = tasks.add(id);
        waker.wake();
        assert!(dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_stream_has_begun_once_it_was_polled_or_dropped() {
        let queue = ReadingQueue::default();
        let requests = OpenRequests::default();
        let streams = OpenStreams::new(requests, queue.clone(), EndedTasks::default());
        (0..1000).for_each(|_| streams.execute(std::future::pending::<()>()));
        assert!(queue.has_many_calls());
        queue.wait(&NextTurn::default()).await;
        assert!(!queue.has_many_calls());
        let dropped = (0..1000).map(|_| Open::new(Arc::clone(&streams.0)));
        let dropped: Vec<Open> = dropped.collect();
        assert!(queue.has_many_calls());
        drop(dropped);
        assert!(!queue.has_many_calls());
    }
}
