"""Any block of an answer goes back in the next turn as the API sent it.

The service has its own spelling for the strings of the blocks that it knows, and drops
`null`; everything else is compared byte for byte. Left out of a turn is what the API
rejects in requests: blank texts, blank signatures, and inputs that are not JSON objects.
"""

import json

import pytest
import reading
from claude.v1 import generate_pb2
from generated_answers import generated
from odd_answers import STREAMED, WHOLE
from test_recorded import ANSWERS
from upstream import JSON

# The strings of the blocks that the service knows, in its order.
STRINGS = {
    "text": ["text"],
    "thinking": ["thinking", "signature"],
    "redacted_thinking": ["data"],
    "tool_use": ["id", "name"],
    "container_upload": ["file_id"],
}
# Those of them that the API rejects when they are blank.
REQUIRED = ["text", "signature", "data", "id", "name", "file_id"]


@pytest.mark.parametrize("seed", range(400, 700))
def test_a_generated_answer(upstream, service, seed):
    answer = generated(seed)
    blocks = [block.whole for block in answer.blocks]
    if answer.whole:
        upstream.answers["whole"] = answer.whole
        check(upstream, service, "whole", reading.service_whole(service, "whole"), blocks)
    upstream.answers["streamed"] = answer.streamed
    for read in [reading.service_streamed, reading.service_gathered]:
        check(upstream, service, "streamed", read(service, "streamed"), blocks)


@pytest.mark.parametrize("name", [*WHOLE, *(name for name in ANSWERS if ANSWERS[name].content_type == JSON)])
def test_a_whole_answer(upstream, service, name):
    answer = WHOLE[name].answer if name in WHOLE else ANSWERS[name]
    if answer.headers and answer.headers[0][0] == "content-encoding":
        pytest.skip("its JSON is that of another")
    body = answer.body.decode("utf-8-sig", "replace")
    content = dict(fields(body)).get("content", "[]")
    blocks = items(content) if content.startswith("[") else []
    upstream.answers["whole"] = answer
    check(upstream, service, "whole", reading.service_whole(service, "whole"), blocks)


@pytest.mark.parametrize("name", [*STREAMED, *(name for name in ANSWERS if ANSWERS[name].content_type != JSON)])
def test_a_streamed_answer(upstream, service, name):
    """What it adds up to has been compared with the SDK: here, that all of it goes back."""
    if name in STREAMED and STREAMED[name].service_refuses:
        pytest.skip("it is an error")
    upstream.answers["streamed"] = STREAMED[name].answer if name in STREAMED else ANSWERS[name]
    sent = [
        sent_back(upstream, service, "streamed", read(service, "streamed"))
        for read in [reading.service_streamed, reading.service_gathered]
    ]
    assert sent[0] == sent[1]
    answer = reading.service_gathered(service, "streamed")
    read = [reading.block_of_service(block) for block in answer.content if is_valid(block)]
    assert [reading.block_of_sdk(reading.plain(json.loads(block))) for block in sent[0]] == read


def check(upstream, service, name, answer, blocks):
    expected = [block for block in map(as_sent, blocks) if block]
    assert sent_back(upstream, service, name, answer) == expected


def as_sent(block):
    """The JSON that the API gets back for a block; `None` for one that it would reject."""
    parsed = parse(block)
    kind = parsed.get("type") if isinstance(parsed, dict) else None
    if not isinstance(kind, str):
        return None
    if kind not in STRINGS:
        return block
    values = dict(fields(block))
    sent = [f'"type":"{kind}"']
    for name in STRINGS[kind]:
        value = reading.text(parsed.get(name))
        if name in REQUIRED and not value.strip():
            return None
        sent.append(f'"{name}":{json.dumps(value, ensure_ascii=False)}')
    if kind == "text" and parsed.get("citations"):
        sent.append(f'"citations":[{",".join(items(values["citations"]))}]')
    if kind == "tool_use":
        if parsed.get("input", {}) is None or "input" not in parsed:
            values["input"] = "{}"
        elif not isinstance(parsed["input"], dict):
            return None
        sent.append(f'"input":{values["input"]}')
    known = ["type", "citations", "input", *STRINGS[kind]]
    if kind == "tool_use":
        for name, origin in reading.origin(parsed).items():
            known.append(name)
            if origin:
                sent.append(f'"{name}":{json.dumps(origin, ensure_ascii=False, separators=(",", ":"))}')
    sent += [
        f"{json.dumps(reading.text(name), ensure_ascii=False)}:{value}"
        for name, value in fields(block)
        if name not in known
    ]
    return "{" + ",".join(sent) + "}"


def sent_back(upstream, service, name, answer):
    """The blocks of the next turn that can be sent, as the API receives them."""
    blocks = [block for block in answer.content if is_valid(block)]
    if not blocks:
        return []
    turns = [
        generate_pb2.Message(role=generate_pb2.ROLE_USER, text=name),
        generate_pb2.Message(role=generate_pb2.ROLE_ASSISTANT, content=blocks),
        generate_pb2.Message(role=generate_pb2.ROLE_USER, text="Go on."),
    ]
    request = generate_pb2.GenerateRequest(
        model=reading.MODEL, messages=turns, max_tokens=reading.WHOLE
    )
    service.Generate(request, timeout=reading.SECONDS)
    body = upstream.later_turns.pop(name)
    return items(dict(fields(items(dict(fields(body))["messages"])[1]))["content"])


def is_valid(block):
    kind = block.WhichOneof("block")
    it = getattr(block, kind)
    if kind == "other":
        parsed = parse(it.json)
        return isinstance(parsed, dict) and isinstance(parsed.get("type"), str)
    required = [name for name in STRINGS[kind] if name in REQUIRED]
    is_whole = kind != "tool_use" or isinstance(parse(it.input_json), dict)
    return is_whole and all(getattr(it, name).strip() for name in required)


def parse(json_text):
    try:
        return json.loads(json_text)
    except ValueError:
        return None


# === JSON as it is written


def fields(json_text):
    """The names and values of an object, the values as they are written."""
    at = skip(json_text, json_text.index("{") + 1)
    while json_text[at] != "}":
        name, at = json.decoder.scanstring(json_text, at + 1)
        start = skip(json_text, skip(json_text, at) + 1)
        end = json.JSONDecoder().raw_decode(json_text, start)[1]
        yield name, json_text[start:end]
        at = next_part(json_text, end)


def items(json_text):
    """The items of a list as they are written."""
    found = []
    at = skip(json_text, json_text.index("[") + 1)
    while json_text[at] != "]":
        end = json.JSONDecoder().raw_decode(json_text, at)[1]
        found.append(json_text[at:end])
        at = next_part(json_text, end)
    return found


def next_part(json_text, end):
    at = skip(json_text, end)
    return skip(json_text, at + 1) if json_text[at] == "," else at


def skip(json_text, at):
    while json_text[at] in " \t\r\n":
        at += 1
    return at
