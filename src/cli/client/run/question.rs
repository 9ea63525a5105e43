//! What a command asks about each document.

use crate::{
    cli::{
        client::{
            connection::Connection, document_rpc::DocumentRpc, json::Json, model_use::ModelUse,
            short_document::ShortDocument,
        },
        exit::Failure,
    },
    kinds::PdfForm,
    proto::v1::{CacheTtl, batch_item, stream_batch_results_response},
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

    /// The request of a batch about a document. `ttl` is how long the API keeps what all
    /// requests have in common.
    fn batch_request(&self, document: ShortDocument, ttl: CacheTtl) -> batch_item::Request;

    /// The answer in a result of a batch; `None` if it is one to something else.
    fn batch_answer(&self, result: stream_batch_results_response::Result) -> Option<Self::Answer>;

    /// Whether what all requests have in common is long enough for the prompt cache.
    fn shares_prompt(&self) -> bool;

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

    /// The answer with this JSON mapping; `None` if it is one to something else.
    fn answer(&self, json: &Json, mapping: &Value) -> Option<Self::Answer>;

    /// An answer as text, in whole lines; `file` is the name of its document where there are
    /// several.
    fn text(&self, file: Option<&str>, answer: &Self::Answer) -> String;

    /// The model that answered, and what it used.
    fn used(&self, answer: &Self::Answer) -> ModelUse;
}
