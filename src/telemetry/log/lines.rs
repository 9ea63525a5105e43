//! Lines on their way to stderr.
//!
//! Whoever logs never waits for stderr, which may be a pipe that nobody reads:
//! a thread writes, and lines beyond a bound are dropped and counted. It
//! writes all that has come within some milliseconds at once.

use crate::telemetry::metrics::{ExportOutcome, ExportSignal, Metrics};
use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that wait.
const MOST: usize = 1024 * 1024;

/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(10);

/// Longest wait for a stderr that stands still, at the end.
const LAST: Duration = Duration::from_secs(1);

/// Where lines are left. Cloning is cheap.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    written: Condvar,
    metrics: Option<Arc<Metrics>>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    is_writing: bool,
}

/// Writes what still waits when it is dropped.
pub struct Flush(Arc<Shared>);

impl Lines {
    /// Lines to stderr.
    pub fn new(metrics: Option<Arc<Metrics>>) -> (Self, Flush) {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            came: Condvar::new(),
            written: Condvar::new(),
            metrics,
        });
        let writing = Arc::clone(&shared);
        let spawned = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writing.write_for_ever());
        if spawned.is_err() {
            eprintln!("claude-grpc: no thread for the log");
        }
        (Lines(Arc::clone(&shared)), Flush(shared))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_for_ever(&self) {
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.lines.is_empty() {
                waiting = self
                    .came
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            drop(waiting);
            thread::sleep(GATHER);
            let mut waiting = self.lock();
            std::mem::swap(&mut lines, &mut waiting.lines);
            waiting.is_writing = true;
            drop(waiting);
            // Nobody is left to be told that stderr is gone.
            let _ = io::stderr().write_all(&lines);
            lines.clear();
            self.lock().is_writing = false;
            self.written.notify_all();
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        self
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.lines.len() + line.len() > MOST {
            drop(waiting);
            if let Some(metrics) = &self.0.metrics {
                metrics.exported(ExportSignal::Stderr, ExportOutcome::Dropped, 1);
            }
            return Ok(line.len());
        }
        let is_first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.0.came.notify_one();
        }
        if let Some(metrics) = &self.0.metrics {
            metrics.exported(ExportSignal::Stderr, ExportOutcome::Sent, 1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let waiting = self.0.lock();
        let _ = self.0.written.wait_timeout_while(waiting, LAST, |waiting| {
            waiting.is_writing || !waiting.lines.is_empty()
        });
    }
}
