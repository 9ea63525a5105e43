//! A run: one question about many documents.
//!
//! - **Each document has one result**, failures included, and one that fails does not stop
//!   the others.
//! - **A call that may succeed later is made again**, so that a restart of the service, or
//!   a limit of the API, costs time only.
//! - **What was answered is not asked again**: a run with an output file that stopped, by
//!   whatever cause, can be resumed.

mod answer_folder;
mod ask;
mod batch;
mod estimate;
mod journal;
mod line;
mod progress;
mod question;
mod repeat;
mod results;
mod stop;
mod totals;

pub use question::Question;

use super::{
    connection::ConnectionFlags,
    input::Source,
    inputs::{Input, InputFlags},
    json::Json,
};
use crate::{
    cli::exit::{Exit, Failure},
    models::catalogue,
};
use ask::{Asker, Outcome};
use batch::{BatchRun, BatchesFile};
use estimate::Estimate;
use futures::{Stream, StreamExt, stream};
use line::EarlierLine;
use progress::Progress;
use results::{ResultFlags, Results};
use serde_json::Value;
use std::{cell::LazyCell, fmt::Display, path::PathBuf, time::Duration};
use stop::RunStop;
use totals::Totals;

/// Flags of commands that ask about documents.
#[derive(Debug, Clone, clap::Args)]
pub struct RunFlags {
    #[command(flatten)]
    inputs: InputFlags,
    #[command(flatten)]
    results: ResultFlags,
    /// Maximum number of concurrent calls, 1 to 256.
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// How long to repeat calls about a document while they may succeed later; `0s` for not
    /// at all.
    #[arg(long, value_name = "TIME", default_value = "5m")]
    #[arg(value_parser = humantime::parse_duration)]
    retry_for: Duration,
    /// Stop, with exit code 7, once the answers have cost this many US dollars. Calls in
    /// flight finish, and their cost comes on top. Long documents, and those in batches,
    /// count with their estimates before they are asked about.
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    max_cost: Option<f64>,
    /// Submit the documents as batches, at half the price: their answers come within 24
    /// hours. The service must have batches turned on.
    #[arg(long, requires = "output")]
    batch: bool,
    /// How long to wait for batches, then to end with exit code 8; `0s` to submit only.
    /// --resume collects their answers later. Default: until they have ended.
    #[arg(long, value_name = "TIME", requires = "batch")]
    #[arg(value_parser = humantime::parse_duration)]
    wait_for: Option<Duration>,
    /// Maximum number of documents in a batch, 1 to 2000. One also ends when its documents
    /// have 4 MiB.
    #[arg(
        long,
        value_name = "NUMBER",
        requires = "batch",
        default_value_t = 2000
    )]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=2000))]
    batch_size: u16,
    /// Print what the run would take, and pay nothing: calls, tokens and US dollars; with
    /// --json, those of each document.
    #[arg(long)]
    estimate: bool,
}

/// The documents of a run, and where their results go.
pub struct Run<'a> {
    flags: &'a RunFlags,
    /// The documents, in the order of the command line.
    pub inputs: Vec<Input>,
}

// === impl RunFlags ===

impl RunFlags {
    /// Finds the documents.
    ///
    /// # Errors
    /// When there are none, or standard input is named twice.
    pub fn run(&self) -> Result<Run<'_>, Failure> {
        let inputs = self.inputs.all(self.results.written()?)?;
        Ok(Run {
            flags: self,
            inputs,
        })
    }
}

impl RunFlags {
    /// The file with the batches of the run, if it submits any.
    ///
    /// # Errors
    /// When it cannot be opened, or has batches that are not to be collected.
    fn batches(&self, options: &str) -> Result<Option<BatchesFile>, Failure> {
        let Some(path) = self
            .results
            .batches()
            .filter(|it| self.batch || it.exists())
        else {
            return Ok(None);
        };
        let failed = |why: &dyn Display| Failure::usage(format!("{}: {why}", path.display()));
        let file = BatchesFile::open(path.clone()).map_err(|error| failed(&error))?;
        if self.batch {
            return Ok(Some(file));
        }
        let open = file
            .open_batches()
            .iter()
            .filter(|it| it.options == options);
        match open.map(|it| it.documents.len()).sum::<usize>() {
            0 => Ok(None),
            documents => Err(failed(&format!(
                "{documents} documents are in batches: --batch collects their answers"
            ))),
        }
    }
}

// === impl Run ===

