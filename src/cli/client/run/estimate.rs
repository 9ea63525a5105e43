//! What a run would take, before anything is paid: the plan of each document.

use super::{
    line::{EarlierLine, ResultError, digest_of},
    question::Question,
    repeat::repeated,
    results::Results,
    stop::RunStop,
};
use crate::{
    cli::{
        client::{
            connection::Connection, document::DocumentContent, document_plan::plan,
            failure::failed, input::Source, inputs::Input, parts_file::KeptParts,
            reader::DocumentReader,
        },
        exit::{Exit, Failure},
        output,
    },
    proto::v1::DocumentPlan,
};
use data_encoding::HEXLOWER;
use futures::{StreamExt, stream};
use serde::Serialize;
use std::{fmt, time::Duration};

/// The version of the shape of a line. It rises when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Documents that are read at once.
const AT_ONCE: usize = 4;

/// The plan of a document, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanLine {
    version: u32,
    /// The path, as on the command line; `-` for standard input.
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ResultError>,
}

/// What one document or several take.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    bytes: i64,
    parts: i64,
    calls: i64,
    input_tokens: i64,
    output_tokens: i64,
    /// In US dollars; absent if the price of the model is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    dollars: Option<f64>,
}

/// Asks the service what a run would take.
pub struct Estimate<'a, Q> {
    pub question: &'a Q,
    pub connection: &'a Connection,
    /// How long calls about a document are repeated.
    pub retry_for: Duration,
    /// What answers cost, as a multiple of the price of a call.
    pub price_factor: f64,
    /// Whether there is a line of JSON for each document.
    pub is_json: bool,
}

/// What the documents so far take.
#[derive(Default)]
struct Estimated {
    documents: usize,
    /// Those that an earlier run has asked about.
    earlier: usize,
    sum: Plan,
    /// The exit code of all failures so far, if they have the same.
    exit: Option<Exit>,
}

// === impl Estimate ===

impl<Q: Question> Estimate<'_, Q> {
    /// Prints what a run over these documents would take: as JSON, a line for each, and else
    /// the sum. What an earlier run has asked about takes nothing.
    ///
    /// # Errors
    /// When a document cannot be read, or a call fails, after all were tried.
    pub async fn print(&self, inputs: &[Input], results: &Results) -> Result<(), Failure> {
        let options = digest_of(&self.question.options());
        let reader = DocumentReader::new(self.question.pdf());
        let planned: Vec<_> = inputs
            .iter()
            .map(|input| {
                let earlier = results.earlier(&input.source.name()).cloned();
                self.plan(&reader, input, earlier, &options)
            })
            .collect();
        let mut plans = stream::iter(planned).buffered(AT_ONCE);
        let mut names = inputs.iter().map(|input| &input.source);
        let mut estimated = Estimated::default();
        while let (Some(plan), Some(source)) = (plans.next().await, names.next()) {
            let line = estimated.add(source, plan);
            if self.is_json
                && let Some(line) = line
            {
                let line = serde_json::to_string(&line);
                output::line(&line.expect("a line has no keys but texts"))?;
            }
        }
        if !self.is_json {
            output::line(&estimated.to_string())?;
        }
        let exit = estimated.exit;
        exit.map_or(Ok(()), |exit| Err(Failure::Reported(exit)))
    }

    /// The plan of a document; `None` if an earlier run has asked about it.
    async fn plan(
        &self,
        reader: &DocumentReader,
        input: &Input,
        earlier: Option<EarlierLine>,
        options: &str,
    ) -> Result<Option<Plan>, Failure> {
        if let Some(problem) = &input.problem {
            return Err(Failure::usage(problem.clone()));
        }
        let document = DocumentContent::read(&input.source).await?;
        let digest = document.sha256();
        if earlier.is_some_and(|it| it.answers(&HEXLOWER.encode(&digest), options)) {
            return Ok(None);
        }
        let (document, _) = document.checked(reader, KeptParts::default).await?;
        let start = |sha256| self.question.start(sha256, true);
        let plan = async || plan(&document, self.connection, start).await;
        let plan = repeated(self.retry_for, &RunStop::default(), plan).await;
        let mut plan = Plan::from(plan.map_err(|status| failed(&status))?);
        plan.dollars = plan.dollars.map(|dollars| dollars * self.price_factor);
        Ok(Some(plan))
    }
}

// === impl Estimated ===

impl Estimated {
    /// Counts a document, and returns its line, unless an earlier run has asked about it.
    fn add(&mut self, source: &Source, plan: Result<Option<Plan>, Failure>) -> Option<PlanLine> {
        let mut line = PlanLine {
            version: VERSION,
            file: source.name(),
            plan: None,
            error: None,
        };
        match plan {
            Ok(None) => {
                self.earlier += 1;
                return None;
            }
            Ok(Some(plan)) => {
                self.documents += 1;
                self.sum.add(&plan);
                line.plan = Some(plan);
            }
            Err(failure) => {
                source.failure(failure.clone()).print();
                self.exit = match self.exit {
                    Some(other) if other != failure.exit() => Some(Exit::Failed),
                    _ => Some(failure.exit()),
                };
                line.error = Some(ResultError::of(failure));
            }
        }
        Some(line)
    }
}

impl fmt::Display for Estimated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} documents", self.documents)?;
        if self.earlier > 0 {
            write!(f, " and {} of an earlier run", self.earlier)?;
        }
        let sum = &self.sum;
        write!(
            f,
            ": {} calls, about {} input tokens, {} output tokens, ",
            sum.calls, sum.input_tokens, sum.output_tokens
        )?;
        match sum.dollars {
            Some(dollars) => write!(f, "${dollars:.4}"),
            None => write!(f, "at an unknown price"),
        }
    }
}

impl From<DocumentPlan> for Plan {
    fn from(plan: DocumentPlan) -> Self {
        Plan {
            bytes: plan.bytes,
            parts: plan.parts,
            calls: plan.calls,
            input_tokens: plan.input_tokens,
            output_tokens: plan.output_tokens,
            dollars: plan.dollars,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            bytes: 0,
            parts: 0,
            calls: 0,
            input_tokens: 0,
            output_tokens: 0,
            dollars: Some(0.0),
        }
    }
}

// === impl Plan ===

impl Plan {
    fn add(&mut self, other: &Plan) {
        self.bytes += other.bytes;
        self.parts += other.parts;
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.dollars = self.dollars.zip(other.dollars).map(|(a, b)| a + b);
    }
}
