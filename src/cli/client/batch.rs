//! Several documents, processed concurrently and printed in the order given. A
//! document that fails does not stop the others.

use super::input::Source;
use crate::cli::exit::{Exit, Failure};
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};

/// Flags for the processing of several documents.
#[derive(Debug, Clone, clap::Args)]
pub struct BatchFlags {
    /// Maximum number of concurrent calls when several files are given, 1 to 64.
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
}

impl BatchFlags {
    /// Calls `ask` for each source and `print` for each answer, in the order of
    /// the sources.
    ///
    /// # Errors
    /// When any source failed, after all were processed: with their exit code if
    /// it is the same for all, else [`Exit::Failed`]. Immediately with
    /// [`Failure::PipeClosed`] when the reader of the output closed the pipe.
    pub async fn run<T>(
        &self,
        sources: &[Source],
        ask: impl AsyncFn(&Source) -> Result<T, Failure>,
        mut print: impl FnMut(&Source, T) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let progress = progress(sources.len());
        let answers = stream::iter(sources).map(async |source| (source, ask(source).await));
        let mut answers = std::pin::pin!(answers.buffered(usize::from(self.jobs)));
        let mut failed = None;
        while let Some((source, answer)) = answers.next().await {
            // Suspends the bar: both may write to the same terminal.
            let printed = progress.suspend(|| {
                let printed = answer.and_then(|answer| print(source, answer));
                printed.map_err(|failure| {
                    let failure = source.failure(failure);
                    failure.print();
                    failure
                })
            });
            progress.inc(1);
            match printed {
                Ok(()) => {}
                Err(Failure::PipeClosed) => return Err(Failure::PipeClosed),
                Err(Failure::Explained { exit, .. } | Failure::Reported(exit)) => {
                    failed = match failed {
                        Some(other) if other != exit => Some(Exit::Failed),
                        _ => Some(exit),
                    };
                }
            }
        }
        progress.finish_and_clear();
        failed.map_or(Ok(()), |exit| Err(Failure::Reported(exit)))
    }
}

/// A progress bar on stderr, if that is a terminal.
fn progress(sources: usize) -> ProgressBar {
    if sources < 2 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(sources as u64).with_style(style)
}
