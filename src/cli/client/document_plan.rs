//! What the calls about a document would take, as far as the service knows without making them.

use super::{
    connection::Connection,
    document::DocumentContent,
    document_rpc::{DocumentEvent, DocumentRpc},
    long_document::{CHUNK, LONG_TIMEOUT},
    short_document::ShortDocument,
};
use crate::{
    models::{Day, PriceTable, Tokens, in_dollars},
    proto::v1::{
        ContentBlock, CountTokensRequest, DocumentBlock, DocumentPlan, GenerateRequest, Message,
        Role, content_block::Block, document_block::Source,
    },
};
use bytes::Bytes;
use futures::{Stream, stream};
use sha2::{Digest, Sha256};
use tonic::Status;

/// The text whose plan has what a call about a PDF takes in addition to the PDF.
const STAND_IN: &str = "PDF";

/// What the calls about a document would take. `start` makes the first message, which asks for
/// the plan only, of the SHA-256 of the text.
///
/// # Errors
/// When a call fails.
pub async fn plan<R: DocumentRpc>(
    document: &DocumentContent,
    connection: &Connection,
    start: impl Fn(Bytes) -> R,
) -> Result<DocumentPlan, Status> {
    match document {
        DocumentContent::Short(ShortDocument::Text(text)) => {
            planned(connection, stream::iter(whole(text, start))).await
        }
        DocumentContent::Short(ShortDocument::Pdf(pdf)) => {
            let prompt = planned(connection, stream::iter(whole(STAND_IN, start))).await?;
            let tokens = tokens_of(pdf, &prompt.model, connection).await?;
            Ok(with_pdf(prompt, pdf.len(), tokens))
        }
        DocumentContent::Long(document) => {
            planned(connection, document.for_plan(start(document.sha256()))).await
        }
    }
}

/// The messages about a text that ask for a plan.
fn whole<R: DocumentRpc>(text: &str, start: impl Fn(Bytes) -> R) -> Vec<R> {
    let sha256 = Bytes::copy_from_slice(&Sha256::digest(text));
    let chunks = text.as_bytes().chunks(CHUNK);
    let chunks = chunks.map(|chunk| R::chunk(Bytes::copy_from_slice(chunk)));
    std::iter::once(start(sha256)).chain(chunks).collect()
}

async fn planned<R: DocumentRpc>(
    connection: &Connection,
    messages: impl Stream<Item = R> + Send + 'static,
) -> Result<DocumentPlan, Status> {
    let connection = connection.with_timeout_of_at_least(LONG_TIMEOUT);
    let planned = connection.call(R::METHOD, messages, async |_, request| {
        let mut events = R::call(connection.documents(), request).await?.into_inner();
        while let Some(event) = events.message().await? {
            if let DocumentEvent::Plan(plan) = R::event(event) {
                return Ok(plan);
            }
        }
        Err(Status::data_loss("the stream ended before the plan"))
    });
    planned.await
}

/// How many input tokens a PDF has for a model, as the API counts them.
async fn tokens_of(pdf: &Bytes, model: &str, connection: &Connection) -> Result<i64, Status> {
    let document = DocumentBlock {
        source: Some(Source::Pdf(pdf.clone())),
        ..DocumentBlock::default()
    };
    let message = Message {
        role: Role::User.into(),
        content: vec![ContentBlock {
            block: Some(Block::Document(document)),
            ..ContentBlock::default()
        }],
        ..Message::default()
    };
    let request = CountTokensRequest {
        request: Some(GenerateRequest {
            model: model.to_owned(),
            messages: vec![message],
            ..GenerateRequest::default()
        }),
    };
    let counted = connection.answer(
        "claude.v1.ClaudeService/CountTokens",
        request,
        async |mut client, request| client.count_tokens(request).await,
    );
    Ok(counted.await?.input_tokens)
}

/// The plan of a call that has a PDF in addition.
fn with_pdf(plan: DocumentPlan, bytes: usize, tokens: i64) -> DocumentPlan {
    let input_tokens = plan.input_tokens.saturating_add(tokens);
    let count = |tokens: i64| u64::try_from(tokens).unwrap_or(0);
    let used = Tokens {
        input: count(input_tokens),
        output: count(plan.output_tokens),
        ..Tokens::default()
    };
    let prices = PriceTable::new(&[], Day::today());
    let cost = prices.cost(&plan.model, &used, Day::today);
    DocumentPlan {
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        input_tokens,
        dollars: cost.map(in_dollars),
        ..plan
    }
}
