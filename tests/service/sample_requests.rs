//! Requests that together use every field of `GenerateRequest`.

use crate::support::{ask, message, user};
use claude_grpc::proto::v1::{
    self, content_block::Block, document_block::Source as DocumentSource,
    image_block::Source as ImageSource, thinking::Mode,
};

/// The smallest PNG file: one transparent pixel.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0,
    0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1F, 0x15, 0xC4, 0x89, 0, 0, 0, 10, b'I', b'D', b'A', b'T',
    0x78, 0x9C, 0x63, 0, 1, 0, 0, 5, 0, 1, 0x0D, 0x0A, 0x2D, 0xB4, 0, 0, 0, 0, b'I', b'E', b'N',
    b'D', 0xAE, 0x42, 0x60, 0x82,
];
pub const PDF: &[u8] = b"%PDF-1.7\n%%EOF\n";

/// A conversation with all kinds of blocks, and every setting.
pub fn everything() -> v1::GenerateRequest {
    v1::GenerateRequest {
        model: "claude-opus-5-5".to_owned(),
        messages: vec![
            message_of(v1::Role::User, pictures_and_documents()),
            message_of(
                v1::Role::Assistant,
                vec![
                    Block::Thinking(v1::ThinkingBlock {
                        thinking: "The weather is asked for.".to_owned(),
                        signature: "c2lnbmF0dXJl".to_owned(),
                    }),
                    Block::RedactedThinking(v1::RedactedThinkingBlock {
                        data: "b3BhcXVl".to_owned(),
                    }),
                    Block::Text(v1::TextBlock {
                        text: "It was warm.".to_owned(),
                        citations_json: vec![CITATION.to_owned()],
                        ..v1::TextBlock::default()
                    }),
                    Block::ToolUse(tool_use("toolu_1", r#"{"place": "Graz"}"#)),
                    Block::ToolUse(tool_use("toolu_2", "{}")),
                    Block::ToolUse(tool_use("toolu_3", "{}")),
                ],
            ),
            message_of(v1::Role::User, tool_results()),
        ],
        system: vec![
            text("Answer in verse."),
            v1::TextBlock {
                cache_control: mark(v1::CacheTtl::CacheTtl5m),
                ..text("Be brief.")
            },
        ],
        max_tokens: Some(2048),
        stop_sequences: vec!["END".to_owned(), "\n\nHuman:".to_owned()],
        tools: vec![
            v1::Tool {
                description: "Tells the weather at a place.".to_owned(),
                strict: Some(true),
                cache_control: mark(v1::CacheTtl::CacheTtl1h),
                input_examples_json: vec![r#"{"place":"Wien"}"#.to_owned()],
                defer_loading: Some(false),
                allowed_callers: vec!["direct".to_owned()],
                eager_input_streaming: Some(true),
                ..tool()
            },
            v1::Tool {
                name: "now".to_owned(),
                input_schema_json: r#"{"type":"object"}"#.to_owned(),
                strict: Some(false),
                ..v1::Tool::default()
            },
        ],
        tool_choice: Some(v1::ToolChoice {
            disable_parallel_tool_use: true,
            ..choice(v1::ToolChoiceMode::Auto)
        }),
        thinking: thinking(adaptive(v1::ThinkingDisplay::Summarized)),
        effort: v1::Effort::High.into(),
        output_schema_json: ANSWER_SCHEMA.to_owned(),
        user_id: "user-4711".to_owned(),
        service_tier: v1::ServiceTier::StandardOnly.into(),
        cache_control: mark(v1::CacheTtl::Unspecified),
        container: Some(container(
            "container_1",
            vec![
                v1::ContainerSkill {
                    version: "20251013".to_owned(),
                    ..skill("anthropic", "pdf")
                },
                v1::ContainerSkill {
                    version: "latest".to_owned(),
                    ..skill("custom", "skill_1")
                },
            ],
        )),
        diagnostics: Some(v1::DiagnosticsParams {
            previous_message_id: "msg_1".to_owned(),
        }),
        inference_geo: "us".to_owned(),
        speed: v1::Speed::Fast.into(),
        ..v1::GenerateRequest::default()
    }
}

const CITATION: &str = r#"{"type":"char_location","cited_text":"Warm.","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":5}"#;

/// Keys out of their order, as a check that the order is kept.
const ANSWER_SCHEMA: &str = r#"{"type":"object","properties":{"verse":{"type":"string"},"lines":{"type":"integer"}},"required":["verse"],"additionalProperties":false}"#;

fn pictures_and_documents() -> Vec<Block> {
    let titled = |source, title: &str| v1::DocumentBlock {
        title: title.to_owned(),
        ..document(source)
    };
    vec![
        Block::Text(text("What do these say about the weather?")),
        Block::Image(image(ImageSource::Data(PNG.into()))),
        Block::Image(image(ImageSource::Url(
            "https://example.com/graph.webp".to_owned(),
        ))),
        Block::Image(image(ImageSource::FileId("file_image".to_owned()))),
        Block::Document(titled(DocumentSource::Pdf(PDF.into()), "Almanac")),
        Block::Document(v1::DocumentBlock {
            context: "Written by an amateur.".to_owned(),
            citations: true,
            cache_control: mark(v1::CacheTtl::CacheTtl1h),
            ..titled(DocumentSource::Text("Warm.".to_owned()), "Diary")
        }),
        Block::Document(document(DocumentSource::Url(
            "https://example.com/report.pdf".to_owned(),
        ))),
        Block::Document(document(DocumentSource::FileId("file_report".to_owned()))),
        Block::Document(document(DocumentSource::Content(v1::DocumentContent {
            content: blocks(vec![
                Block::Text(text("Warm.")),
                Block::Image(image(ImageSource::Data(PNG.into()))),
            ]),
        }))),
        Block::SearchResult(v1::SearchResultBlock {
            citations: true,
            ..found()
        }),
    ]
}

fn tool_results() -> Vec<Block> {
    vec![
        Block::ToolResult(v1::ToolResultBlock {
            content: blocks(vec![
                Block::Text(text("21 degrees")),
                Block::Image(image(ImageSource::Data(PNG.into()))),
                Block::Document(document(DocumentSource::Text("Sunny.".to_owned()))),
                Block::SearchResult(found()),
            ]),
            ..result("toolu_1")
        }),
        Block::ToolResult(v1::ToolResultBlock {
            content: blocks(vec![Block::Text(text("no such place"))]),
            is_error: true,
            ..result("toolu_2")
        }),
        Block::ToolResult(result("toolu_3")),
    ]
}

/// Marks on the kinds of blocks that `everything` leaves without.
pub fn cache_marks() -> v1::GenerateRequest {
    let ttl = v1::CacheTtl::CacheTtl5m;
    v1::GenerateRequest {
        messages: vec![
            message_of(
                v1::Role::User,
                vec![
                    Block::Image(v1::ImageBlock {
                        cache_control: mark(ttl),
                        ..image(ImageSource::Data(PNG.into()))
                    }),
                    Block::SearchResult(v1::SearchResultBlock {
                        cache_control: mark(ttl),
                        ..found()
                    }),
                ],
            ),
            message_of(
                v1::Role::Assistant,
                vec![Block::ToolUse(v1::ToolUseBlock {
                    cache_control: mark(ttl),
                    ..tool_use("toolu_1", "{}")
                })],
            ),
            message_of(
                v1::Role::User,
                vec![Block::ToolResult(v1::ToolResultBlock {
                    cache_control: mark(ttl),
                    ..result("toolu_1")
                })],
            ),
        ],
        ..ask("")
    }
}

pub fn system_message() -> v1::GenerateRequest {
    v1::GenerateRequest {
        messages: vec![
            user("Hello"),
            message(v1::Role::Assistant, "Good day."),
            message(v1::Role::System, "Answer in German from now on."),
            user("How are you?"),
        ],
        ..ask("")
    }
}

/// What the API adds of its own comes as unknown blocks, and goes back as it
/// came.
pub fn other_blocks() -> v1::GenerateRequest {
    let other = |json: &str| {
        Block::Other(v1::OtherBlock {
            r#type: String::new(),
            json: json.to_owned(),
        })
    };
    let searched = r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"weather in Graz"}}"#;
    let found = r#"{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}"#;
    v1::GenerateRequest {
        messages: vec![
            user("What is the weather?"),
            message_of(
                v1::Role::Assistant,
                vec![other(searched), other(found), Block::Text(text("Fine."))],
            ),
            user("And tomorrow?"),
        ],
        ..ask("")
    }
}

pub fn message_of(role: v1::Role, content: Vec<Block>) -> v1::Message {
    v1::Message {
        role: role.into(),
        text: String::new(),
        content: blocks(content),
        ..v1::Message::default()
    }
}

pub fn blocks(blocks: Vec<Block>) -> Vec<v1::ContentBlock> {
    let block = |block| v1::ContentBlock {
        block: Some(block),
        ..v1::ContentBlock::default()
    };
    blocks.into_iter().map(block).collect()
}

pub fn text(text: &str) -> v1::TextBlock {
    v1::TextBlock {
        text: text.to_owned(),
        ..v1::TextBlock::default()
    }
}

pub fn mark(ttl: v1::CacheTtl) -> Option<v1::CacheControl> {
    Some(v1::CacheControl { ttl: ttl.into() })
}

pub fn image(source: ImageSource) -> v1::ImageBlock {
    v1::ImageBlock {
        source: Some(source),
        ..v1::ImageBlock::default()
    }
}

pub fn document(source: DocumentSource) -> v1::DocumentBlock {
    v1::DocumentBlock {
        source: Some(source),
        ..v1::DocumentBlock::default()
    }
}

pub fn found() -> v1::SearchResultBlock {
    v1::SearchResultBlock {
        source: "https://example.com/forum".to_owned(),
        title: "Forum".to_owned(),
        texts: vec!["It rained.".to_owned(), "It did not.".to_owned()],
        ..v1::SearchResultBlock::default()
    }
}

pub fn tool_use(id: &str, input_json: &str) -> v1::ToolUseBlock {
    v1::ToolUseBlock {
        id: id.to_owned(),
        name: "weather".to_owned(),
        input_json: input_json.to_owned(),
        ..v1::ToolUseBlock::default()
    }
}

pub fn result(tool_use_id: &str) -> v1::ToolResultBlock {
    v1::ToolResultBlock {
        tool_use_id: tool_use_id.to_owned(),
        ..v1::ToolResultBlock::default()
    }
}

pub fn container(id: &str, skills: Vec<v1::ContainerSkill>) -> v1::ContainerParams {
    v1::ContainerParams {
        id: id.to_owned(),
        skills,
    }
}

pub fn skill(kind: &str, skill_id: &str) -> v1::ContainerSkill {
    v1::ContainerSkill {
        r#type: kind.to_owned(),
        skill_id: skill_id.to_owned(),
        ..v1::ContainerSkill::default()
    }
}

/// A tool that tells the weather.
pub fn tool() -> v1::Tool {
    v1::Tool {
        name: "weather".to_owned(),
        input_schema_json: r#"{"type":"object","properties":{"place":{"type":"string"}},"required":["place"],"additionalProperties":false}"#.to_owned(),
        ..v1::Tool::default()
    }
}

pub fn choice(mode: v1::ToolChoiceMode) -> v1::ToolChoice {
    v1::ToolChoice {
        mode: mode.into(),
        ..v1::ToolChoice::default()
    }
}

pub fn thinking(mode: Mode) -> Option<v1::Thinking> {
    Some(v1::Thinking { mode: Some(mode) })
}

pub fn adaptive(display: v1::ThinkingDisplay) -> Mode {
    Mode::Adaptive(v1::AdaptiveThinking {
        display: display.into(),
    })
}
