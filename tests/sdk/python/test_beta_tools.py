"""What the simulator makes of MCP servers, compaction, the advisor and fallbacks, as types of the SDK."""

import os

import anthropic
import pytest
from anthropic.types.beta import (
    BetaAdvisorMessageIterationUsage,
    BetaAdvisorResultBlock,
    BetaAdvisorToolResultBlock,
    BetaCompactionBlock,
    BetaCompactionIterationUsage,
    BetaFallbackBlock,
    BetaFallbackMessageIterationUsage,
    BetaMCPToolResultBlock,
    BetaMCPToolUseBlock,
    BetaMessageIterationUsage,
    BetaServerToolUseBlock,
    BetaTextBlock,
)

MODEL = "claude-haiku-5-5"
SERVER = {"type": "url", "name": "harbours", "url": "https://mcp.example"}


@pytest.fixture
def messages():
    """Those of a client that accepts only answers of its types."""
    with anthropic.Anthropic(
        base_url=os.environ["SIMULATOR_URL"], api_key="test", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client.beta.messages


def both(messages, said, **more):
    """The answer, whole and put together from a stream, which must be the same."""
    said = said if isinstance(said, list) else [{"role": "user", "content": said}]
    asked = {"model": MODEL, "max_tokens": 500, "messages": said, **more}
    whole = messages.create(**asked)
    with messages.stream(**asked) as events:
        streamed = events.get_final_message()
    assert dumped(whole) == dumped(streamed)
    return whole


def dumped(message):
    return [block.model_dump(exclude_none=True) for block in message.content], message.stop_reason, message.usage.iterations


def types(blocks):
    return [type(block) for block in blocks]


@pytest.mark.parametrize(
    ("beta", "server", "tools"),
    [
        ("mcp-client-2025-04-04", SERVER | {"tool_configuration": {"allowed_tools": ["list_piers"]}}, []),
        (
            "mcp-client-2025-11-20",
            SERVER,
            [{"type": "mcp_toolset", "mcp_server_name": "harbours", "configs": {"list_piers": {"enabled": True}}}],
        ),
        (
            "mcp-client-2026-09-15",
            SERVER,
            [
                {
                    "type": "mcp_toolset",
                    "mcp_server_name": "harbours",
                    "tools": [
                        {
                            "name": "list_piers",
                            "input_schema": {
                                "type": "object",
                                "properties": {"location": {"type": "string"}},
                                "required": ["location"],
                            },
                        }
                    ],
                }
            ],
        ),
    ],
)
def test_mcp(messages, beta, server, tools):
    more = {"betas": [beta], "mcp_servers": [server], **({"tools": tools} if tools else {})}
    answer = both(messages, "List the piers in Oldport.", **more)
    assert types(answer.content) == [BetaMCPToolUseBlock, BetaMCPToolResultBlock, BetaTextBlock]
    use, result, _ = answer.content
    assert (use.server_name, use.name) == ("harbours", "list_piers")
    assert result.tool_use_id == use.id
    assert not result.is_error
    assert type(result.content[0]) is BetaTextBlock
    assert answer.stop_reason == "end_turn"
    if beta == "mcp-client-2026-09-15":
        assert use.input["location"]
    # It goes back as it came.
    said = [
        {"role": "user", "content": "List the piers in Oldport."},
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": "Thanks!"},
    ]
    assert types(both(messages, said, **more).content) == [BetaTextBlock]


COMPACT = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 1000}}
LONG = "The harbour of Oldport has twelve piers. " * 200


def test_compaction(messages):
    more = {"betas": ["compact-2026-01-12"], "context_management": {"edits": [COMPACT]}}
    answer = both(messages, LONG, **more)
    assert types(answer.content) == [BetaCompactionBlock, BetaTextBlock]
    assert answer.content[0].content.startswith("[simulated] ")
    assert answer.stop_reason == "end_turn"
    assert types(answer.usage.iterations) == [BetaCompactionIterationUsage, BetaMessageIterationUsage]
    compaction, message = answer.usage.iterations
    assert compaction.input_tokens >= 1000 > message.input_tokens
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (message.input_tokens, message.output_tokens)

    # What comes before the block is forgotten.
    said = [
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": "Thanks!"},
    ]
    again = both(messages, said, **more)
    assert types(again.content) == [BetaTextBlock]
    assert again.usage.input_tokens < 1000
    assert again.usage.iterations is None
    assert types(both(messages, "Hello", **more).content) == [BetaTextBlock]


