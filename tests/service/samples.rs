//! The sample requests, each with its name: those with every field, and one for each
//! value of the settings.

use crate::{
    sample_requests::{
        adaptive, cache_marks, choice, container, everything, skill, system_message, thinking, tool,
    },
    support::ask,
};
use claude_grpc::proto::v1::{self, thinking::Mode};

/// Each request with the name of its body in the corpus.
pub fn samples() -> Vec<(String, v1::GenerateRequest)> {
    let mut samples = vec![
        ("generate-everything".to_owned(), everything()),
        ("generate-cache-marks".to_owned(), cache_marks()),
        ("generate-system-message".to_owned(), system_message()),
    ];
    samples.extend(
        options()
            .into_iter()
            .map(|(name, request)| (format!("generate-{name}"), request)),
    );
    samples
}

/// Every value of the settings of which a request can have one only.
fn options() -> Vec<(&'static str, v1::GenerateRequest)> {
    let effort = |effort: v1::Effort| v1::GenerateRequest {
        effort: effort.into(),
        ..ask("Hello")
    };
    // A budget for thinking, and no thinking at all, are for older models.
    let thinks = |mode| v1::GenerateRequest {
        model: match &mode {
            Mode::Enabled(_) => "claude-opus-4-6",
            Mode::Disabled(_) => "claude-sonnet-5",
            Mode::Adaptive(_) | Mode::BetweenTools(_) => "",
        }
        .to_owned(),
        thinking: thinking(mode),
        max_tokens: Some(2048),
        ..ask("Hello")
    };
    // The newest models refuse a forced tool, older ones take it.
    let chooses = |choice| v1::GenerateRequest {
        model: "claude-opus-4-8".to_owned(),
        tools: vec![tool()],
        tool_choice: Some(choice),
        ..ask("Hello")
    };
    let enabled = |display: v1::ThinkingDisplay| {
        Mode::Enabled(v1::EnabledThinking {
            budget_tokens: 1024,
            display: display.into(),
        })
    };
    use v1::ThinkingDisplay::{Omitted, Summarized, Unspecified};
    vec![
        ("minimal", ask("Hello")),
        ("effort-low", effort(v1::Effort::Low)),
        ("effort-medium", effort(v1::Effort::Medium)),
        ("effort-xhigh", effort(v1::Effort::Xhigh)),
        ("effort-max", effort(v1::Effort::Max)),
        ("thinking-adaptive", thinks(adaptive(Unspecified))),
        ("thinking-adaptive-omitted", thinks(adaptive(Omitted))),
        ("thinking-enabled", thinks(enabled(Unspecified))),
        ("thinking-enabled-omitted", thinks(enabled(Omitted))),
        ("thinking-enabled-summarized", thinks(enabled(Summarized))),
        (
            "thinking-between-tools",
            thinks(Mode::BetweenTools(v1::BetweenToolsThinking {})),
        ),
        (
            "thinking-disabled",
            thinks(Mode::Disabled(v1::DisabledThinking {})),
        ),
        ("choice-auto", chooses(choice(v1::ToolChoiceMode::Auto))),
        (
            "choice-any",
            chooses(v1::ToolChoice {
                disable_parallel_tool_use: true,
                ..choice(v1::ToolChoiceMode::Any)
            }),
        ),
        (
            "choice-tool",
            chooses(v1::ToolChoice {
                name: "weather".to_owned(),
                disable_parallel_tool_use: true,
                ..choice(v1::ToolChoiceMode::Tool)
            }),
        ),
        ("choice-none", chooses(choice(v1::ToolChoiceMode::None))),
        (
            "first-turn",
            v1::GenerateRequest {
                container: Some(container("", vec![skill("anthropic", "xlsx")])),
                diagnostics: Some(v1::DiagnosticsParams::default()),
                speed: v1::Speed::Standard.into(),
                ..ask("Hello")
            },
        ),
        (
            "fills-the-cache",
            v1::GenerateRequest {
                container: Some(container("container_1", Vec::new())),
                max_tokens: Some(0),
                ..ask("Hello")
            },
        ),
        (
            "tier-auto",
            v1::GenerateRequest {
                service_tier: v1::ServiceTier::Auto.into(),
                ..ask("Hello")
            },
        ),
    ]
}
