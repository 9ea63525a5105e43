//! Asks about one document: reads it, and calls until there is an answer.

use super::{
    batch::BatchCount,
    line::{EarlierLine, ResultError, ResultLine, ResultStatus, digest_of},
    question::Question,
    repeat::{pause_after, repeated},
    stop::RunStop,
    totals::AnswerSummary,
};
use crate::{
    cli::{
        client::{
            connection::Connection,
            document::{DocumentContent, Unchecked},
            document_plan::plan,
            input::printable,
            inputs::Input,
            json::Json,
            model_use::ModelUse,
            parts_file::{KeptParts, PartsFile, PartsOf},
            reader::DocumentReader,
        },
        exit::Failure,
    },
    models::{Day, PriceTable, Tokens, in_dollars},
};
use data_encoding::HEXLOWER;
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tonic::{Code, Status};

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
    /// What answers cost, as a multiple of the price of a call.
    pub price_factor: f64,
    options: String,
    reader: DocumentReader,
    json: Json,
    prices: PriceTable,
    /// What the answers have cost so far, in US dollars.
    dollars: Cell<f64>,
    /// What the answers that are awaited will cost by their plans, in US dollars.
    reserved: Cell<f64>,
}

/// A document at its turn.
pub enum Opened {
    /// Nothing more is to be done about it.
    Done(Outcome),
    /// It is to be read and asked about.
    Document(Unchecked, Box<ResultLine>),
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
        used: Tokens,
    },
    /// The run stopped before.
    NotAsked,
    /// How far the API is with the documents in batches.
    InBatches(BatchCount),
}

// === impl Outcome ===

impl Outcome {
    /// A document that cannot be asked about.
    pub fn failed(line: Box<ResultLine>, failure: Failure) -> Self {
        Outcome::without_answer(line, ResultError::of(failure), Tokens::default())
    }

    /// A document whose call failed.
    pub fn unanswered(line: Box<ResultLine>, status: &Status) -> Self {
        Outcome::without_answer(line, ResultError::of_call(status), Tokens::default())
    }

