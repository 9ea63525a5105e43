//! `claude-grpc classify`: classifies texts with a set of labels.

use super::{
    connection::{Connection, ConnectionFlags},
    input::Source,
    json::Json,
    model_use::ModelUse,
    pdf_flag::PdfFlag,
    run::{Question, RunFlags},
    short_document::ShortDocument,
};
use crate::{
    cli::exit::{Failure, one_line},
    kinds::PdfForm,
    proto::v1::{
        CacheTtl, ClassifyDocumentRequest, ClassifyDocumentStart, ClassifyRequest,
        ClassifyResponse, Label, batch_item, classify_document_request::Content,
        stream_batch_results_response::Result as ItemResult,
    },
};
use bytes::Bytes;
use prost::Message;
use serde_json::Value;
use std::path::PathBuf;
use tonic::Status;

/// Size of settings that the prompt cache of most models keeps, in bytes: about 1,024
/// tokens.
const CACHED_SETTINGS: usize = 4 * 1024;

/// Flags of `classify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    run: RunFlags,
    /// Label to choose from, optionally with a description; repeat for each.
    #[arg(long = "label", value_name = "NAME[=DESCRIPTION]", value_parser = label)]
    labels: Vec<Label>,
    /// File with labels, `NAME` or `NAME=DESCRIPTION`, one per line.
    #[arg(long, value_name = "FILE")]
    labels_file: Option<PathBuf>,
    /// Allow several labels per text.
    #[arg(long)]
    multi: bool,
    /// Allow that no label fits.
    #[arg(long)]
    allow_none: bool,
    /// Print a short reason for each classification.
    #[arg(long)]
    reason: bool,
    /// Purpose of the classification, such as `support tickets, by team`.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    task: String,
    /// Model id; defaults to that of the service.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    model: String,
    /// Label that makes the command fail with exit code 6 if any text has it, after all
    /// were classified; repeat for more.
    #[arg(long, value_name = "NAME")]
    fail_on: Vec<String>,
    #[command(flatten)]
    pdf: PdfFlag,
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// Prints the labels of each text.
///
/// # Errors
/// When any text could not be classified; the others are printed all the same.
pub async fn run(args: Args) -> Result<(), Failure> {
    let mut labels = args.labels;
    if let Some(path) = args.labels_file {
        labels.extend(labels_in(path).await?);
    }
    if labels.is_empty() {
        return Err(Failure::usage("no labels: pass --label or --labels-file"));
    }
    let is_label = |name: &String| labels.iter().any(|label| label.name == *name);
    if let Some(unknown) = args.fail_on.iter().find(|name| !is_label(name)) {
        return Err(Failure::usage(format!(
            "--fail-on: unknown label {unknown:?}"
        )));
    }
    let choice = Choice {
        settings: ClassifyRequest {
            labels,
            multi_label: args.multi,
            allow_none: args.allow_none,
            include_reason: args.reason,
            task: args.task,
            model: args.model,
            ..ClassifyRequest::default()
        },
        fail_on: args.fail_on,
        pdf: args.pdf,
    };
    args.run.run()?.ask(&args.connection, &choice).await
}

/// The labels to choose from, and which of them make the command fail.
struct Choice {
    /// The request without its document.
    settings: ClassifyRequest,
    fail_on: Vec<String>,
    pdf: PdfFlag,
}

// === impl Choice ===

impl Choice {
    /// The request about a document.
    fn request(&self, document: ShortDocument) -> ClassifyRequest {
        let (text, pdf) = document.into_fields();
        ClassifyRequest {
            text,
            pdf,
            ..self.settings.clone()
        }
    }
}

impl Question for Choice {
    type Answer = ClassifyResponse;

    type Rpc = ClassifyDocumentRequest;

    const SEPARATOR: &str = "";

    fn options(&self) -> Vec<u8> {
        let settings = self.settings.encode_to_vec();
        [&self.pdf.options()[..], b"Classify\0", &settings].concat()
    }

    fn pdf(&self) -> PdfForm {
        self.pdf.form()
    }

    async fn ask(
        &self,
        connection: &Connection,
        document: ShortDocument,
    ) -> Result<ClassifyResponse, Status> {
        connection
            .answer(
                "claude.v1.ClaudeService/Classify",
                self.request(document),
                async |mut client, request| client.classify(request).await,
            )
            .await
    }

    fn batch_request(&self, document: ShortDocument, ttl: CacheTtl) -> batch_item::Request {
        batch_item::Request::Classify(ClassifyRequest {
            cache_ttl: ttl.into(),
            ..self.request(document)
        })
    }

    fn batch_answer(&self, result: ItemResult) -> Option<ClassifyResponse> {
        match result {
            ItemResult::Classify(answer) => Some(answer),
            _ => None,
        }
    }

