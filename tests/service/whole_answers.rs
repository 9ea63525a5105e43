//! Nothing that the API answers is lost.

use crate::{
    support::ask,
    wire::{Wire, events, json},
};
use claude_grpc::proto::v1::{self, generate_stream_response::Event};

/// The fields of an answer that come after its content, as the API sends them.
struct Fields {
    message: &'static str,
    /// Of `message_delta`, in a stream that begins with those of the message.
    delta: &'static str,
    usage: &'static str,
}

/// An answer in one piece, put together from a stream, and its last event.
async fn answers(fields: &Fields) -> (v1::GenerateResponse, v1::GenerateResponse, v1::Finished) {
    let Fields {
        message,
        delta,
        usage,
    } = fields;
    let body = format!(
        r#"{{"id":"m","type":"message","role":"assistant","model":"c","content":[]{message}}}"#
    );
    let wire = Wire::answering(200, json(&body)).await;
    let whole = wire.generate(ask("hello")).await.unwrap();
    let stream = format!(
        "event: message_start\ndata: {{\"message\":{body}}}\n\n\
         event: message_delta\ndata: {{\"delta\":{{\"stop_reason\":\"end_turn\"{delta}}},\"usage\":{usage}}}\n\n\
         event: message_stop\ndata: {{}}\n\n"
    );
    let wire = Wire::answering(200, events(&stream)).await;
    let long = v1::GenerateRequest {
        max_tokens: Some(64_000),
        ..ask("hello")
    };
    let gathered = wire.generate(long).await.unwrap();
    let (mut streamed, end) = wire.stream(ask("hello")).await;
    end.unwrap();
    let Some(Event::Finished(finished)) = streamed.pop() else {
        panic!("{streamed:?}");
    };
    (whole, gathered, finished)
}

#[tokio::test]
async fn usage_has_the_tools_of_the_api_and_where_the_model_ran() {
    let fields = Fields {
        message: r#","usage":{"inference_geo":"us","speed":"fast","server_tool_use":{"web_search_requests":3,"web_fetch_requests":4}}"#,
        delta: "",
        usage: r#"{"server_tool_use":{"web_search_requests":5,"web_fetch_requests":6}}"#,
    };
    let (whole, gathered, finished) = answers(&fields).await;
    for (usage, searches, fetches) in [
        (whole.usage, 3, 4),
        (gathered.usage, 5, 6),
        (finished.usage, 5, 6),
    ] {
        let expected = v1::Usage {
            web_search_requests: searches,
            web_fetch_requests: fetches,
            inference_geo: "us".to_owned(),
            speed: "fast".to_owned(),
            ..v1::Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }
}
