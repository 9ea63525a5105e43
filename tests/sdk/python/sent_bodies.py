"""What a caller can say, by the bodies that the service sends.

The bodies of `tests/corpus/` come from typed requests. Next to them, here are requests of
which only the difference matters, and raw blocks of every type that the SDK has: where
the service accepts one, its body is evidence too.
"""

import itertools
import json

import grpc
import reading
from claude.v1 import content_pb2, generate_pb2, models_pb2
from samples import Samples
from sdk_types import fields_of, owner
from sent_tools import CALLERS, defined_tools
from test_corpus import BODIES
from upstream import JSON, LATER_TURN, Answer

# The first bytes of the types of images, by which the service detects them.
IMAGES = [b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x00\x00\x00\x00WEBPVP8 ", b"\x89PNG\r\n\x1a\n"]
# The fields of blocks that our messages have as well.
TYPED = {
    "text": ["type", "text", "cache_control", "citations"],
    "tool_use": ["type", "id", "name", "input", "cache_control", "caller", "toolset_name"],
    "image": ["type", "source", "cache_control", "transformations"],
    "tool_result": ["type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"],
}
TEXT = generate_pb2.Message(role=generate_pb2.ROLE_USER, text="sent")
TOOL = generate_pb2.Tool(name="f", input_schema_json='{"type":"object"}')
# The thinking to which more fields are added.
THINKING = {
    "adaptive": generate_pb2.Thinking(adaptive=generate_pb2.AdaptiveThinking()),
    "enabled": generate_pb2.Thinking(enabled=generate_pb2.EnabledThinking(budget_tokens=1024)),
    "between_tools": generate_pb2.Thinking(between_tools=generate_pb2.BetweenToolsThinking()),
    "disabled": generate_pb2.Thinking(disabled=generate_pb2.DisabledThinking()),
}
# The objects into which fields are merged, with the fields of ours.
OBJECTS = {"thinking": {"type", "budget_tokens"}, "output_config": {"effort", "format"}, "metadata": {"user_id"}}
# The parameters of the SDK that are headers, which callers send as metadata.
HEADERS = {
    "betas": "anthropic-beta",
    "workspace_id": "anthropic-workspace-id",
    "user_profile_id": "anthropic-user-profile-id",
}
# The length of the place of a block in a body, of a field of it, and of an item of that.
BLOCK = [4, 5, 6]


class Sender:
    def __init__(self, upstream, service):
        self.upstream = upstream
        self.service = service
        upstream.answers["sent"] = Answer(JSON, LATER_TURN.encode())

    def sayable(self, types):
        """The names of the types that can be said, each with how."""
        kinds = {root.removeprefix("beta."): kind for kind, root in types.roots.items()}
        found = {}
        for root, body in self.typed():
            if root in kinds:
                uses = types.uses(kinds[root], body)
                found |= {name: "typed" for name, path in uses if not is_in_citation(path)}
        typed = set(map(owner, found))
        for body in self.raw(types):
            for name, path in types.uses(kinds["messages.create"], body):
                # What a raw block contains of a type that has a message of ours cannot be
                # said in that message.
                if owner(name) not in typed or len(path) in BLOCK:
                    found.setdefault(name, "raw")
        for root, body, passed in self.passed(types, kinds):
            for name, path in types.uses(kinds[root], body):
                if path[: len(passed)] == passed:
                    found.setdefault(name, "raw")
        return found

    def typed(self):
        """Bodies of requests without raw JSON, each with the method of the SDK."""
        for name, body in BODIES.items():
            # The blocks of that one are raw.
            if name != "generate-other-blocks":
                yield "messages.count_tokens" if name.startswith("count-tokens") else "messages.create", body
        marked = content_pb2.TextBlock(text="Be brief.", cache_control=content_pb2.CacheControl())
        yield "messages.create", self.created(says(generate_pb2.ROLE_SYSTEM, content_pb2.ContentBlock(text=marked)))
        for caller in CALLERS[1:3]:
            use = content_pb2.ToolUseBlock(id="toolu_1", name="f", caller={"type": caller, "tool_id": "srvtoolu_1"})
            yield "messages.create", self.created(says(generate_pb2.ROLE_ASSISTANT, content_pb2.ContentBlock(tool_use=use)))
        for data in IMAGES:
            image = content_pb2.ContentBlock(image=content_pb2.ImageBlock(data=data))
            yield "messages.create", self.created(says(generate_pb2.ROLE_USER, image))
        for more in [
            {"messages": [TEXT, generate_pb2.Message(role=generate_pb2.ROLE_SYSTEM, text="Be brief.")]},
            {"speed": generate_pb2.SPEED_STANDARD},
            {"thinking": generate_pb2.Thinking(enabled=generate_pb2.EnabledThinking(budget_tokens=1024))},
            {"thinking": generate_pb2.Thinking(between_tools=generate_pb2.BetweenToolsThinking())},
            {"thinking": generate_pb2.Thinking(disabled=generate_pb2.DisabledThinking())},
            {"tools": [generate_pb2.Tool(name="f", input_schema_json="{\"type\":\"object\"}", allowed_callers=CALLERS)]},
            {"tool_choice": generate_pb2.ToolChoice(mode=generate_pb2.TOOL_CHOICE_MODE_ANY)},
            {"tool_choice": generate_pb2.ToolChoice(mode=generate_pb2.TOOL_CHOICE_MODE_TOOL, name="f")},
            {"tool_choice": generate_pb2.ToolChoice(mode=generate_pb2.TOOL_CHOICE_MODE_NONE)},
        ]:
            yield "messages.count_tokens", self.counted(**more)
        for tool in defined_tools():
            yield "messages.count_tokens", self.counted(tools=[tool])
        request = models_pb2.ListModelsRequest(page_size=7, page_token="claude-x", lifecycles=[1, 2, 3])
        self.service.ListModels(request, timeout=reading.SECONDS)
        yield "models.list", self.upstream.last_query

    def raw(self, types):
        """Bodies with each block of the SDK, wherever the service accepts it as JSON."""
        samples = Samples(types)
        messages = types.fields[next(iter(types.roots))]["messages"]
        contents = [types.fields[kind]["content"] for kind in types.objects(messages)]
        blocks = [kind for content in contents for kind in types.objects(content)]
        contents += [fields_of(kind)["content"] for kind in blocks if "is_error" in fields_of(kind)]
        kinds = dict.fromkeys(kind for content in contents for kind in types.objects(content))
        for block in [raw_block(sample) for kind in kinds for sample in samples.objects(kind)]:
            result = content_pb2.ToolResultBlock(tool_use_id="toolu_1", content=[block])
            for message in [
                says(generate_pb2.ROLE_USER, block),
                says(generate_pb2.ROLE_ASSISTANT, block),
                says(generate_pb2.ROLE_SYSTEM, block),
                says(generate_pb2.ROLE_USER, content_pb2.ContentBlock(tool_result=result)),
            ]:
                try:
                    yield self.created(message)
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error

    def passed(self, types, kinds):
        """Bodies with each field and tool of the SDK, wherever the service passes it through.

        Each with the method, and the place of what is passed through.
        """
        samples = Samples(types)
        for root, send in [("messages.create", self.sent), ("messages.count_tokens", self.counted)]:
            if root not in kinds:
                continue
            hints = fields_of(kinds[root])
            for place, more in self.passed_fields(samples, hints):
                try:
                    yield root, send(**more), place
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
        yield from self.with_headers(kinds)

    def passed_fields(self, samples, hints):
        for field, hint in hints.items():
            if field in ["messages", "system", *HEADERS]:
                continue
            for value in samples.of(hint):
                if field == "tools":
                    for tool in value:
                        yield ("tools", 0), {"tools": [generate_pb2.Tool(other_json=json.dumps(tool))]}
                elif field in OBJECTS:
                    typed = {"thinking": THINKING[value["type"]]} if field == "thinking" else {}
                    for name in value.keys() - OBJECTS[field]:
                        extra = json.dumps({field: {name: value[name]}})
                        yield (field, name), typed | {"extra_json": extra}
                else:
                    yield (field,), {"extra_json": json.dumps({field: value})}
        for message in samples.of(hints["messages"])[0]:
            for name in message.keys() - {"role", "content"} if message["role"] == "system" else []:
                extra = json.dumps({name: message[name]})
                text = generate_pb2.Message(role=generate_pb2.ROLE_SYSTEM, text="Be brief.", extra_json=extra)
                yield ("messages", 1, name), {"messages": [TEXT, text]}

    def with_headers(self, kinds):
        """What of the SDK's parameters is a header, for each method."""
        metadata = [(header, f"{field}-1") for field, header in HEADERS.items()]
        for root, call, request in [
            ("messages.create", self.service.Generate, self.request(messages=[TEXT, TEXT])),
            (
                "messages.count_tokens",
                self.service.CountTokens,
                generate_pb2.CountTokensRequest(request=self.request(messages=[TEXT, TEXT])),
            ),
            ("models.list", self.service.ListModels, models_pb2.ListModelsRequest()),
        ]:
            if root not in kinds:
                continue
            call(request, timeout=reading.SECONDS, metadata=metadata)
            sent = {field: self.upstream.last_headers[header] for field, header in HEADERS.items()}
            assert all(value == f"{field}-1" for field, value in sent.items()), sent
            known = fields_of(kinds[root])
            for field, value in sent.items():
                if field in known:
                    yield root, {field: value}, (field,)

    def request(self, **more):
        fields = {"messages": [TEXT], "tools": [TOOL], "max_tokens": 2000} | more
        return generate_pb2.GenerateRequest(model=reading.MODEL, **fields)

    def sent(self, **more):
        self.service.Generate(self.request(**({"messages": [TEXT, TEXT]} | more)), timeout=reading.SECONDS)
        return self.upstream.last_body

    def created(self, message):
        request = generate_pb2.GenerateRequest(
            model=reading.MODEL, max_tokens=reading.WHOLE, messages=[TEXT, message]
        )
        self.service.Generate(request, timeout=reading.SECONDS)
        return self.upstream.last_body

    def counted(self, **more):
        request = generate_pb2.CountTokensRequest(request=self.request(**more))
        self.service.CountTokens(request, timeout=reading.SECONDS)
        return self.upstream.last_body


def is_in_citation(path):
    """Whether a place is in a citation, which is raw."""
    return any(step == "citations" and isinstance(item, int) for step, item in itertools.pairwise(path))


def says(role, block):
    return generate_pb2.Message(role=role, content=[block])


def raw_block(block):
    """A block with everything that can be said as JSON said so."""
    kind = block["type"]
    if kind not in TYPED:
        return content_pb2.ContentBlock(other=content_pb2.OtherBlock(json=json.dumps(block)))
    more = {name: value for name, value in block.items() if name not in TYPED[kind]}
    extra = json.dumps(more) if more else ""
    if kind == "image":
        return content_pb2.ContentBlock(image=content_pb2.ImageBlock(file_id="file_1"), extra_json=extra)
    if kind == "tool_result":
        result = content_pb2.ToolResultBlock(tool_use_id="toolu_1")
        return content_pb2.ContentBlock(tool_result=result, extra_json=extra)
    if kind == "tool_use":
        tool_input = json.dumps(block["input"])
        tool = content_pb2.ToolUseBlock(id=block["id"], name=block["name"], input_json=tool_input)
        return content_pb2.ContentBlock(tool_use=tool, extra_json=extra)
    citations = [json.dumps(citation) for citation in block.get("citations", [])]
    text = content_pb2.TextBlock(text=block["text"], citations_json=citations)
    return content_pb2.ContentBlock(text=text, extra_json=extra)