    fn shares_prompt(&self) -> bool {
        self.settings.encoded_len() >= CACHED_SETTINGS
    }

    fn start(&self, sha256: Bytes, plan_only: bool) -> ClassifyDocumentRequest {
        let start = ClassifyDocumentStart {
            settings: Some(self.settings.clone()),
            plan_only,
            sha256,
            ..ClassifyDocumentStart::default()
        };
        ClassifyDocumentRequest {
            content: Some(Content::Start(start)),
        }
    }

    fn complete(&self, _: &ClassifyResponse) -> Result<(), Failure> {
        Ok(())
    }

    fn labels<'a>(&self, answer: &'a ClassifyResponse) -> &'a [String] {
        &answer.labels
    }

    fn fails(&self, labels: &[String]) -> bool {
        labels.iter().any(|label| self.fail_on.contains(label))
    }

    fn json(&self, json: &Json, answer: &ClassifyResponse) -> Value {
        json.value("ClassifyResponse", answer)
    }

    fn answer(&self, json: &Json, mapping: &Value) -> Option<ClassifyResponse> {
        json.read("ClassifyResponse", mapping)
    }

    fn text(&self, file: Option<&str>, answer: &ClassifyResponse) -> String {
        rows(answer, file, self.settings.include_reason)
            .into_iter()
            .map(|row| row + "\n")
            .collect()
    }

    fn used(&self, answer: &ClassifyResponse) -> ModelUse {
        ModelUse::new(&answer.model, answer.usage.as_ref())
    }
}

/// The output lines: one per chosen label. With a file name, a text without
/// labels has a line as well.
fn rows(answer: &ClassifyResponse, file: Option<&str>, include_reason: bool) -> Vec<String> {
    let confidence_in = |label: &str| {
        let mut confidences = answer.confidences.iter();
        let found = confidences.find(|one| one.label == label);
        found.map_or_else(String::new, |one| format!("{:.2}", one.confidence))
    };
    let mut chosen: Vec<(&str, String)> = answer
        .labels
        .iter()
        .map(|label| (label.as_str(), confidence_in(label)))
        .collect();
    if chosen.is_empty() && file.is_some() {
        chosen.push(("", String::new()));
    }
    let row = |(label, confidence): (&str, String)| {
        let mut columns: Vec<&str> = file.into_iter().collect();
        columns.extend([label, &confidence]);
        let reason = one_line(&answer.reason);
        if include_reason {
            columns.push(&reason);
        }
        columns.join("\t")
    };
    chosen.into_iter().map(row).collect()
}

async fn labels_in(path: PathBuf) -> Result<Vec<Label>, Failure> {
    let source = Source::of_flag("--labels-file", path)?;
    let text = source.text().await;
    let text = text.map_err(|failure| source.failure(failure))?;
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            label(line).map_err(|problem| {
                source.failure(Failure::usage(format!("line {}: {problem}", index + 1)))
            })
        })
        .collect()
}

fn label(text: &str) -> Result<Label, String> {
    let (name, description) = text.split_once('=').unwrap_or((text, ""));
    if name.trim().is_empty() {
        return Err("label name must not be empty".to_owned());
    }
    Ok(Label {
        name: name.trim().to_owned(),
        description: description.trim().to_owned(),
        ..Label::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::LabelConfidence;

    fn answer(labels: &[&str]) -> ClassifyResponse {
        let confidence = |label: &str, confidence| LabelConfidence {
            label: label.to_owned(),
            confidence,
        };
        ClassifyResponse {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            confidences: vec![confidence("a", 0.912), confidence("b", 0.5)],
            reason: "it\nfits".to_owned(),
            ..ClassifyResponse::default()
        }
    }

    #[test]
    fn each_chosen_label_has_its_row() {
        assert_eq!(rows(&answer(&["a"]), None, false), ["a\t0.91"]);
        assert_eq!(
            rows(&answer(&["a", "b"]), Some("f"), false),
            ["f\ta\t0.91", "f\tb\t0.50"]
        );
        assert_eq!(rows(&answer(&["b"]), None, true), ["b\t0.50\tit fits"]);
        assert!(rows(&answer(&[]), None, false).is_empty());
        assert_eq!(rows(&answer(&[]), Some("f"), false), ["f\t\t"]);
    }

    #[test]
    fn a_label_may_have_a_description() {
        let label_of = |text| label(text).map(|label| (label.name, label.description));
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(label_of("bug"), pair("bug", ""));
        assert_eq!(
            label_of("bug = it broke: a=b"),
            pair("bug", "it broke: a=b")
        );
        assert!(label_of("= no name").is_err());
    }
}
