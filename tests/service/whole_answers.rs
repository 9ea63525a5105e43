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

#[tokio::test]
async fn what_has_no_field_comes_as_it_is_written() {
    let fields = Fields {
        message: r#","new":1.0,"absent":null,"usage":{"input_tokens":7,"iterations":[1e400, -0]}"#,
        delta: r#","new":2.50,"container":{"id":"c","expires_at":"2030-01-02T03:04:05Z","skills":[{"type":"custom","skill_id":"s","version":"1"}]},"stop_details":{"type":"refusal","category":"bio","recommended_model":"x"}"#,
        usage: r#"{"output_tokens":9},"context_management":{ "a" : 1 }"#,
    };
    let (whole, gathered, finished) = answers(&fields).await;
    assert_eq!(
        whole.extra_json,
        r#"{"new":1.0,"usage":{"iterations":[1e400, -0]}}"#
    );
    assert_eq!(whole.container, None);
    let expected = r#"{"new":2.50,"context_management":{ "a" : 1 },"usage":{"iterations":[1e400, -0]},"stop_details":{"recommended_model":"x"}}"#;
    for (container, extra_json) in [
        (gathered.container, gathered.extra_json),
        (finished.container, finished.extra_json),
    ] {
        assert_eq!(extra_json, expected);
        let container = container.unwrap();
        assert_eq!(container.id, "c");
        let time = container.expire_time.unwrap().to_string();
        assert_eq!(time, "2030-01-02T03:04:05Z");
        let skill = v1::ContainerSkill {
            r#type: "custom".to_owned(),
            skill_id: "s".to_owned(),
            version: "1".to_owned(),
        };
        assert_eq!(container.skills, [skill]);
    }
}

#[tokio::test]
async fn diagnostics_come_raw_and_an_odd_container_is_kept() {
    let fields = Fields {
        message: r#","diagnostics":{"n": 1.0},"container":[1],"stop_details":{"type":"new","category":"c"}"#,
        delta: "",
        usage: "null",
    };
    let (whole, gathered, finished) = answers(&fields).await;
    let extra = r#"{"container":[1],"stop_details":{"type":"new","category":"c"}}"#;
    for (diagnostics_json, extra_json) in [
        (whole.diagnostics_json, whole.extra_json),
        (gathered.diagnostics_json, gathered.extra_json),
        (finished.diagnostics_json, finished.extra_json),
    ] {
        assert_eq!(diagnostics_json, r#"{"n": 1.0}"#);
        assert_eq!(extra_json, extra);
    }
}

/// A stream with what nothing here knows: deltas of a known and of an unknown block, and
/// events, of which the first comes before the answer begins.
const UNKNOWN: &str = r#"event: early
data: {"type":"early", "n" : 1.0}

event: message_start
data: {"message":{"id":"m","model":"c","content":[]}}

event: content_block_start
data: {"index":3,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"index":3,"delta":{"type":"new_delta", "x" : [1e400, -0]}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"index":3,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_stop
data: {"index":3}

event: new_event
data: {"index":3,"a":1,"a":2}

event: content_block_start
data: {"index":4,"content_block":{"type":"new_thing","list":[1]}}

event: content_block_delta
data: {"index":4,"delta":{"type":"new_delta","text":"x"}}

event: content_block_delta
data: {"index":4,"delta":{"type":"new_delta","list":[2]}}

event: content_block_stop
data: {"index":4}

event: text
data: not JSON

event: message_delta
data: {"delta":{"stop_reason":"end_turn"}}

event: message_stop
data: {}

"#;

fn other_delta(index: i32, delta_json: &str) -> v1::OtherDelta {
    v1::OtherDelta {
        index,
        delta_json: delta_json.to_owned(),
    }
}

fn other_event(kind: &str, data: &str) -> v1::OtherEvent {
    v1::OtherEvent {
        r#type: kind.to_owned(),
        data: data.to_owned(),
    }
}

#[tokio::test]
async fn deltas_and_events_of_unknown_types_are_kept_beside_the_content() {
    let of_text = other_delta(0, r#"{"type":"new_delta", "x" : [1e400, -0]}"#);
    let placed = other_delta(1, r#"{"type":"new_delta","text":"x"}"#);
    let not_placed = other_delta(1, r#"{"type":"new_delta","list":[2]}"#);
    let other_events = [
        other_event("early", r#"{"type":"early", "n" : 1.0}"#),
        other_event("new_event", r#"{"index":3,"a":1,"a":2}"#),
        other_event("text", "not JSON"),
    ];
    let wire = Wire::answering(200, events(UNKNOWN)).await;
    // The second is streamed although it was not asked for as a stream.
    for max_tokens in [64_000, 1_000] {
        let request = v1::GenerateRequest {
            max_tokens: Some(max_tokens),
            ..ask("hello")
        };
        let gathered = wire.generate(request).await.unwrap();
        assert_eq!(gathered.other_deltas, [of_text.clone(), not_placed.clone()]);
        assert_eq!(gathered.other_events, other_events);
        let content = format!("{:?}", gathered.content);
        assert!(!content.contains("1e400"), "{content}");
        assert!(content.contains(r#"\"text\":\"x\""#), "{content}");
    }

    let (streamed, end) = wire.stream(ask("hello")).await;
    end.unwrap();
    assert!(matches!(streamed.first(), Some(Event::Started(_))));
    assert!(matches!(streamed.last(), Some(Event::Finished(_))));
    let (mut deltas, mut events) = (Vec::new(), Vec::new());
    for event in streamed {
        match event {
            Event::OtherDelta(delta) => deltas.push(delta),
            Event::OtherEvent(event) => events.push(event),
            _ => {}
        }
    }
    assert_eq!(deltas, [of_text, placed, not_placed]);
    assert_eq!(events, other_events);
}

/// A stream of known events with an unknown field at each place, except for those of
/// `message_start.message` and `message_delta`, which the tests above have.
const UNKNOWN_FIELDS: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"m","model":"c","content":[]},"beside_message":{ "n" : 1.0}}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"text","text":"","in_block":1e400},"beside_block":[1e400, -0]}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"in_text":0.50,"type":"text_delta","text":"Hello"},"beside_delta":"x"}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"!","absent":null},"absent":null}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"citations_delta","citation":{"type":"new"},"in_citation":1.0}}

