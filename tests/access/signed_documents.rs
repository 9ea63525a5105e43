//! Signed streams: the signature covers the first message, which has the digest of the rest.

use crate::harness::{Running, Setup, assert_unauthenticated};
use claude_grpc::{
    access::signature::{Signer, SigningLayer},
    proto::v1::{
        SummarizeDocumentRequest, SummarizeDocumentStart, SummarizeRequest,
        document_service_client::DocumentServiceClient, summarize_document_request::Content,
        summarize_document_response::Event,
    },
};
use futures::{StreamExt, stream};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tonic::{Code, Status, codec::CompressionEncoding};

const SECRET: &str = "cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OTHER_SECRET: &str = "cgs_HxwdGxoZGBcWFRQTEhEQDw4NDAsKCQgHBgUEAwIBAAA";

const CLIENTS: &str = "
[[clients]]
name = 'a'
methods = ['SummarizeDocument']
signing_keys = [{ id = 'k', secret = 'cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8' }]
";

/// The last event of a signed document with this digest.
async fn summarized(
    server: &Running,
    secret: &str,
    sha256: &[u8],
    text: &'static str,
) -> Result<Option<Event>, Status> {
    let signer = Signer::new("k", SecretString::from(secret.to_owned()));
    let signer = signer.with_clock(server.hands.clock());
    let signing = tower::ServiceBuilder::new()
        .layer(SigningLayer::new(signer))
        .service(server.channel().await);
    let mut client = DocumentServiceClient::new(signing).send_compressed(CompressionEncoding::Gzip);
    let start = Content::Start(SummarizeDocumentStart {
        settings: Some(SummarizeRequest::default()),
        sha256: sha256.to_vec().into(),
        ..SummarizeDocumentStart::default()
    });
    let chunks = text.as_bytes().chunks(7);
    let chunks = chunks.map(|chunk| Content::Chunk(chunk.into()));
    let messages = std::iter::once(start).chain(chunks);
    let messages = messages.map(|content| SummarizeDocumentRequest {
        content: Some(content),
    });
    let events = client.summarize_document(stream::iter(messages.collect::<Vec<_>>()));
    let mut events = events.await?.into_inner();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = event?.event;
    }
    Ok(last)
}

#[tokio::test]
async fn the_digest_of_a_signed_document_is_checked() {
    let server = Setup::new(CLIENTS).start().await;
    let text = "The first sentence. The second sentence. The third one.";
    let digest = Sha256::digest(text);
    let last = summarized(&server, SECRET, &digest, text).await.unwrap();
    assert!(matches!(last, Some(Event::Finished(_))), "{last:?}");

    let calls = server.api.calls();
    for (digest, problem) in [
        (&b""[..], "start.sha256: must be set in signed calls"),
        (&b"short"[..], "start.sha256: must have 32 bytes"),
        (
            &Sha256::digest("another"),
            "start.sha256: must be the SHA-256",
        ),
    ] {
        let error = summarized(&server, SECRET, digest, text).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
        assert!(error.message().contains(problem), "{error:?}");
    }
    let error = summarized(&server, OTHER_SECRET, &digest, text).await;
    assert_unauthenticated(&error.unwrap_err());
    assert_eq!(server.api.calls(), calls, "nothing reaches the API");
}
