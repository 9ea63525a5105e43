//! Asks about one document: reads it, and calls until there is an answer.

use super::{
    line::{EarlierLine, ResultError, ResultLine, ResultStatus, digest_of},
    question::Question,
    repeat::pause_after,
    stop::RunStop,
    totals::AnswerSummary,
};
use crate::{
    cli::{
        client::{
            connection::Connection,
            document::{DocumentContent, Unchecked},
            inputs::Input,
            json::Json,
            parts_file::{KeptParts, PartsFile, PartsOf},
            reader::DocumentReader,
        },
        exit::Failure,
    },
    models::{Day, PriceTable},
};
use data_encoding::HEXLOWER;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tonic::Code;

const NANODOLLARS_PER_DOLLAR: f64 = 1e9;

/// What all documents of a run have in common.
pub struct Asker<'a, Q> {
    pub question: &'a Q,
    pub connection: &'a Connection,
    pub stop: RunStop,
    /// How long calls about a document are repeated.
    pub retry_for: Duration,
    /// After how many US dollars no more calls are made.
    pub max_cost: Option<f64>,
    /// What is kept of long documents, if anything is.
    pub parts: Option<Rc<RefCell<PartsFile>>>,
    /// Whether an answer as text says which document it is about.
    pub has_names: bool,
    options: String,
    reader: DocumentReader,
    json: Json,
    prices: PriceTable,
    /// What the answers have cost so far, in US dollars.
    dollars: Cell<f64>,
}

/// What became of a document.
pub enum Outcome {
    /// It was not asked about, since an earlier run has.
    Earlier {
        line: EarlierLine,
        /// Whether its labels make the command fail.
        fails: bool,
    },
    /// It was read, and asked about if that went well.
    New {
        line: Box<ResultLine>,
        answer: Option<AnswerSummary>,
    },
    /// The run stopped before.
    NotAsked,
}

// === impl Asker ===

impl<'a, Q: Question> Asker<'a, Q> {
    /// Asks this question, once for each document, and until a signal stops it.
    pub fn new(question: &'a Q, connection: &'a Connection, stop: RunStop) -> Self {
        Asker {
            question,
            connection,
            stop,
            retry_for: Duration::ZERO,
            max_cost: None,
            parts: None,
            has_names: false,
            options: digest_of(&question.options()),
            reader: DocumentReader::new(question.pdf()),
            json: Json::new(),
            prices: PriceTable::new(&[], Day::today()),
            dollars: Cell::new(0.0),
        }
    }

    /// Asks about a document, unless an earlier run has, or this one stops.
    pub async fn asked(&self, input: &Input, earlier: Option<EarlierLine>) -> Outcome {
        if self.stop.begun.is_cancelled() || self.is_spent() {
            return Outcome::NotAsked;
        }
        let mut line = ResultLine::new(input.source.name(), self.options.clone());
        let answer = match self.opened(input, &mut line).await {
            Ok(document) => {
                let digest = line.digest.as_deref().unwrap_or_default();
                match earlier {
                    Some(line) if line.answers(digest, &self.options) => {
                        let fails = self.question.fails(line.labels());
                        return Outcome::Earlier { line, fails };
                    }
                    _ => self.read(document, &mut line).await,
                }
            }
            Err(failure) => Err(failure),
        };
        let answer = match answer {
            Ok(document) => self.answered(&document, &mut line).await,
            Err(failure) => {
                line.error = Some(ResultError::of(failure));
                None
            }
        };
        Outcome::New {
            answer: answer.map(|answer| self.add(&mut line, &answer)),
            line: Box::new(line),
        }
    }

    async fn opened(&self, input: &Input, line: &mut ResultLine) -> Result<Unchecked, Failure> {
        if let Some(problem) = &input.problem {
            return Err(Failure::usage(problem.clone()));
        }
        let document = DocumentContent::read(&input.source).await?;
        line.digest = Some(HEXLOWER.encode(&document.sha256()));
        Ok(document)
    }

    async fn read(
        &self,
        document: Unchecked,
        line: &mut ResultLine,
    ) -> Result<DocumentContent, Failure> {
        let digest = line.digest.clone().unwrap_or_default();
        let parts = || match &self.parts {
            Some(file) => {
                let options = self.options.clone();
                KeptParts::of(file, PartsOf { digest, options })
            }
            None => KeptParts::default(),
        };
        let (content, reading) = document.checked(&self.reader, parts).await?;
        line.reading = Some(reading);
        Ok(content)
    }

    /// The answer about a document, by as many calls as it takes.
    async fn answered(
        &self,
        document: &DocumentContent,
        line: &mut ResultLine,
    ) -> Option<Q::Answer> {
        let mut began = Instant::now();
        let mut finished = document.finished_parts();
        loop {
            line.calls += 1;
            let asked = match document {
                DocumentContent::Short(document) => {
                    self.question.ask(self.connection, document.clone()).await
                }
                DocumentContent::Long(document) => {
                    let start = self.question.start(document.sha256(), false);
                    document.asked(self.connection, start).await
                }
            };
            let status = match asked {
                Ok(answer) => return Some(answer),
                Err(status) => status,
            };
            let mut pause = pause_after(&status, line.calls);
            if document.finished_parts() > finished {
                // It goes on from there, and its time begins again.
                finished = document.finished_parts();
                began = Instant::now();
                let is_late = status.code() == Code::DeadlineExceeded;
                pause = pause.or_else(|| is_late.then_some(Duration::ZERO));
            }
            let has_time = |pause: &Duration| began.elapsed() + *pause <= self.retry_for;
            let is_repeated = match pause.filter(has_time) {
                Some(pause) => tokio::select! {
                    () = sleep(pause) => true,
                    () = self.stop.begun.cancelled() => false,
                },
                None => false,
            };
            if !is_repeated {
                line.error = Some(ResultError::of_call(&status));
                return None;
            }
        }
    }

    /// Adds an answer to the line of its document.
    fn add(&self, line: &mut ResultLine, answer: &Q::Answer) -> AnswerSummary {
        let (model, used) = self.question.used(answer);
        line.dollars = self
            .prices
            .cost(model, &used, Day::today)
            .map(|cost| cost as f64 / NANODOLLARS_PER_DOLLAR);
        self.dollars
            .set(self.dollars.get() + line.dollars.unwrap_or(0.0));
        line.response = Some(self.question.json(&self.json, answer));
        line.status = ResultStatus::Ok;
        if let Err(failure) = self.question.complete(answer) {
            line.status = ResultStatus::Incomplete;
            line.error = Some(ResultError::of(failure));
        }
        let name = self.has_names.then_some(line.file.as_str());
        AnswerSummary {
            text: self.question.text(name, answer),
            used,
            fails: self.question.fails(self.question.labels(answer)),
        }
    }

    /// Whether the answers have cost as much as they may.
    fn is_spent(&self) -> bool {
        self.max_cost.is_some_and(|most| self.dollars.get() >= most)
    }
}
