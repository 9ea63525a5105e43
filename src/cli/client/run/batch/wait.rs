//! Waits for batches to end.

use super::{
    calls::{BatchCalls, status_of},
    count::BatchCount,
    file::OpenBatch,
};
use crate::{
    cli::{
        client::{failure::failed, run::stop::RunStop},
        exit::Failure,
    },
    proto::v1::{Batch, BatchState},
};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use tonic::{Code, Status};

/// The first pause between two looks at all batches; each one is half as long again, up to
/// [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two looks at all batches.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Waits for batches to end.
pub struct BatchWaiter<'a> {
    calls: &'a BatchCalls,
    stop: &'a RunStop,
    /// Until when; `None` for as long as it takes.
    end: Option<Instant>,
    /// Those that have not ended.
    batches: Vec<(OpenBatch, usize)>,
    /// Which of them is looked at next.
    next: usize,
    pause: Duration,
}

/// A batch that has ended, or is gone.
pub struct FinishedBatch {
    /// The batch.
    pub batch: OpenBatch,
    /// Why it has no results, if it has none.
    pub error: Option<Status>,
}

/// What came of waiting.
pub enum Waited {
    /// This one has ended, or is gone.
    Ended(FinishedBatch),
    /// None has ended yet.
    Not(BatchCount),
    /// All have ended, the time is over, or the run stops.
    Over(BatchCount),
}

// === impl BatchWaiter ===

impl<'a> BatchWaiter<'a> {
    /// Waits for these until then, or until the run stops.
    pub fn new(
        calls: &'a BatchCalls,
        stop: &'a RunStop,
        batches: Vec<OpenBatch>,
        end: Option<Instant>,
    ) -> Self {
        BatchWaiter {
            calls,
            stop,
            end,
            batches: batches.into_iter().map(|batch| (batch, 0)).collect(),
            next: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// Looks at the batches, and pauses when it has seen them all.
    ///
    /// # Errors
    /// When the service cannot be asked.
    pub async fn next(&mut self) -> Result<Waited, Failure> {
        while let Some((batch, processed)) = self.batches.get_mut(self.next) {
            if self.stop.begun.is_cancelled() {
                break;
            }
            let error = match self.calls.get(batch.id()).await {
                Ok(seen) if seen.state() == BatchState::Ended => None,
                Ok(seen) if seen.state() == BatchState::Failed => {
                    Some(status_of(&seen.error.unwrap_or_default()))
                }
                Ok(seen) => {
                    *processed = processed_in(&seen);
                    self.next += 1;
                    continue;
                }
                Err(status) if status.code() == Code::NotFound => Some(status),
                Err(status) => return Err(failed(&status)),
            };
            let (batch, _) = self.batches.remove(self.next);
            self.pause = FIRST_PAUSE;
            return Ok(Waited::Ended(FinishedBatch { batch, error }));
        }
        let now = Instant::now();
        let pause_end = self
            .end
            .map_or(now + self.pause, |end| end.min(now + self.pause));
        if self.batches.is_empty() || pause_end <= now || self.stop.begun.is_cancelled() {
            return Ok(Waited::Over(self.count()));
        }
        tokio::select! {
            () = sleep_until(pause_end.into()) => {}
            () = self.stop.begun.cancelled() => {}
        }
        self.next = 0;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        Ok(Waited::Not(self.count()))
    }

    fn count(&self) -> BatchCount {
        let batches = self.batches.iter();
        batches.fold(BatchCount::default(), |all, (batch, processed)| {
            BatchCount {
                documents: all.documents + batch.documents.len(),
                processed: all.processed + processed,
            }
        })
    }
}

fn processed_in(batch: &Batch) -> usize {
    let counts = batch.counts.unwrap_or_default();
    let processed = counts.succeeded + counts.errored + counts.canceled + counts.expired;
    usize::try_from(processed).unwrap_or(0)
}
