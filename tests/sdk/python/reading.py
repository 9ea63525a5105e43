"""What the SDK and the service read of an answer, in one form to compare.

Some differences are settled here, as they are ones of the languages: a gRPC string
cannot contain half of a character, and a count of the service is a number of at least 0
and at most 63 bits.
"""

import json

import anthropic
import jiter
from claude.v1 import generate_pb2

MODEL = "claude-sonnet-5-5"
# Up to this many tokens, the service asks for a whole answer.
WHOLE, GATHERED = 1000, 64_000
SECONDS = 60
# The fields of the blocks that the service knows.
KNOWN = ["type", "text", "citations", "thinking", "signature", "data", "id", "name", "input", "file_id"]


# === the SDK


def sdk_whole(messages, name):
    """With `client.messages` or `client.beta.messages`."""
    turns = [{"role": "user", "content": name}]
    return of_sdk(messages.create(model=MODEL, max_tokens=WHOLE, messages=turns))


def sdk_streamed(messages, name):
    turns = [{"role": "user", "content": name}]
    with messages.stream(model=MODEL, max_tokens=WHOLE, messages=turns) as events:
        return of_sdk(events.get_final_message())


def of_sdk(message):
    message = plain(message)
    usage = message.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    nested = lambda field: usage[field] if isinstance(usage.get(field), dict) else {}  # noqa: E731
    return {
        "id": text(message.get("id")),
        "model": text(message.get("model")),
        "content": [block_of_sdk(block) for block in message["content"]],
        "stop_reason": text(message.get("stop_reason")),
        "stop_sequence": text(message.get("stop_sequence")),
        "refusal": refusal_of_sdk(message.get("stop_details")),
        "usage": {
            "input": count(usage.get("input_tokens")),
            "output": count(usage.get("output_tokens")),
            "cache_creation": count(usage.get("cache_creation_input_tokens")),
            "cache_read": count(usage.get("cache_read_input_tokens")),
            "cache_5m": count(nested("cache_creation").get("ephemeral_5m_input_tokens")),
            "cache_1h": count(nested("cache_creation").get("ephemeral_1h_input_tokens")),
            "thinking": count(nested("output_tokens_details").get("thinking_tokens")),
            "service_tier": text(usage.get("service_tier")),
            "web_searches": count(nested("server_tool_use").get("web_search_requests")),
            "web_fetches": count(nested("server_tool_use").get("web_fetch_requests")),
            "inference_geo": text(usage.get("inference_geo")),
            "speed": text(usage.get("speed")),
        },
    }


