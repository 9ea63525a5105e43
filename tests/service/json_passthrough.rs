//! JSON that the API or its model wrote goes through as it is written, down
//! and up.

use crate::{
    generate_calls::{gathered, generate},
    sample_requests::{self, message_of, text, tool},
    support::{World, ask, soon, user},
};
use claude_grpc::{
    proto::v1::{self, content_block::Block},
    simulator::Behaviour,
};

#[tokio::test]
async fn tool_inputs_come_down_as_they_are_written() {
    let mut world = World::start().await;
    let schema = r#"{"type":"object","properties":{"z":{"const":12345678901234567890},"a":{"const":1.0},"m":{"const":-0.5}},"required":["z","a","m"],"additionalProperties":false}"#;
    let request = v1::GenerateRequest {
        tools: vec![v1::Tool {
            input_schema_json: schema.to_owned(),
            ..tool()
        }],
        ..ask("How is the weather?")
    };
    for answer in [
        generate(&mut world.grpc, request.clone()).await,
        gathered(&mut world.grpc, request).await,
    ] {
        let Some(Block::ToolUse(tool_use)) = &answer.content[0].block else {
            panic!("{answer:?}");
        };
        let exact = r#"{"z":12345678901234567890,"a":1.0,"m":-0.5}"#;
        assert_eq!(tool_use.input_json, exact);
    }
}

#[tokio::test]
async fn tool_inputs_go_up_as_they_are_written() {
    let mut world = World::start().await;
    // Numbers that no double and no 64 bits hold, keys out of order and twice,
    // blanks, escapes.
    let inputs = [
        r#"{"z":12345678901234567890,"a":1.0}"#,
        r#"{"n":123456789012345678901234567890,"x":0.1000000000000000055511151231257827}"#,
        r#"{ "b" : 1e400, "a" : [-0, 1E+2, 1.10], "b" : "\u00e9\/" }"#,
    ];
    for input in inputs {
        let request = v1::GenerateRequest {
            messages: vec![
                user("How is the weather?"),
                message_of(
                    v1::Role::Assistant,
                    vec![Block::ToolUse(sample_requests::tool_use("toolu_1", input))],
                ),
                message_of(
                    v1::Role::User,
                    vec![Block::ToolResult(sample_requests::result("toolu_1"))],
                ),
            ],
            ..ask("")
        };
        // Whatever the API makes of it: here it does not look.
        world.simulator.next([Behaviour::Error(400)]);
        soon(world.grpc.generate(request)).await.unwrap_err();
        let sent = world.simulator.requests().pop().unwrap().body;
        let sent = std::str::from_utf8(&sent).unwrap();
        assert!(sent.contains(&format!(r#""input":{input}"#)), "{sent}");
    }
}

#[tokio::test]
async fn unknown_blocks_go_up_as_they_are_written() {
    let mut world = World::start().await;
    let block = r#"{ "new": [1.0, 123456789012345678901234567890], "type": "new_thing" }"#;
    let citation = r#"{"type":"new_location", "at":1.50}"#;
    let request = v1::GenerateRequest {
        messages: vec![
            user("Hello"),
            message_of(
                v1::Role::Assistant,
                vec![
                    Block::Other(v1::OtherBlock {
                        r#type: "new_thing".to_owned(),
                        json: block.to_owned(),
                    }),
                    Block::Text(v1::TextBlock {
                        citations_json: vec![citation.to_owned()],
                        ..text("So it is.")
                    }),
                ],
            ),
            user("Really?"),
        ],
        ..ask("")
    };
    world.simulator.next([Behaviour::Error(400)]);
    soon(world.grpc.generate(request)).await.unwrap_err();
    let sent = world.simulator.requests().pop().unwrap().body;
    let sent = std::str::from_utf8(&sent).unwrap();
    assert!(sent.contains(&format!("[{block},")), "{sent}");
    assert!(
        sent.contains(&format!(r#""citations":[{citation}]"#)),
        "{sent}"
    );
}
