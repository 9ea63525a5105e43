//! `claude-grpc summarize`: summarizes texts.

use super::{
    connection::{Connection, ConnectionFlags},
    document::DocumentContent,
    failure::{complete, cut_off, failed},
    input::Source,
    inputs::Input,
    json::Json,
    model_use::ModelUse,
    parts_file::KeptParts,
    pdf_flag::PdfFlag,
    reader::DocumentReader,
    run::{Question, RunFlags},
    short_document::ShortDocument,
};
use crate::{
    cli::{exit::Failure, output},
    kinds::PdfForm,
    proto::v1::{
        CacheTtl, SummarizeDocumentRequest, SummarizeDocumentStart, SummarizeRequest,
        SummarizeResponse, SummarizeStreamRequest, SummarizeStreamResponse, SummaryFormat,
        SummaryLength, batch_item, stream_batch_results_response::Result as ItemResult,
        summarize_document_request::Content, summarize_request, summarize_stream_response::Event,
    },
};
use bytes::Bytes;
use clap::ValueEnum;
use prost::Message;
use serde_json::Value;
use std::io::{self, IsTerminal};
use tonic::{Status, Streaming};

/// Flags of `summarize`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    connection: ConnectionFlags,
}

/// Flags for the length, format and content of a summary.
#[derive(Debug, Clone, clap::Args)]
struct Form {
    /// Number of sentences, or of bullets with `--format bullets`.
    #[arg(long, value_name = "NUMBER", group = "size")]
    sentences: Option<i32>,
    /// Approximate number of words.
    #[arg(long, value_name = "NUMBER", group = "size")]
    words: Option<i32>,
    /// Approximate length.
    #[arg(long, value_name = "LENGTH", group = "size")]
    length: Option<Length>,
    /// Format of the summary; `headline` must not be combined with a length.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Aspect to focus on, such as `deadlines and costs`.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    focus: String,
    /// Language of the summary; defaults to that of the text.
    #[arg(
        long,
        value_name = "LANGUAGE",
        default_value = "",
        hide_default_value = true
    )]
    language: String,
    /// Model id; defaults to that of the service.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    model: String,
    /// Maximum number of output tokens, thinking included.
    #[arg(long, value_name = "NUMBER")]
    max_tokens: Option<i32>,
    #[command(flatten)]
    pdf: PdfFlag,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Length {
    Short,
    Medium,
    Long,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Paragraph,
    Bullets,
    Headline,
}

/// Prints a summary of each text. On a terminal, a single one is printed as it is
/// generated.
///
/// # Errors
/// When any summary fails, is refused or is truncated.
pub async fn run(args: Args) -> Result<(), Failure> {
    let run = args.run.run()?;
    if let [Input { source, .. }] = &run.inputs[..]
        && run.is_text()
        && *source != Source::Stdin
        && io::stdout().is_terminal()
        && let Some(document) = short_document(source, args.form.pdf).await?
    {
        let connection = args.connection.connect().await?;
        let streamed = stream(&connection, document, &args.form).await;
        return streamed.map_err(|failure| source.failure(failure));
    }
    run.ask(&args.connection, &args.form).await
}

/// A document, unless it is long.
async fn short_document(source: &Source, pdf: PdfFlag) -> Result<Option<ShortDocument>, Failure> {
    let read = async {
        let document = DocumentContent::read(source).await?;
        let reader = DocumentReader::new(pdf.form());
        document.checked(&reader, KeptParts::default).await
    };
    match read.await.map_err(|failure| source.failure(failure))? {
        (DocumentContent::Short(document), _) => Ok(Some(document)),
        (DocumentContent::Long(_), _) => Ok(None),
    }
}

async fn stream(
    connection: &Connection,
    document: ShortDocument,
    form: &Form,
) -> Result<(), Failure> {
    let request = SummarizeStreamRequest {
        request: Some(form.request(document)),
    };
    connection
        .call(
            "claude.v1.ClaudeService/SummarizeStream",
            request,
            async |mut client, request| {
                let response = client.summarize_stream(request).await;
                let events = response.map_err(|status| failed(&status))?;
                print_events(events.into_inner()).await
            },
        )
        .await
}

