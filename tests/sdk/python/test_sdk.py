"""The simulator as the official Python SDK sees it."""

import os
import re
import typing
from datetime import datetime

import anthropic
import pytest
from anthropic._data.deprecated_models import DEPRECATED_MODELS
from anthropic.types import ToolUnionParam
from pydantic import BaseModel
from sdk_types import fields_of, fixed_values, is_required

MODEL = "claude-haiku-5-5"
QUESTION = [{"role": "user", "content": "What is the weather in Oldport?"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather at a place",
    "input_schema": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}


@pytest.fixture
def client():
    with anthropic.Anthropic(
        base_url=os.environ["SIMULATOR_URL"], api_key="test", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def strict():
    """A client that accepts only answers of its types."""
    with anthropic.Anthropic(
        base_url=os.environ["SIMULATOR_URL"], api_key="test", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def create(client, behaviour=None, **more):
    headers = {"x-simulator": behaviour} if behaviour else {}
    asked = {"model": MODEL, "max_tokens": 500, "messages": QUESTION, **more}
    return client.messages.create(**asked, extra_headers=headers)


def stream(client, behaviour=None, **more):
    headers = {"x-simulator": behaviour} if behaviour else {}
    asked = {"model": MODEL, "max_tokens": 500, "messages": QUESTION, **more}
    return client.messages.stream(**asked, extra_headers=headers)


def test_create(client):
    message = create(client)
    assert message.type == "message"
    assert message.role == "assistant"
    assert message.stop_reason == "end_turn"
    assert message.content[0].text.startswith("[simulated] ")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0
    assert message._request_id.startswith("req_sim_")


def test_stream_gives_what_create_gives(client):
    whole = create(client)
    with stream(client) as events:
        kinds = [event.type for event in events]
        final = events.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"
    assert "text" in kinds
    assert final.content[0].text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_tools_there_and_back(client):
    asked = create(client, tools=[WEATHER])
    assert asked.stop_reason == "tool_use"
    use = asked.content[0]
    assert (use.name, use.input) == ("get_weather", {"location": "Oldport"})
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "Rain"}
    turns = [
        *QUESTION,
        {"role": "assistant", "content": asked.content},
        {"role": "user", "content": [result]},
    ]
    told = create(client, tools=[WEATHER], messages=turns)
    assert told.stop_reason == "end_turn"
    assert "Rain" in told.content[0].text


def test_streamed_tool_input(client):
    with stream(client, tools=[WEATHER]) as events:
        final = events.get_final_message()
    assert final.stop_reason == "tool_use"
    assert final.content[0].input == {"location": "Oldport"}


def runnable():
    """A tool that the SDK runs, and the inputs that it was run with."""
    places = []

    @anthropic.beta_tool
    def get_weather(location: str) -> str:
        """The weather at a place"""
        places.append(location)
        return f"Rain in {location}"

    return get_weather, places


def run(client, tool, **more):
    return client.beta.messages.tool_runner(model=MODEL, max_tokens=500, tools=[tool], messages=QUESTION, **more)


def test_the_tool_runner_goes_on_in_a_thread(client):
    tool, places = runnable()
    messages = list(run(client, tool))
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert messages[-1].content[0].text == "[simulated] The tool answered: Rain in Oldport"
    assert places == ["Oldport"]


def test_the_tool_runner_runs_to_the_end(client):
    tool, places = runnable()
    final = run(client, tool).until_done()
    assert "Rain in Oldport" in final.content[0].text
    assert places == ["Oldport"]


def test_the_tool_runner_streams(client):
    tool, places = runnable()
    reasons = [events.get_final_message().stop_reason for events in run(client, tool, stream=True)]
    assert reasons == ["tool_use", "end_turn"]
    assert places == ["Oldport"]


# How a prompt asks for a tool, by the beginning of its type, and the types of the blocks of
# its use; a tool that the SDK defines and that is not here is not used.
DEFINED = {
    "web_search_": ("Search the web for harbours.", ["server_tool_use", "web_search_tool_result", "text"]),
    "web_fetch_": ("Fetch https://example.com/a.", ["server_tool_use", "web_fetch_tool_result", "text"]),
    "code_execution_20250522": ("Execute code.", ["server_tool_use", "code_execution_tool_result", "text"]),
    "code_execution_": ("Execute code.", ["server_tool_use", "bash_code_execution_tool_result", "text"]),
    "tool_search_tool_": ("Use the tool search.", ["server_tool_use", "tool_search_tool_result", "text"]),
    "bash_": ("Say hello with bash.", ["tool_use"]),
    "text_editor_": ("Open the text editor.", ["tool_use"]),
    "memory_": ("Look into your memory.", ["tool_use"]),
    "computer_toolset_": ("Take a picture of my computer.", ["tool_use"]),
    "browser_toolset_": ("Open https://example.com/a in the browser.", ["tool_use"]),
}


def defined_tools():
    """Each tool that the SDK defines, with what it requires."""
    for kind in typing.get_args(ToolUnionParam):
        fields = fields_of(kind)
        if not is_required(kind, "type"):
            continue
        required = {name: hint for name, hint in fields.items() if is_required(kind, name)}
        yield {name: fixed_values(hint)[0] for name, hint in required.items()}


def dumped(message):
    return [block.model_dump(exclude={"parsed_output"}) for block in message.content]


@pytest.mark.parametrize("tool", defined_tools(), ids=lambda tool: tool["type"])
def test_a_defined_tool_is_used_when_it_is_asked_for(strict, tool):
    text, kinds = next(DEFINED[begin] for begin in DEFINED if tool["type"].startswith(begin))
    asked = {"tools": [tool], "messages": [{"role": "user", "content": text}]}
    message = create(strict, **asked)
    assert [block.type for block in message.content] == kinds
    with stream(strict, **asked) as events:
        streamed = events.get_final_message()
    assert dumped(streamed) == dumped(message)
    assert streamed.usage.server_tool_use == message.usage.server_tool_use
    runs_code = tool["type"].startswith("code_execution")
    assert (message.container is not None) == (streamed.container is not None) == runs_code
    use = message.content[0]
    result = [{"type": "tool_result", "tool_use_id": use.id, "content": "Done"}]
    answered = {"role": "user", "content": result if kinds == ["tool_use"] else "Thanks!"}
    turns = [{"role": "assistant", "content": message.content}, answered]
    assert create(strict, tools=[tool], messages=asked["messages"] + turns).stop_reason == "end_turn"


def test_a_container_is_used_again(strict):
    asked = {
        "tools": [{"type": "code_execution_20260521", "name": "code_execution"}],
        "messages": [{"role": "user", "content": "Execute code."}],
    }
    skills = [{"type": "anthropic", "skill_id": "pdf", "version": "latest"}]
    first = create(strict, container={"skills": skills}, **asked).container
    assert [skill.skill_id for skill in first.skills] == ["pdf"]
    assert create(strict, container={"id": first.id}, **asked).container.id == first.id
    with pytest.raises(anthropic.NotFoundError):
        create(strict, container={"id": "container_0"}, **asked)


def test_a_tool_can_be_forced_on_older_models_only(client):
    forced = {"tools": [WEATHER], "tool_choice": {"type": "any"}, "messages": [{"role": "user", "content": "Hello!"}]}
    assert create(client, **forced).stop_reason == "tool_use"
    with pytest.raises(anthropic.BadRequestError):
        create(client, **forced, model="claude-sonnet-5-5")


class Ticket(BaseModel):
    subject: str
    urgent: bool
    amount: int
    tags: list[str]


COMPLAINT = [{"role": "user", "content": "Urgent: please refund 42 euros."}]


def test_structured_output_parses(client):
    message = client.messages.parse(
        model=MODEL, max_tokens=500, messages=COMPLAINT, output_format=Ticket
    )
    assert message.parsed_output.urgent is True
    assert message.parsed_output.amount == 42


def test_structured_output_streams(client):
    with stream(client, messages=COMPLAINT, output_format=Ticket) as events:
        assert events.get_final_message().parsed_output.amount == 42


def test_a_label_is_chosen(client):
    schema = {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": ["praise", "refunds"]}},
        "required": ["label"],
        "additionalProperties": False,
    }
    form = {"format": {"type": "json_schema", "schema": schema}}
    message = create(client, messages=COMPLAINT, output_config=form)
    assert message.content[0].text == '{"label":"refunds"}'


def test_thinking(client):
    message = create(client, thinking={"type": "adaptive"})
    thinking, text = message.content
    assert thinking.type == "thinking" and thinking.thinking and thinking.signature
    assert text.type == "text"
    with stream(client, thinking={"type": "adaptive"}) as events:
        streamed = events.get_final_message().content
    assert streamed[0] == thinking
    assert streamed[1].text == text.text
    omitted = create(client, thinking={"type": "adaptive", "display": "omitted"})
    assert omitted.content[0].thinking == ""
    turns = [*QUESTION, {"role": "assistant", "content": message.content}, *QUESTION]
    assert create(client, messages=turns).content


def test_count_tokens(client):
    count = client.messages.count_tokens(model=MODEL, messages=QUESTION)
    assert count.input_tokens == create(client).usage.input_tokens


def test_models_and_their_pages(client):
    models = list(client.models.list(limit=2))
    assert len(models) > 2
    assert len({model.id for model in models}) == len(models)
    found = client.models.retrieve(MODEL)
    assert found.capabilities.structured_outputs.supported
    assert found.capabilities.thinking.types.adaptive.supported
    assert found.max_input_tokens == 1_000_000
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


def ids_of_the_sdk():
    """The ids that its type names; any other text is a model as well."""
    literal = next(it for it in typing.get_args(anthropic.types.Model) if it is not str)
    return typing.get_args(literal)


@pytest.mark.parametrize("model", ids_of_the_sdk())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_each_model_of_the_sdk_is_in_the_catalogue(client, model):
    info = client.models.retrieve(model)
    answer = client.messages.create(model=model, max_tokens=50, messages=QUESTION)
    assert answer.model == info.id

    end = DEPRECATED_MODELS.get(model)
    assert info.lifecycle == ("deprecated" if end else "active")
    if end:
        # As in "January 22nd, 2027".
        end = datetime.strptime(re.sub(r"(?<=\d)[a-z]+", "", end), "%B %d, %Y")
        assert info.retires_at.date() == end.date()


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (409, anthropic.ConflictError, "conflict_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (422, anthropic.UnprocessableEntityError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
        (402, anthropic.APIStatusError, "billing_error"),
        (408, anthropic.APIStatusError, "timeout_error"),
        (504, anthropic.APIStatusError, "timeout_error"),
    ],
)
def test_each_error_is_its_class(client, status, error, kind):
    with pytest.raises(error) as raised:
        create(client, str(status))
    assert raised.value.status_code == status
    assert raised.value.type == kind
    assert raised.value.request_id.startswith("req_sim_")


def test_the_spend_limit_has_its_code(client):
    with pytest.raises(anthropic.RateLimitError) as raised:
        create(client, "spend_limit")
    assert raised.value.error_code == "enforced_spend_limit_reached"


def test_retries(client):
    patient = client.with_options(max_retries=2)
    assert create(patient, "529;times=2").content
    assert create(patient, "drop;times=1").content
    assert create(patient, "rate_limited=1ms;times=1").content
    with pytest.raises(anthropic.APIStatusError):
        create(client.with_options(max_retries=1), "529;times=2")
    with pytest.raises(anthropic.APIStatusError):
        create(patient, "should_retry=false,529;times=1")


def test_a_dropped_connection(client):
    with pytest.raises(anthropic.APIConnectionError):
        create(client, "drop")


def test_a_hang_times_out(client):
    with pytest.raises(anthropic.APITimeoutError):
        create(client.with_options(timeout=0.2), "hang")


def test_a_cut_stream_raises(client):
    with pytest.raises(Exception), stream(client, "cut=5") as events:
        events.until_done()


def test_an_error_in_a_stream_raises(client):
    with pytest.raises(anthropic.APIStatusError) as raised:
        with stream(client, "error_event=5") as events:
            events.until_done()
    assert raised.value.type == "overloaded_error"


def test_garbage_is_no_message(client):
    with pytest.raises(Exception), stream(client, "garbage") as events:
        events.until_done()


def test_what_nobody_knows_does_no_harm(client):
    assert create(client, "unknown_stop_reason").stop_reason == "simulated_unknown"
    kinds = [block.type for block in create(client, "unknown_block").content]
    assert kinds == ["simulated_unknown", "text"]
    with stream(client, "unknown_block") as events:
        assert events.get_final_message().content[1].text.startswith("[simulated] ")


def test_refusal_citations_and_a_cut_answer(client):
    refusal = create(client, "refusal")
    assert refusal.stop_reason == "refusal"
    assert refusal.stop_details.category == "general_harms"
    with stream(client, "citations") as events:
        cited = events.get_final_message()
    assert cited.content[0].citations[0].type == "char_location"
    assert create(client, max_tokens=3).stop_reason == "max_tokens"
    stopped = create(client, stop_sequences=["weather"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "weather")


def test_unknown_fields_are_refused(client):
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs are not permitted"):
        create(client, extra_body={"temperature": 1.0})
