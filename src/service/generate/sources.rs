//! Maps what the caller gives to read: images, documents and results of a search.

use super::{
    content::{ContentMapper, non_empty},
    picture::picture_type,
    position::BlockPosition,
};
use crate::{
    claude::{
        content::{ImageTransformations, OversizedImage},
        request::{Citations, Content, DocumentSource, ImageSource, InputBlock},
    },
    proto::v1::{self, document_block::Source as DocSource, image_block::Source as PictureSource},
    service::pdf,
    status::Path,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

impl ContentMapper<'_> {
    /// Maps an image.
    pub fn image(&mut self, image: v1::ImageBlock, path: Path<'_>) -> Option<InputBlock> {
        let source = match image.source {
            Some(PictureSource::Data(bytes)) => {
                let Some(media_type) = picture_type(&bytes) else {
                    self.wrong
                        .add(path.field("data"), "must be a JPEG, PNG, GIF or WebP file");
                    return None;
                };
                ImageSource::Base64 {
                    media_type: media_type.to_owned(),
                    data: BASE64.encode(&bytes),
                }
            }
            Some(PictureSource::Url(url)) => {
                self.https(&url, path.field("url"));
                ImageSource::Url { url }
            }
            Some(PictureSource::FileId(file_id)) => {
                self.required(&file_id, path.field("file_id"));
                ImageSource::File { file_id }
            }
            None => {
                self.wrong.add(path, "must have data, url or file_id");
                return None;
            }
        };
        Some(InputBlock::Image {
            source,
            cache_control: self.cache_control(image.cache_control, path.field("cache_control")),
            transformations: image.transformations.map(|it| {
                let path = path.field("transformations");
                ImageTransformations {
                    oversized_image: self
                        .oversized_image(it.oversized_image, path.field("oversized_image")),
                }
            }),
        })
    }

    fn oversized_image(&mut self, value: i32, path: Path<'_>) -> Option<OversizedImage> {
        match v1::OversizedImage::try_from(value) {
            Ok(v1::OversizedImage::Unspecified) => None,
            Ok(v1::OversizedImage::Downsize) => Some(OversizedImage::Downsize),
            Ok(v1::OversizedImage::Error) => Some(OversizedImage::Error),
            Err(_) => {
                self.wrong.add(path, "is an unknown value");
                None
            }
        }
    }

    /// Maps a document.
    pub fn document(&mut self, document: v1::DocumentBlock, path: Path<'_>) -> Option<InputBlock> {
        let source = match document.source {
            Some(DocSource::Pdf(bytes)) => pdf::source(&bytes, path.field("pdf"), self.wrong)?,
            Some(DocSource::Text(data)) => {
                self.required(&data, path.field("text"));
                DocumentSource::Text {
                    media_type: "text/plain".to_owned(),
                    data,
                }
            }
            Some(DocSource::Url(url)) => {
                self.https(&url, path.field("url"));
                DocumentSource::Url { url }
            }
            Some(DocSource::FileId(file_id)) => {
                self.required(&file_id, path.field("file_id"));
                DocumentSource::File { file_id }
            }
            Some(DocSource::Content(document)) => {
                let path = path.field("content");
                if document.content.is_empty() {
                    self.wrong.add(path.field("content"), "must not be empty");
                }
                let parts = self.blocks(document.content, BlockPosition::DocumentPart, path);
                DocumentSource::Content {
                    content: Content::Blocks(parts),
                }
            }
            None => {
                self.wrong
                    .add(path, "must have pdf, text, url, file_id or content");
                return None;
            }
        };
        Some(InputBlock::Document {
            source,
            title: non_empty(document.title),
            context: non_empty(document.context),
            citations: citations(document.citations),
            cache_control: self.cache_control(document.cache_control, path.field("cache_control")),
        })
    }

    /// Maps a result of the caller's own search.
    pub fn search_result(&mut self, found: v1::SearchResultBlock, path: Path<'_>) -> InputBlock {
        self.required(&found.source, path.field("source"));
        self.required(&found.title, path.field("title"));
        match (found.texts.is_empty(), found.content.is_empty()) {
            (true, true) => self.wrong.add(path, "must have texts or content"),
            (false, false) => {
                self.wrong.add(path, "must not have both texts and content");
            }
            _ => {}
        }
        let mut content = Vec::with_capacity(found.texts.len() + found.content.len());
        for (index, text) in found.texts.into_iter().enumerate() {
            self.required(&text, path.field("texts").item(index));
            content.push(InputBlock::Text {
                text,
                cache_control: None,
                citations: None,
            });
        }
        for (index, text) in found.content.into_iter().enumerate() {
            content.push(self.text(text, false, path.field("content").item(index)));
        }
        InputBlock::SearchResult {
            source: found.source,
            title: found.title,
            content,
            citations: citations(found.citations),
            cache_control: self.cache_control(found.cache_control, path.field("cache_control")),
        }
    }
}

fn citations(enabled: bool) -> Option<Citations> {
    enabled.then_some(Citations { enabled })
}
