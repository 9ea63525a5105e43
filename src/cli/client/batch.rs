//! Several documents, some at a time, each told in the order given. One that
//! fails does not keep the others from being done.

use super::input::Source;
use crate::cli::exit::{Exit, Failure};
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};

/// How several documents are worked on.
#[derive(Debug, Clone, clap::Args)]
pub struct BatchFlags {
    /// Calls at once, when several files are given.
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
}

impl BatchFlags {
    /// Asks about each source, and prints what comes of it.
    ///
    /// # Errors
    /// When any failed, after all were tried: with their exit code if they
    /// failed alike. At once when nobody reads the output any more.
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
            // With the bar out of the way: both may be the same terminal.
            let told = progress.suspend(|| {
                let told = answer.and_then(|answer| print(source, answer));
                told.map_err(|failure| {
                    let failure = source.failure(failure);
                    failure.tell();
                    failure
                })
            });
            progress.inc(1);
            match told {
                Ok(()) => {}
                Err(Failure::PipeClosed) => return Err(Failure::PipeClosed),
                Err(Failure::Told { exit, .. } | Failure::Reported(exit)) => {
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

/// On stderr, and only where that is a terminal.
fn progress(sources: usize) -> ProgressBar {
    if sources < 2 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(sources as u64).with_style(style)
}