event: content_block_stop
data: {"type":"content_block_stop","index":3,"at_stop":7.0}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"thinking","thinking":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"thinking_delta","thinking":"Hm","in_thinking":2.0}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"astray","in_stray":2.50}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"signature_delta","signature":"s","in_signature":3.0}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: content_block_start
data: {"type":"content_block_start","index":6,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":6,"delta":{"type":"input_json_delta","partial_json":"{}","in_input":4.0}}

event: content_block_stop
data: {"type":"content_block_stop","index":6}

event: content_block_start
data: {"type":"content_block_start","index":7,"content_block":{"type":"new_thing"}}

event: content_block_delta
data: {"type":"content_block_delta","index":7,"delta":{"type":"input_json_delta","partial_json":"{}","in_new_thing":5.0}}

event: content_block_stop
data: {"type":"content_block_stop","index":7}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop","at_end":{"inputTokenCount":6.0}}

"#;

#[tokio::test]
async fn unknown_fields_of_known_deltas_and_events_are_kept_as_they_are_written() {
    let other_deltas = [
        other_delta(0, r#"{"type":"text_delta","in_text":0.50}"#),
        other_delta(0, r#"{"type":"citations_delta","in_citation":1.0}"#),
        other_delta(1, r#"{"type":"thinking_delta","in_thinking":2.0}"#),
        other_delta(1, r#"{"type":"text_delta","in_stray":2.50}"#),
        other_delta(1, r#"{"type":"signature_delta","in_signature":3.0}"#),
        other_delta(3, r#"{"type":"input_json_delta","in_input":4.0}"#),
        other_delta(4, r#"{"type":"input_json_delta","in_new_thing":5.0}"#),
    ];
    let other_events = [
        other_event(
            "content_block_start",
            r#"{"type":"content_block_start","index":3,"beside_block":[1e400, -0]}"#,
        ),
        other_event(
            "content_block_delta",
            r#"{"type":"content_block_delta","index":3,"beside_delta":"x"}"#,
        ),
        other_event(
            "content_block_stop",
            r#"{"type":"content_block_stop","index":3,"at_stop":7.0}"#,
        ),
    ];
    let extra_json = r#"{"beside_message":{ "n" : 1.0},"at_end":{"inputTokenCount":6.0}}"#;

    let wire = Wire::answering(200, events(UNKNOWN_FIELDS)).await;
    let long = v1::GenerateRequest {
        max_tokens: Some(64_000),
        ..ask("hello")
    };
    let gathered = wire.generate(long).await.unwrap();
    // That of the unknown block is in it.
    assert_eq!(gathered.other_deltas, other_deltas[..6]);
    assert_eq!(gathered.other_events, other_events);
    assert_eq!(gathered.extra_json, extra_json);
    let content = format!("{:?}", gathered.content);
    for part in ["in_block", "in_new_thing", "Hello!", "astray"] {
        assert!(content.contains(part), "{content}");
    }

    let (streamed, end) = wire.stream(ask("hello")).await;
    end.unwrap();
    let (mut deltas, mut events, mut text) = (Vec::new(), Vec::new(), String::new());
    for event in &streamed {
        match event {
            Event::OtherDelta(delta) => deltas.push(delta.clone()),
            Event::OtherEvent(event) => events.push(event.clone()),
            Event::TextDelta(delta) => text.push_str(&delta.text),
            _ => {}
        }
    }
    assert_eq!(deltas, other_deltas);
    assert_eq!(events, other_events);
    assert_eq!(text, "Hello!astray");
    let Some(Event::Finished(finished)) = streamed.last() else {
        panic!("{streamed:?}");
    };
    assert_eq!(finished.extra_json, extra_json);
    assert_eq!(finished.stop_reason_text, "end_turn");
}

#[tokio::test]
async fn unknown_events_without_end_are_an_error() {
    let endless = |kind: &str| {
        let data = "x".repeat(1024 * 1024);
        format!("event: {kind}\ndata: {data}\n\n").repeat(65)
    };
    let start = "event: message_start\ndata: {\"message\":{}}\n\n";
    let stop = "event: message_stop\ndata: {}\n\n";
    for (body, what) in [
        (
            format!("{start}{}{stop}", endless("new")),
            "the body is too large",
        ),
        (
            format!("{}{start}{stop}", endless("new")),
            "message_start is missing",
        ),
    ] {
        let wire = Wire::answering(200, events(&body)).await;
        let long = v1::GenerateRequest {
            max_tokens: Some(64_000),
            ..ask("hello")
        };
        let status = wire.generate(long).await.unwrap_err();
        assert!(status.message().ends_with(what), "{status:?}");
    }
}