def test_compaction_pauses(messages):
    edit = COMPACT | {"pause_after_compaction": True}
    answer = both(messages, LONG, betas=["compact-2026-01-12"], context_management={"edits": [edit]})
    assert types(answer.content) == [BetaCompactionBlock]
    assert answer.stop_reason == "compaction"
    assert types(answer.usage.iterations) == [BetaCompactionIterationUsage]
    assert answer.usage.output_tokens == 0


def test_compaction_on_request(messages):
    answer = both(messages, "Hello", betas=["compact-2026-09-04"], compaction={"type": "summarize"})
    assert types(answer.content) == [BetaCompactionBlock]
    assert answer.content[0].signature
    assert answer.stop_reason == "compaction"
    said = [{"role": "assistant", "content": answer.content}, {"role": "user", "content": "Thanks!"}]
    assert types(both(messages, said, betas=["compact-2026-09-04"]).content) == [BetaTextBlock]


def test_advisor(messages):
    tool = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5-5"}
    more = {"betas": ["advisor-tool-2026-03-01"], "tools": [tool]}
    answer = both(messages, "What does the advisor say?", **more)
    assert types(answer.content) == [BetaServerToolUseBlock, BetaAdvisorToolResultBlock, BetaTextBlock]
    use, result, _ = answer.content
    assert (use.name, use.id) == ("advisor", result.tool_use_id)
    assert type(result.content) is BetaAdvisorResultBlock
    assert result.content.stop_reason == "end_turn"
    assert types(answer.usage.iterations) == [
        BetaMessageIterationUsage,
        BetaAdvisorMessageIterationUsage,
        BetaMessageIterationUsage,
    ]
    assert answer.usage.iterations[1].model == "claude-opus-5-5"
    first, _, last = answer.usage.iterations
    assert answer.usage.output_tokens == first.output_tokens + last.output_tokens

    short = both(messages, "What does the advisor say?", betas=more["betas"], tools=[tool | {"max_tokens": 1024}])
    assert short.content[1].content.stop_reason == "end_turn"
    said = [
        {"role": "user", "content": "What does the advisor say?"},
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": "Thanks!"},
    ]
    assert types(both(messages, said, **more).content) == [BetaTextBlock]


def test_fallbacks(messages):
    more = {
        "betas": ["server-side-fallback-2026-07-01"],
        "fallbacks": [{"model": "claude-opus-5-5"}],
        "extra_headers": {"x-simulator": "refusal"},
    }
    answer = both(messages, "Hello", **more)
    assert types(answer.content) == [BetaTextBlock, BetaFallbackBlock, BetaTextBlock]
    fallback = answer.content[1]
    assert (fallback.from_.model, fallback.to.model) == (MODEL, "claude-opus-5-5")
    assert fallback.trigger.category == "general_harms"
    assert (answer.model, answer.stop_reason) == ("claude-opus-5-5", "end_turn")
    assert types(answer.usage.iterations) == [BetaMessageIterationUsage, BetaFallbackMessageIterationUsage]
    assert [step.model for step in answer.usage.iterations] == [MODEL, "claude-opus-5-5"]
    assert answer.usage.output_tokens == answer.usage.iterations[-1].output_tokens

    alone = both(messages, "Hello", **more | {"fallbacks": "default"})
    assert (alone.model, alone.stop_reason) == (MODEL, "refusal")
    served = both(messages, "Hello", **more | {"extra_headers": {}})
    assert (served.model, served.usage.iterations) == (MODEL, None)
    with pytest.raises(anthropic.NotFoundError):
        both(messages, "Hello", **more | {"fallbacks": [{"model": "claude-new"}]})