/// Prints text as it arrives.
async fn print_events(mut events: Streaming<SummarizeStreamResponse>) -> Result<(), Failure> {
    let mut line = output::OutputLines::default();
    loop {
        let event = events.message().await.map_err(|status| failed(&status));
        match event.and_then(|event| event.ok_or_else(cut_off)) {
            Ok(event) => match event.event {
                Some(Event::TextDelta(text)) => line.write(&text)?,
                Some(Event::Finished(finished)) => {
                    line.end()?;
                    return complete(finished.stop_reason(), finished.refusal.as_ref());
                }
                None => {}
            },
            Err(failure) => {
                line.end()?;
                return Err(failure);
            }
        }
    }
}

impl Question for Form {
    type Answer = SummarizeResponse;

    type Rpc = SummarizeDocumentRequest;

    const SEPARATOR: &str = "\n";

    fn options(&self) -> Vec<u8> {
        let settings = self.settings().encode_to_vec();
        [&self.pdf.options()[..], b"Summarize\0", &settings].concat()
    }

    fn pdf(&self) -> PdfForm {
        self.pdf.form()
    }

    async fn ask(
        &self,
        connection: &Connection,
        document: ShortDocument,
    ) -> Result<SummarizeResponse, Status> {
        connection
            .answer(
                "claude.v1.ClaudeService/Summarize",
                self.request(document),
                async |mut client, request| client.summarize(request).await,
            )
            .await
    }

    fn batch_request(&self, document: ShortDocument, _: CacheTtl) -> batch_item::Request {
        batch_item::Request::Summarize(self.request(document))
    }

    fn batch_answer(&self, result: ItemResult) -> Option<SummarizeResponse> {
        match result {
            ItemResult::Summarize(answer) => Some(answer),
            _ => None,
        }
    }

    fn shares_prompt(&self) -> bool {
        false
    }

    fn start(&self, sha256: Bytes, plan_only: bool) -> SummarizeDocumentRequest {
        let start = SummarizeDocumentStart {
            settings: Some(self.settings()),
            plan_only,
            sha256,
            ..SummarizeDocumentStart::default()
        };
        SummarizeDocumentRequest {
            content: Some(Content::Start(start)),
        }
    }

    fn complete(&self, answer: &SummarizeResponse) -> Result<(), Failure> {
        complete(answer.stop_reason(), answer.refusal.as_ref())
    }

    fn labels<'a>(&self, _: &'a SummarizeResponse) -> &'a [String] {
        &[]
    }

    fn fails(&self, _: &[String]) -> bool {
        false
    }

    fn json(&self, json: &Json, answer: &SummarizeResponse) -> Value {
        json.value("SummarizeResponse", answer)
    }

    fn answer(&self, json: &Json, mapping: &Value) -> Option<SummarizeResponse> {
        json.read("SummarizeResponse", mapping)
    }

    fn text(&self, file: Option<&str>, answer: &SummarizeResponse) -> String {
        let summary = answer.summary.trim_end();
        match file {
            Some(file) => format!("==> {file} <==\n{summary}\n"),
            None => format!("{summary}\n"),
        }
    }

    fn used(&self, answer: &SummarizeResponse) -> ModelUse {
        ModelUse::new(&answer.model, answer.usage.as_ref())
    }
}

impl Form {
    /// The request about a document.
    fn request(&self, document: ShortDocument) -> SummarizeRequest {
        let (text, pdf) = document.into_fields();
        SummarizeRequest {
            text,
            pdf,
            ..self.settings()
        }
    }

    /// The request without its document.
    fn settings(&self) -> SummarizeRequest {
        let mut request = SummarizeRequest {
            model: self.model.clone(),
            focus: self.focus.clone(),
            language: self.language.clone(),
            max_tokens: self.max_tokens,
            ..SummarizeRequest::default()
        };
        request.length = self.size();
        if let Some(format) = self.format {
            request.set_format(match format {
                Format::Paragraph => SummaryFormat::Paragraph,
                Format::Bullets => SummaryFormat::Bullets,
                Format::Headline => SummaryFormat::Headline,
            });
        }
        request
    }

    fn size(&self) -> Option<summarize_request::Length> {
        if let Some(sentences) = self.sentences {
            return Some(summarize_request::Length::Sentences(sentences));
        }
        if let Some(words) = self.words {
            return Some(summarize_request::Length::Words(words));
        }
        let preset = match self.length? {
            Length::Short => SummaryLength::Short,
            Length::Medium => SummaryLength::Medium,
            Length::Long => SummaryLength::Long,
        };
        Some(summarize_request::Length::Preset(preset.into()))
    }
}
