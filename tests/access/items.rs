//! ProcessItems under access control: each item counts as a call, and none is signed.

use crate::harness::{Setup, limited, prompt};
use claude_grpc::{
    access::signature::{Signer, SigningLayer},
    proto::v1::{
        Item, ProcessItemsRequest, claude_service_client::ClaudeServiceClient, item::Request,
        process_items_request::Content, process_items_response::Result as Outcome,
    },
};
use futures::{StreamExt, stream};
use secrecy::SecretString;
use tonic::Code;

const SIGNING: &str = "
[[clients]]
name = 'a'
methods = ['ProcessItems']
signing_keys = [{ id = 'k', secret = 'cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8' }]
";

fn items(count: usize) -> impl futures::Stream<Item = ProcessItemsRequest> {
    let item = |number: usize| ProcessItemsRequest {
        content: Some(Content::Item(Item {
            id: number.to_string(),
            request: Some(Request::Generate(prompt())),
        })),
    };
    stream::iter((0..count).map(item).collect::<Vec<_>>())
}

#[tokio::test]
async fn each_item_counts_as_a_call() {
    for limit in [
        "requests_per_minute = 3",
        "requests_per_minute = 3\ncalls_in_flight = 9",
    ] {
        let (setup, key) = limited(limit);
        let server = setup.start().await;
        let mut client = server.client(&key).await;
        let results = client.process_items(items(5)).await.unwrap().into_inner();
        let results: Vec<_> = results
            .map(|it| it.unwrap().result.unwrap())
            .collect()
            .await;
        let errors = results.iter().filter_map(|result| match result {
            Outcome::Error(error) => Some(error),
            _ => None,
        });
        let errors: Vec<_> = errors.collect();
        assert_eq!(errors.len(), 2, "{results:?}");
        for error in errors {
            assert_eq!(error.code, Code::ResourceExhausted as i32);
            assert_eq!(error.reason, "CLIENT_LIMIT_REACHED");
            assert!(error.retry_delay.is_some());
        }
        assert_eq!(server.api.calls(), 3);
        assert_eq!(server.access.usage_store().spent("a").calls_in_flight, 0);
    }
}

#[tokio::test]
async fn a_signature_of_the_first_item_is_not_one_of_all() {
    let server = Setup::new(SIGNING).start().await;
    let secret = "cgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let signer = Signer::new("k", SecretString::from(secret.to_owned()));
    let signing = tower::ServiceBuilder::new()
        .layer(SigningLayer::new(signer.with_clock(server.hands.clock())))
        .service(server.channel().await);
    let refused = ClaudeServiceClient::new(signing)
        .process_items(items(2))
        .await;
    let error = refused.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
    assert!(error.message().contains("x-signature"), "{error:?}");
    assert_eq!(server.api.calls(), 0);
}