def plain(value):
    """Models as dictionaries, with the fields that came."""
    if isinstance(value, anthropic.BaseModel):
        known = {
            type(value).model_fields[name].alias or name: getattr(value, name)
            for name in value.model_fields_set & type(value).model_fields.keys()
        }
        fields = known | (value.__pydantic_extra__ or {})
        # `parsed_output` is the SDK's own.
        return {text(name): plain(field) for name, field in fields.items() if name != "parsed_output"}
    if isinstance(value, dict):
        return {text(name): plain(field) for name, field in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return text(value) if isinstance(value, str) else value


def block_of_sdk(block):
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "text":
        return ("text", text(block.get("text")), block.get("citations") or [], extra(block))
    if kind == "thinking":
        return ("thinking", text(block.get("thinking")), text(block.get("signature")), extra(block))
    if kind == "redacted_thinking":
        return ("redacted", text(block.get("data")), extra(block))
    if kind == "tool_use":
        tool_input = block.get("input")
        tool_input = {} if tool_input is None else tool_input
        known = origin(block)
        more = {name: value for name, value in extra(block).items() if name not in known}
        known = {name: value for name, value in known.items() if value}
        return ("tool", text(block.get("id")), text(block.get("name")), tool_input, known, more)
    if kind == "container_upload":
        return ("upload", text(block.get("file_id")), extra(block))
    return ("other", block)


def origin(block):
    """The caller and the toolset of a tool use that have a field; `None` for `null`."""
    found = {}
    if "caller" in block:
        caller = block["caller"]
        if caller is None:
            found["caller"] = None
        elif isinstance(caller, dict) and "type" in caller and not caller.keys() - {"type", "tool_id"}:
            if all(isinstance(value, str) and value for value in caller.values()):
                order = ["type", "tool_id"]
                found["caller"] = {name: text(caller[name]) for name in order if name in caller}
    if "toolset_name" in block:
        name = block["toolset_name"]
        if name is None or (isinstance(name, str) and name):
            found["toolset_name"] = None if name is None else text(name)
    return found


def extra(block):
    """The fields of a block that the service does not know."""
    return {name: value for name, value in block.items() if name not in KNOWN}


def refusal_of_sdk(details):
    if not isinstance(details, dict) or details.get("type") != "refusal":
        return None
    return text(details.get("category")), text(details.get("explanation"))


def text(value):
    """A text with its halves of characters joined or replaced; a number as its JSON."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    if not isinstance(value, str):
        return json.dumps(value)
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def count(value):
    if isinstance(value, str):
        value = json.loads(value) if value.replace(".", "").isdecimal() else 0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0
    return max(0, int(min(value, 2**63 - 1)))


# === the service


def request(name, max_tokens):
    message = generate_pb2.Message(role=generate_pb2.ROLE_USER, text=name)
    return generate_pb2.GenerateRequest(model=MODEL, messages=[message], max_tokens=max_tokens)


def service_whole(stub, name):
    return stub.Generate(request(name, WHOLE), timeout=SECONDS)


def service_gathered(stub, name):
    return stub.Generate(request(name, GATHERED), timeout=SECONDS)


def service_streamed(stub, name):
    """The answer that a caller puts together from a stream."""
    events = stub.GenerateStream(
        generate_pb2.GenerateStreamRequest(request=request(name, WHOLE)), timeout=SECONDS
    )
    answer = generate_pb2.GenerateResponse()
    finished = False
    for event in events:
        assert not finished, "an event after the last"
        kind = event.WhichOneof("event")
        it = getattr(event, kind)
        block = answer.content[it.index] if kind.endswith("_delta") or kind == "block_finished" else None
        if kind == "started":
            answer.id, answer.model, answer.request_id = it.id, it.model, it.request_id
        elif kind == "block_started":
            assert it.index == len(answer.content)
            answer.content.append(it.block)
        elif kind == "text_delta":
            block.text.text += it.text
        elif kind == "thinking_delta":
            block.thinking.thinking += it.thinking
        elif kind == "citation_delta":
            block.text.citations_json.append(it.citation_json)
        elif kind == "tool_input_delta":
            if block.WhichOneof("block") == "tool_use":
                block.tool_use.input_json += it.partial_json
        elif kind == "block_finished":
            if it.signature:
                block.thinking.signature = it.signature
            if it.HasField("other"):
                block.other.CopyFrom(it.other)
        elif kind == "finished":
            finished = True
            answer.stop_reason, answer.stop_reason_text = it.stop_reason, it.stop_reason_text
            answer.stop_sequence = it.stop_sequence
            answer.usage.CopyFrom(it.usage)
            if it.HasField("refusal"):
                answer.refusal.CopyFrom(it.refusal)
    assert finished
    return answer


def of_service(answer):
    usage = answer.usage
    return {
        "id": answer.id,
        "model": answer.model,
        "content": [block_of_service(block) for block in answer.content],
        "stop_reason": answer.stop_reason_text,
        "stop_sequence": answer.stop_sequence,
        "refusal": (answer.refusal.category, answer.refusal.explanation)
        if answer.HasField("refusal")
        else None,
        "usage": {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_creation": usage.cache_creation_input_tokens,
            "cache_read": usage.cache_read_input_tokens,
            "cache_5m": usage.cache_creation_5m_input_tokens,
            "cache_1h": usage.cache_creation_1h_input_tokens,
            "thinking": usage.thinking_tokens,
            "service_tier": usage.service_tier,
            "web_searches": usage.web_search_requests,
            "web_fetches": usage.web_fetch_requests,
            "inference_geo": usage.inference_geo,
            "speed": usage.speed,
        },
    }


def block_of_service(block):
    kind = block.WhichOneof("block")
    it = getattr(block, kind)
    more = plain(json.loads(block.extra_json or "{}"))
    if kind == "text":
        citations = [plain(json.loads(citation)) for citation in it.citations_json]
        return ("text", it.text, citations, more)
    if kind == "thinking":
        return ("thinking", it.thinking, it.signature, more)
    if kind == "redacted_thinking":
        return ("redacted", it.data, more)
    if kind == "tool_use":
        known = {"toolset_name": it.toolset_name} if it.toolset_name else {}
        if it.HasField("caller"):
            caller = {"type": it.caller.type, "tool_id": it.caller.tool_id}
            known["caller"] = {name: value for name, value in caller.items() if value}
        return ("tool", it.id, it.name, plain(parsed_input(it.input_json)), known, more)
    if kind == "container_upload":
        return ("upload", it.file_id, more)
    assert kind == "other"
    parsed = plain(json.loads(it.json))
    if isinstance(parsed, dict) and parsed.get("type") == "server_tool_use":
        if isinstance(parsed.get("input"), str):
            parsed["input"] = plain(parsed_input(parsed["input"]))
    return ("other", parsed)


def parsed_input(input_json):
    """An input that was cut is parsed as the SDK does: as far as it came."""
    try:
        return json.loads(input_json)
    except ValueError:
        pass
    try:
        return jiter.from_json(input_json.encode(), partial_mode=True)
    except ValueError:
        return input_json