    fn without_answer(mut line: Box<ResultLine>, error: ResultError, used: Tokens) -> Self {
        line.error = Some(error);
        let answer = None;
        Outcome::New { line, answer, used }
    }
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
            price_factor: 1.0,
            options: digest_of(&question.options()),
            reader: DocumentReader::new(question.pdf()),
            json: Json::new(),
            prices: PriceTable::new(&[], Day::today()),
            dollars: Cell::new(0.0),
            reserved: Cell::new(0.0),
        }
    }

    /// SHA-256 of the requests without their documents, in hexadecimal digits.
    pub fn options(&self) -> &str {
        &self.options
    }

    /// Asks about a document, unless an earlier run has, or this one stops.
    pub async fn asked(&self, input: &Input, earlier: Option<EarlierLine>) -> Outcome {
        let (document, mut line) = match self.opened(input, earlier).await {
            Opened::Done(outcome) => return outcome,
            Opened::Document(document, line) => (document, line),
        };
        let document = match self.read(document, &mut line).await {
            Ok(document) => document,
            Err(failure) => return Outcome::failed(line, failure),
        };
        let mut reserved = 0.0;
        if matches!(document, DocumentContent::Long(_)) {
            match self.reserve(&document).await {
                Ok(Some(dollars)) => reserved = dollars,
                Ok(None) => return Outcome::NotAsked,
                Err(status) => return Outcome::unanswered(line, &status),
            }
        }
        let answer = self.answer(&document, &mut line).await;
        self.reserved.set(self.reserved.get() - reserved);
        let spent = document.take_spent();
        match answer {
            Ok(answer) => self.answered(line, &answer, spent),
            Err(status) if spent.is_empty() => Outcome::unanswered(line, &status),
            Err(status) => {
                let used = self.paid(&mut line, &spent);
                Outcome::without_answer(line, ResultError::of_call(&status), used)
            }
        }
    }

    /// Opens a document, unless an earlier run has its answer, or this one stops.
    pub async fn opened(&self, input: &Input, earlier: Option<EarlierLine>) -> Opened {
        if self.stop.begun.is_cancelled() || self.is_spent() {
            return Opened::Done(Outcome::NotAsked);
        }
        let line = ResultLine::new(input.source.name(), self.options.clone());
        let mut line = Box::new(line);
        if let Some(problem) = &input.problem {
            let failure = Failure::usage(problem.clone());
            return Opened::Done(Outcome::failed(line, failure));
        }
        let read = tokio::select! {
            biased;
            // What is read may never end, as a pipe that nobody writes.
            () = self.stop.begun.cancelled() => return Opened::Done(Outcome::NotAsked),
            read = DocumentContent::read(&input.source) => read,
        };
        let document = match read {
            Ok(document) => document,
            Err(failure) => return Opened::Done(Outcome::failed(line, failure)),
        };
        let digest = HEXLOWER.encode(&document.sha256());
        if let Some(line) = earlier.filter(|line| line.answers(&digest, &self.options)) {
            let fails = self.question.fails(line.labels());
            return Opened::Done(Outcome::Earlier { line, fails });
        }
        line.digest = Some(digest);
        Opened::Document(document, line)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(
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

    /// Reserves what the answer about a document will cost by its plan, in US dollars; `None`
    /// if the run may not cost that much. Without a limit, there is no plan.
    ///
    /// # Errors
    /// When the call fails.
    pub async fn reserve(&self, document: &DocumentContent) -> Result<Option<f64>, Status> {
        let Some(most) = self.max_cost else {
            return Ok(Some(0.0));
        };
        let start = |sha256| self.question.start(sha256, true);
        let plan = async || plan(document, self.connection, start).await;
        let plan = repeated(self.retry_for, &self.stop, plan).await?;
        let dollars = plan.dollars.unwrap_or(0.0) * self.price_factor;
        let reserved = self.reserved.get() + dollars;
        if self.dollars.get() + reserved > most {
            return Ok(None);
        }
        self.reserved.set(reserved);
        Ok(Some(dollars))
    }

    /// The answer about a document, by as many calls as it takes.
    async fn answer(
        &self,
        document: &DocumentContent,
        line: &mut ResultLine,
    ) -> Result<Q::Answer, Status> {
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
                Ok(answer) => return Ok(answer),
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
                return Err(status);
            }
        }
    }

    /// A document with its answer, whose calls before have used `spent`.
    pub fn answered(
        &self,
        mut line: Box<ResultLine>,
        answer: &Q::Answer,
        mut spent: Vec<ModelUse>,
    ) -> Outcome {
        spent.push(self.question.used(answer));
        let used = self.paid(&mut line, &spent);
        line.response = Some(self.question.json(&self.json, answer));
        line.status = ResultStatus::Ok;
        if let Err(failure) = self.question.complete(answer) {
            line.status = ResultStatus::Incomplete;
            line.error = Some(ResultError::of(failure));
        }
        let name = self.has_names.then(|| printable(&line.file));
        let answer = AnswerSummary {
            text: self.question.text(name.as_deref(), answer),
            fails: self.question.fails(self.question.labels(answer)),
        };
        Outcome::New {
            line,
            answer: Some(answer),
            used,
        }
    }

    /// Adds what calls have used to the cost of the run and of their document.
    fn paid(&self, line: &mut ResultLine, calls: &[ModelUse]) -> Tokens {
        let (mut used, mut dollars) = (Tokens::default(), Some(0.0));
        for call in calls {
            used.add(&call.tokens);
            let cost = self.prices.cost(&call.model, &call.tokens, Day::today);
            let cost = cost.map(|cost| in_dollars(cost) * self.price_factor);
            self.dollars.set(self.dollars.get() + cost.unwrap_or(0.0));
            dollars = dollars.zip(cost).map(|(sum, cost)| sum + cost);
        }
        line.dollars = dollars;
        used
    }

    /// Whether the answers have cost as much as they may.
    fn is_spent(&self) -> bool {
        self.max_cost.is_some_and(|most| self.dollars.get() >= most)
    }
}
