//! What a run has done, in its last line.

use super::{
    batch::BatchCount,
    line::{EarlierLine, ResultLine, ResultStatus},
};
use crate::{
    cli::exit::{Exit, Failure},
    models::Tokens,
};
use humantime::format_duration;
use std::{fmt, time::Duration};

/// Counts over the documents of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    answered: usize,
    incomplete: usize,
    failed: usize,
    /// Those that an earlier run has asked about.
    earlier: usize,
    not_asked: usize,
    in_batches: BatchCount,
    done: usize,
    tokens: Tokens,
    /// In US dollars.
    dollars: f64,
    /// Whether the price of some answer is not known.
    has_unpriced: bool,
    /// The exit code of all failures so far, if they have the same.
    exit: Option<Exit>,
    /// Whether some document has a label in `--fail-on`.
    fails: bool,
}

/// An answer as text, and what it means for the command.
#[derive(Debug)]
pub struct AnswerSummary {
    pub text: String,
    /// Whether its labels make the command fail.
    pub fails: bool,
}

// === impl Totals ===

impl Totals {
    /// Counts a document that was asked about, and what its calls used.
    pub fn add(&mut self, line: &ResultLine, answer: Option<&AnswerSummary>, used: &Tokens) {
        self.done += 1;
        self.tokens.add(used);
        self.dollars += line.dollars.unwrap_or(0.0);
        match line.status {
            ResultStatus::Ok => self.answered += 1,
            ResultStatus::Incomplete => self.incomplete += 1,
            ResultStatus::Failed => self.failed += 1,
        }
        if let Some(answer) = answer {
            self.fails |= answer.fails;
            self.has_unpriced |= line.dollars.is_none();
        }
        if let Some(Failure::Explained { exit, .. }) = line.failure() {
            self.fail(*exit);
        }
    }

    /// Counts a document that an earlier run has asked about.
    pub fn add_earlier(&mut self, line: &EarlierLine, fails: bool) {
        self.done += 1;
        self.earlier += 1;
        if line.status == ResultStatus::Incomplete {
            self.incomplete += 1;
            self.fail(Exit::Incomplete);
        }
        self.fails |= fails;
    }

    /// Counts a document that the run stopped before.
    pub fn add_not_asked(&mut self) {
        self.not_asked += 1;
    }

    /// Takes note of how many documents are in batches.
    pub fn set_in_batches(&mut self, count: BatchCount) {
        self.in_batches = count;
    }

    /// The documents in batches that have not ended.
    pub fn in_batches(&self) -> BatchCount {
        self.in_batches
    }

    /// Whether all documents have an answer, complete or not.
    pub fn has_all(&self) -> bool {
        self.failed + self.not_asked + self.in_batches.documents == 0
    }

    /// The number of documents that the run stopped before.
    pub fn not_asked(&self) -> usize {
        self.not_asked
    }

    fn fail(&mut self, exit: Exit) {
        self.exit = match self.exit {
            Some(other) if other != exit => Some(Exit::Failed),
            _ => Some(exit),
        };
    }

    /// The number of documents that are done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// The outcome of a command that has reported its failures.
    ///
    /// # Errors
    /// When some document has a label in `--fail-on`, or no complete answer.
    pub fn outcome(&self) -> Result<(), Failure> {
        let exit = self.fails.then_some(Exit::Found).or(self.exit);
        exit.map_or(Ok(()), |exit| Err(Failure::Reported(exit)))
    }

    /// The last line of a run that took this time.
    pub fn line(&self, elapsed: Duration) -> String {
        let elapsed = Duration::from_millis(elapsed.as_millis() as u64 / 100 * 100);
        format!("{self} in {}", format_duration(elapsed))
    }
}

/// The counts that are not zero, the tokens, and the dollars.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered", self.answered)?;
        for (count, what) in [
            (self.earlier, "of an earlier run"),
            (self.incomplete, "incomplete"),
            (self.failed, "failed"),
            (self.not_asked, "not asked about"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        let BatchCount {
            documents,
            processed,
        } = self.in_batches;
        if documents > 0 {
            write!(f, ", {documents} in batches ({processed} processed)")?;
        }
        let tokens = &self.tokens;
        write!(f, "; {} input tokens", tokens.all_input())?;
        if tokens.cache_read > 0 {
            write!(f, " ({} from the cache)", tokens.cache_read)?;
        }
        let at_least = if self.has_unpriced { "at least " } else { "" };
        write!(
            f,
            ", {} output tokens, {at_least}${:.4}",
            tokens.output, self.dollars
        )
    }
}
