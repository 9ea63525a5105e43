//! What a command asks about each document.

use crate::{
    cli::{
        client::{
            connection::Connection, document_rpc::DocumentRpc, json::Json,
            short_document::ShortDocument,
        },
        exit::Failure,
    },
    kinds::PdfForm,
    models::Tokens,
    proto::v1::Usage,
};
use bytes::Bytes;
use serde_json::Value;
use tonic::Status;

/// What a command asks about each document.
pub trait Question {
    /// The response.
    type Answer;

    /// The RPC about documents of any length.
    type Rpc: DocumentRpc<Answer = Self::Answer>;

    /// What is between two answers as text.
    const SEPARATOR: &str;

    /// All that changes an answer but the document, in bytes that are the same in each run.
    fn options(&self) -> Vec<u8>;

    /// What is sent of a PDF.
    fn pdf(&self) -> PdfForm;

    /// Asks about a document that goes in one message.
    async fn ask(
        &self,
        connection: &Connection,
        document: ShortDocument,
    ) -> Result<Self::Answer, Status>;

    /// The first message about a document with this digest. `plan_only` asks for what the
    /// calls about it would take.
    fn start(&self, sha256: Bytes, plan_only: bool) -> Self::Rpc;

    /// Whether an answer is complete.
    ///
    /// # Errors
    /// When the model refused, or its answer was truncated.
    fn complete(&self, answer: &Self::Answer) -> Result<(), Failure>;

    /// The labels of an answer, if it has some.
    fn labels<'a>(&self, answer: &'a Self::Answer) -> &'a [String];

    /// Whether an answer with these labels makes the command fail.
    fn fails(&self, labels: &[String]) -> bool;

    /// An answer in its JSON mapping.
    fn json(&self, json: &Json, answer: &Self::Answer) -> Value;

    /// An answer as text, in whole lines; `file` is the name of its document where there are
    /// several.
    fn text(&self, file: Option<&str>, answer: &Self::Answer) -> String;

    /// The model that answered, and what it used.
    fn used<'a>(&self, answer: &'a Self::Answer) -> (&'a str, Tokens);
}

/// The tokens of a usage report of the service.
pub fn tokens(usage: Option<&Usage>) -> Tokens {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let usage = usage.cloned().unwrap_or_default();
    let written = count(usage.cache_creation_input_tokens);
    let for_an_hour = count(usage.cache_creation_1h_input_tokens).min(written);
    Tokens {
        input: count(usage.input_tokens),
        output: count(usage.output_tokens),
        cache_read: count(usage.cache_read_input_tokens),
        cache_write_5m: written - for_an_hour,
        cache_write_1h: for_an_hour,
    }
}
