//! A prompt with its attachments, for `generate` and `count-tokens`.

use super::{
    document::Unchecked,
    input::{Source, text as utf8_text},
    parts_file::KeptParts,
    pdf_flag::PdfFlag,
    reader::DocumentReader,
    short_document::ShortDocument,
    stdin,
    template::{Template, TemplateFlags},
};
use crate::{
    cli::exit::Failure,
    proto::v1::{
        ContentBlock, DocumentBlock, GenerateRequest, ImageBlock, Message, Role, TextBlock,
        content_block::Block, document_block, image_block,
    },
};
use bytes::Bytes;
use std::path::PathBuf;

/// The prompt, its system prompt, model and attachments.
#[derive(Debug, Clone, clap::Args)]
pub struct PromptArgs {
    /// Prompt; `-` or none for standard input. Text that is piped or redirected into
    /// the command comes before the prompt.
    prompt: Option<String>,
    /// System prompt, which sets the role and rules of the model.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// File with the system prompt; not standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "system")]
    system_file: Option<PathBuf>,
    /// Model id; defaults to that of the service.
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// File to attach: PDF, JPEG, PNG, GIF, WebP, or a document that can be read as text,
    /// detected from its content; `-` for standard input, which is then not part of the
    /// prompt; repeat for more.
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    pdf: PdfFlag,
    #[command(flatten)]
    template: TemplateFlags,
}

impl PromptArgs {
    /// Makes the request. The files are before the prompt, as the API recommends.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when an input cannot be read,
    /// a file has an unknown type, there is no prompt, or the template is invalid.
    pub async fn request(self) -> Result<GenerateRequest, Failure> {
        let template = self.template.read().await?;
        let needs_input = match &template {
            Some(template) => template.needs_input()?,
            None => true,
        };
        let sources: Vec<Source> = self.files.into_iter().map(Source::from).collect();
        let input = input(self.prompt, needs_input, &sources).await?;
        let template = match template {
            Some(template) => template.filled(&input, joined)?,
            None => Template::of_prompt(input),
        };
        let prompt = template.prompt.unwrap_or_default();
        if prompt.trim().is_empty() {
            return Err(Failure::usage(
                "the prompt must not be empty: give it as an argument or on standard input",
            ));
        }
        let reader = DocumentReader::new(self.pdf.form());
        let mut content = Vec::with_capacity(sources.len() + 1);
        for source in &sources {
            content.push(attachment(source, &reader).await?);
        }
        content.push(block(Block::Text(text_block(prompt))));
        let system = match self.system_file {
            Some(path) => Some(system_of(path).await?),
            None => self.system.or(template.system),
        };
        let mut request = GenerateRequest {
            model: self.model.or(template.model).unwrap_or_default(),
            messages: vec![Message {
                role: Role::User.into(),
                text: String::new(),
                content,
                ..Message::default()
            }],
            system: system.map(text_block).into_iter().collect(),
            max_tokens: template.max_tokens,
            output_schema_json: template.schema.unwrap_or_default(),
            ..GenerateRequest::default()
        };
        if let Some(effort) = template.effort {
            request.set_effort(effort.into());
        }
        Ok(request)
    }
}

/// The text of standard input and of the prompt argument, for the template if there
/// is one.
async fn input(
    prompt: Option<String>,
    needs_input: bool,
    files: &[Source],
) -> Result<String, Failure> {
    let names_stdin = prompt.as_deref() == Some("-");
    let attached = files.iter().filter(|file| **file == Source::Stdin).count();
    if attached + usize::from(names_stdin) > 1 {
        return Err(Failure::usage(
            "standard input (-) must not be given more than once",
        ));
    }
    match prompt {
        _ if names_stdin => text_in(&Source::Stdin).await,
        Some(prompt) if attached == 0 => Ok(joined(&piped_text().await?, &prompt)),
        Some(prompt) => Ok(prompt),
        None if attached > 0 => Ok(String::new()),
        None if needs_input => text_in(&Source::Stdin).await,
        None => piped_text().await,
    }
}

/// What is piped or redirected into the command; empty for nothing.
async fn piped_text() -> Result<String, Failure> {
    if stdin::is_piped() {
        return text_in(&Source::Stdin).await;
    }
    Ok(String::new())
}

async fn text_in(source: &Source) -> Result<String, Failure> {
    let text = source.text().await;
    text.map_err(|failure| source.failure(failure))
}

/// A text and what is asked about it: the text first, as the API recommends for long
/// ones and `llm` does, then a blank line, as `mods` has it, so that the last line
/// of the text and the prompt stay apart.
fn joined(text: &str, prompt: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    match (text.is_empty(), prompt.is_empty()) {
        (true, _) => prompt.to_owned(),
        (false, true) => text.to_owned(),
        (false, false) => format!("{text}\n\n{prompt}"),
    }
}

async fn system_of(path: PathBuf) -> Result<String, Failure> {
    text_in(&Source::of_flag("--system-file", path)?).await
}

async fn attachment(source: &Source, reader: &DocumentReader) -> Result<ContentBlock, Failure> {
    let about = |failure| source.failure(failure);
    let bytes = source.bytes().await.map_err(about)?;
    let name = match source {
        Source::Stdin => None,
        Source::File(path) => path.file_name(),
    };
    let title = name.unwrap_or_default().to_string_lossy().into_owned();
    if is_image(&bytes) {
        return Ok(block(Block::Image(ImageBlock {
            source: Some(image_block::Source::Data(Bytes::from(bytes))),
            ..ImageBlock::default()
        })));
    }
    let document = document(bytes, &title, reader).await.map_err(about)?;
    let document = match document {
        ShortDocument::Text(text) if text.trim().is_empty() => {
            return Err(about(Failure::usage("must not be empty")));
        }
        ShortDocument::Text(text) => document_block::Source::Text(text),
        ShortDocument::Pdf(pdf) => document_block::Source::Pdf(pdf),
    };
    Ok(block(Block::Document(DocumentBlock {
        source: Some(document),
        title,
        ..DocumentBlock::default()
    })))
}

/// What is sent of an attachment: UTF-8 as it is, also of a page of HTML, and else a PDF or
/// what can be read of it.
async fn document(
    bytes: Vec<u8>,
    name: &str,
    reader: &DocumentReader,
) -> Result<ShortDocument, Failure> {
    if !bytes.starts_with(b"%PDF-") && std::str::from_utf8(&bytes).is_ok() {
        return utf8_text(bytes).map(ShortDocument::Text);
    }
    let document = Unchecked::of_bytes(bytes, name);
    let (content, _) = document.checked(reader, KeptParts::default).await?;
    content.in_one_message().await
}

/// Whether the first bytes are those of an image format that the API accepts.
fn is_image(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xd8\xff")
        || bytes.starts_with(b"\x89PNG\r\n\x1a\n")
        || bytes.starts_with(b"GIF87a")
        || bytes.starts_with(b"GIF89a")
        || (bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"))
}

fn block(block: Block) -> ContentBlock {
    ContentBlock {
        block: Some(block),
        ..ContentBlock::default()
    }
}

fn text_block(text: String) -> TextBlock {
    TextBlock {
        text,
        ..TextBlock::default()
    }
}
