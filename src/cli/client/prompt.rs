//! A prompt with its attachments, for `generate` and `count-tokens`.

use super::input::{self, Source};
use crate::{
    cli::exit::Failure,
    proto::v1::{
        ContentBlock, DocumentBlock, GenerateRequest, ImageBlock, Message, Role, TextBlock,
        content_block::Block, document_block, image_block,
    },
};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// The prompt, its system prompt, model and attachments.
#[derive(Debug, Clone, clap::Args)]
pub struct PromptArgs {
    /// Prompt; `-` or none for standard input.
    prompt: Option<String>,
    /// System prompt, which sets the role and rules of the model.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Model id; defaults to that of the service.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    model: String,
    /// File to attach: PDF, JPEG, PNG, GIF, WebP or UTF-8 text, detected from its
    /// content; repeat for more.
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl PromptArgs {
    /// Makes the request. The files are before the prompt, as the API recommends.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when an input cannot be read,
    /// or a file has an unknown type.
    pub async fn request(self) -> Result<GenerateRequest, Failure> {
        let mut content = Vec::with_capacity(self.files.len() + 1);
        for path in self.files {
            content.push(attachment(&path).await?);
        }
        let prompt = match self.prompt {
            Some(prompt) if prompt != "-" => prompt,
            _ => {
                let text = Source::Stdin.text().await;
                text.map_err(|failure| Source::Stdin.failure(failure))?
            }
        };
        content.push(block(Block::Text(text_block(prompt))));
        Ok(GenerateRequest {
            model: self.model,
            messages: vec![Message {
                role: Role::User.into(),
                text: String::new(),
                content,
                ..Message::default()
            }],
            system: self.system.map(text_block).into_iter().collect(),
            ..GenerateRequest::default()
        })
    }
}

async fn attachment(path: &Path) -> Result<ContentBlock, Failure> {
    let source = Source::File(path.to_owned());
    let about = |failure| source.failure(failure);
    let bytes = source.bytes().await.map_err(about)?;
    if is_image(&bytes) {
        return Ok(block(Block::Image(ImageBlock {
            source: Some(image_block::Source::Data(Bytes::from(bytes))),
            ..ImageBlock::default()
        })));
    }
    let document = if bytes.starts_with(b"%PDF-") {
        document_block::Source::Pdf(Bytes::from(bytes))
    } else {
        let text = input::text(bytes).map_err(|_| {
            about(Failure::usage(
                "unknown file type: must be PDF, JPEG, PNG, GIF, WebP or UTF-8 text",
            ))
        })?;
        document_block::Source::Text(text)
    };
    let title = path.file_name().unwrap_or_default();
    Ok(block(Block::Document(DocumentBlock {
        source: Some(document),
        title: title.to_string_lossy().into_owned(),
        ..DocumentBlock::default()
    })))
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
