//! The RPCs about documents, as the command calls them.

use super::model_use::ModelUse;
use crate::proto::v1::{
    ClassifiedPart, ClassifyDocumentRequest, ClassifyDocumentResponse, ClassifyResponse,
    DocumentPlan, SummarizeDocumentRequest, SummarizeDocumentResponse, SummarizeResponse,
    SummarizedPart, classify_document_request as to_classify,
    classify_document_response::Event as Classified,
    document_service_client::DocumentServiceClient, summarize_document_request as to_summarize,
    summarize_document_response::Event as Summarized,
};
use bytes::Bytes;
use futures::Stream;
use prost::Message;
use tonic::{Request, Response, Status, Streaming, transport::Channel};

/// An RPC about a document, by the type of its messages.
pub trait DocumentRpc: Send + Sized + 'static {
    /// Its name.
    const METHOD: &str;
    /// What is known of a part.
    type Part: Message + Default + Send + 'static;
    /// What comes back.
    type Event;
    /// The answer at the end.
    type Answer;

    /// The message of a part that is done.
    fn finished_part(part: Self::Part) -> Self;

    /// The message of a chunk.
    fn chunk(chunk: Bytes) -> Self;

    /// What an event says.
    fn event(event: Self::Event) -> DocumentEvent<Self::Part, Self::Answer>;

    /// What a part has used.
    fn used(part: &Self::Part) -> ModelUse;

    /// Begins the call.
    async fn call(
        client: DocumentServiceClient<Channel>,
        request: Request<impl Stream<Item = Self> + Send + 'static>,
    ) -> Result<Response<Streaming<Self::Event>>, Status>;
}

/// What an event about a document says.
pub enum DocumentEvent<P, A> {
    PartFinished(P),
    Plan(DocumentPlan),
    Finished(A),
    Other,
}

impl DocumentRpc for SummarizeDocumentRequest {
    const METHOD: &str = "claude.v1.DocumentService/SummarizeDocument";

    type Part = SummarizedPart;
    type Event = SummarizeDocumentResponse;
    type Answer = SummarizeResponse;

    fn finished_part(part: SummarizedPart) -> Self {
        let content = Some(to_summarize::Content::FinishedPart(part));
        SummarizeDocumentRequest { content }
    }

    fn chunk(chunk: Bytes) -> Self {
        let content = Some(to_summarize::Content::Chunk(chunk));
        SummarizeDocumentRequest { content }
    }

    fn event(event: SummarizeDocumentResponse) -> DocumentEvent<SummarizedPart, SummarizeResponse> {
        match event.event {
            Some(Summarized::PartFinished(part)) => DocumentEvent::PartFinished(part),
            Some(Summarized::Plan(plan)) => DocumentEvent::Plan(plan),
            Some(Summarized::Finished(finished)) => {
                DocumentEvent::Finished(finished.summary.unwrap_or_default())
            }
            Some(Summarized::Progress(_)) | None => DocumentEvent::Other,
        }
    }

    fn used(part: &SummarizedPart) -> ModelUse {
        ModelUse::new(&part.model, part.usage.as_ref())
    }

    async fn call(
        mut client: DocumentServiceClient<Channel>,
        request: Request<impl Stream<Item = Self> + Send + 'static>,
    ) -> Result<Response<Streaming<SummarizeDocumentResponse>>, Status> {
        client.summarize_document(request).await
    }
}

impl DocumentRpc for ClassifyDocumentRequest {
    const METHOD: &str = "claude.v1.DocumentService/ClassifyDocument";

    type Part = ClassifiedPart;
    type Event = ClassifyDocumentResponse;
    type Answer = ClassifyResponse;

    fn finished_part(part: ClassifiedPart) -> Self {
        let content = Some(to_classify::Content::FinishedPart(part));
        ClassifyDocumentRequest { content }
    }

    fn chunk(chunk: Bytes) -> Self {
        let content = Some(to_classify::Content::Chunk(chunk));
        ClassifyDocumentRequest { content }
    }

    fn event(event: ClassifyDocumentResponse) -> DocumentEvent<ClassifiedPart, ClassifyResponse> {
        match event.event {
            Some(Classified::PartFinished(part)) => DocumentEvent::PartFinished(part),
            Some(Classified::Plan(plan)) => DocumentEvent::Plan(plan),
            Some(Classified::Finished(finished)) => {
                DocumentEvent::Finished(finished.classification.unwrap_or_default())
            }
            Some(Classified::Progress(_)) | None => DocumentEvent::Other,
        }
    }

    fn used(part: &ClassifiedPart) -> ModelUse {
        let answer = part.classification.as_ref();
        let model = answer.map_or("", |answer| &answer.model);
        ModelUse::new(model, answer.and_then(|answer| answer.usage.as_ref()))
    }

    async fn call(
        mut client: DocumentServiceClient<Channel>,
        request: Request<impl Stream<Item = Self> + Send + 'static>,
    ) -> Result<Response<Streaming<ClassifyDocumentResponse>>, Status> {
        client.classify_document(request).await
    }
}