impl Run<'_> {
    /// Whether the answers go to standard output as text.
    pub fn is_text(&self) -> bool {
        self.flags.results.are_text()
    }

    /// Asks the question about each document. Text is printed in the order of the
    /// documents, JSON as it comes.
    ///
    /// # Errors
    /// When any document has no complete answer, after all were asked about: with their
    /// exit code if it is the same for all. Immediately when a result cannot be written.
    pub async fn ask<Q: Question>(
        self,
        connection: &ConnectionFlags,
        question: &Q,
    ) -> Result<(), Failure> {
        let Run { flags, inputs } = self;
        let results = flags.results.open(&inputs, Q::SEPARATOR)?;
        let has_several = inputs.len() > 1;
        let connection = if has_several {
            connection.connect_within(flags.retry_for).await?
        } else {
            connection.connect().await?
        };
        let connection = connection.in_batch(has_several);
        let price_factor = if flags.batch {
            catalogue().batch().factor
        } else {
            1.0
        };
        if flags.estimate {
            let estimate = Estimate {
                question,
                connection: &connection,
                retry_for: flags.retry_for,
                price_factor,
                is_json: flags.results.are_json(),
            };
            return estimate.print(&inputs, &results).await;
        }
        results.create_folder()?;
        let stop = RunStop::on_signals()?;
        let mut asker = Asker::new(question, &connection, stop.clone());
        asker.retry_for = flags.retry_for;
        asker.max_cost = flags.max_cost;
        asker.parts = results.parts();
        asker.has_names = has_several && flags.results.are_text();
        asker.price_factor = price_factor;
        let asked: Vec<_> = inputs
            .iter()
            .map(|input| (input, results.earlier(&input.source.name()).cloned()))
            .collect();
        let batches = flags.batches(asker.options())?;
        let outcomes = match batches {
            Some(file) => {
                let run = BatchRun {
                    asker,
                    file,
                    size: flags.batch_size.into(),
                    wait_for: flags.wait_for,
                };
                run.outcomes(asked).boxed_local()
            }
            None => answers(&asker, asked, flags).map(Ok).boxed_local(),
        };
        let json = LazyCell::new(Json::new);
        let text = |response: &Value| Some(question.text(None, &question.answer(&json, response)?));
        let collected = collect(outcomes, inputs.len(), results, text);
        tokio::select! {
            biased;
            () = stop.now.cancelled() => Err(Failure::Reported(Exit::Interrupted)),
            collected = collected => outcome(&collected?, &stop),
        }
    }
}

/// What becomes of each document, some at once: text in their order.
fn answers<'a, Q: Question>(
    asker: &'a Asker<'a, Q>,
    documents: Vec<(&'a Input, Option<EarlierLine>)>,
    flags: &RunFlags,
) -> impl Stream<Item = Outcome> + 'a {
    let outcomes = stream::iter(documents).map(|(input, earlier)| asker.asked(input, earlier));
    let jobs = usize::from(flags.jobs);
    if flags.results.are_text() {
        outcomes.buffered(jobs).left_stream()
    } else {
        outcomes.buffer_unordered(jobs).right_stream()
    }
}

/// Writes what becomes of each document. `text` is the response of an earlier run as text.
async fn collect(
    outcomes: impl Stream<Item = Result<Outcome, Failure>>,
    documents: usize,
    mut results: Results,
    text: impl Fn(&Value) -> Option<String>,
) -> Result<Totals, Failure> {
    let mut outcomes = std::pin::pin!(outcomes);
    let mut totals = Totals::default();
    let mut progress = Progress::new(documents);
    while let Some(outcome) = outcomes.next().await {
        match outcome? {
            Outcome::Earlier { line, fails } => {
                results.keep(&line);
                totals.add_earlier(&line, fails);
            }
            Outcome::NotAsked => totals.add_not_asked(),
            Outcome::InBatches(count) => totals.set_in_batches(count),
            Outcome::New { line, answer, used } => {
                totals.add(&line, answer.as_ref(), &used);
                progress.suspend(|| {
                    if let Some(failure) = line.failure() {
                        let source = Source::from(PathBuf::from(&line.file));
                        source.failure(failure.clone()).print();
                    }
                    results.write(&line, answer.as_ref().map(|answer| answer.text.as_str()))
                })?;
            }
        }
        progress.show(&totals);
    }
    results.write_kept(text)?;
    results.end(totals.has_all())?;
    progress.end(&totals);
    Ok(totals)
}

/// The outcome of a run with these totals, whose failures have been reported.
fn outcome(totals: &Totals, stop: &RunStop) -> Result<(), Failure> {
    let in_batches = totals.in_batches().documents;
    let in_batches = (in_batches > 0)
        .then(|| format!("{in_batches} documents are in batches: --resume collects their answers"));
    let not_asked = (totals.not_asked() > 0)
        .then(|| format!("{} documents were not asked about", totals.not_asked()));
    let (exit, why) = match (&not_asked, &in_batches) {
        (None, None) => return totals.outcome(),
        _ if stop.begun.is_cancelled() => (Exit::Interrupted, "stopped"),
        (Some(_), _) => (Exit::OverBudget, "--max-cost is reached"),
        (None, Some(_)) => (Exit::Waiting, "--wait-for is over"),
    };
    let left: Vec<String> = not_asked.into_iter().chain(in_batches).collect();
    Err(Failure::new(exit, format!("{why}: {}", left.join("; "))))
}

/// Parses an amount of US dollars.
fn dollars(text: &str) -> Result<f64, String> {
    let amount: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if amount > 0.0 && amount.is_finite() {
        return Ok(amount);
    }
    Err("must be more than 0".to_owned())
}
