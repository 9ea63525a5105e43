"""What of an answer arrives at the caller: whatever changes the response when it changes.

The answers are made of the SDK's types. Each is sent twice, as it is and with one value
changed. If the responses of the service are the same, the caller cannot see that value.
If they differ only in fields with JSON of the API, it arrives raw, and typed otherwise.
"""

import copy
import json

import grpc
import reading
from claude.v1 import generate_pb2, models_pb2
from samples import Samples
from upstream import EVENTS, JSON, LATER_TURN, Answer

START = {"type": "message_start", "message": json.loads(LATER_TURN)}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
BLOCKS = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
    "tool_use": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
}
# The fields of responses with JSON as the API sent it. The input of a tool, also JSON, is
# not one of them: its type is the caller's own.
RAW = ["json", "extra_json", "diagnostics_json", "citations_json", "citation_json", "delta_json"]
BLOCK_OF_DELTA = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
}


class Receiver:
    def __init__(self, upstream, service):
        self.upstream = upstream
        self.service = service

    def arriving(self, types):
        """The names of the types that arrive, each with how it does.

        A name is tried with the first of the roots that has it: what whole answers and
        streams have in common must arrive in whole ones.
        """
        readers = {"Message": self.whole, "MessageTokensCount": self.count, "ModelInfo": self.model}
        samples = Samples(types)
        found, tried = {}, set()
        for kind, root in types.roots.items():
            before = frozenset(tried)
            for value in samples.objects(kind):
                read = readers.get(root, self.streamed)
                answer, at = (value, ()) if root in readers else stream_with(value)
                as_it_is = read(answer)
                assert as_it_is, f"an answer with {value} is refused"
                for name, path in types.uses(kind, value, at):
                    tried.add(name)
                    if name in found or name in before:
                        continue
                    how = difference(as_it_is, read(changed(answer, path)))
                    if how:
                        found[name] = how
        return found

    def whole(self, message):
        self.upstream.answers["arriving"] = Answer(JSON, json.dumps(message).encode())
        return self.response(lambda: [reading.service_whole(self.service, "arriving")])

    def count(self, count):
        self.upstream.answers["arriving"] = Answer(JSON, json.dumps(count).encode())
        request = generate_pb2.CountTokensRequest(request=reading.request("arriving", reading.WHOLE))
        return self.response(lambda: [self.service.CountTokens(request, timeout=reading.SECONDS)])

    def model(self, model):
        self.upstream.models = {"data": [model], "has_more": False}
        request = models_pb2.ListModelsRequest()
        return self.response(lambda: [self.service.ListModels(request, timeout=reading.SECONDS)])

    def streamed(self, events):
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self.upstream.answers["arriving"] = Answer(EVENTS, body.encode())
        request = generate_pb2.GenerateStreamRequest(request=reading.request("arriving", reading.WHOLE))
        return self.response(lambda: self.service.GenerateStream(request, timeout=reading.SECONDS))

    def response(self, call):
        """The messages of a response; none for an answer that the service cannot read."""
        try:
            return list(call())
        except grpc.RpcError:
            return None


def difference(as_it_is, other):
    """How a change arrived. An answer that cannot be read does not arrive."""
    if other in (None, as_it_is):
        return None
    without = [[without_json(copy.deepcopy(message)) for message in it] for it in (as_it_is, other)]
    return "raw" if without[0] == without[1] else "typed"


def without_json(message):
    for field, value in message.ListFields():
        if field.name in RAW:
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                without_json(inner)
    return message


def stream_with(event):
    """A stream that an event is a part of, and its place in it. Two blocks are open."""
    kind = event["type"]
    if kind == "message_start":
        event["message"]["content"] = []
    if "index" in event:
        event["index"] = 0
    block = BLOCKS[BLOCK_OF_DELTA.get(event.get("delta", {}).get("type"), "text")]
    starts = [{"type": "content_block_start", "index": index, "content_block": block} for index in (0, 1)]
    stops = [{"type": "content_block_stop", "index": index} for index in (0, 1)]
    events = [START, *starts, *stops, END, {"type": "message_stop"}]
    if kind == "content_block_delta":
        events.insert(3, event)
    else:
        place = [it["type"] for it in events].index(kind)
        events[place] = event
    return events, (events.index(event),)


def changed(answer, path):
    """The answer with another value at a place."""
    answer = copy.deepcopy(answer)
    *way, last = path
    place = answer
    for step in way:
        place = place[step]
    place[last] = other(place[last])
    return answer


def other(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return 1 if value == 0 else value + 1
    if isinstance(value, str):
        # A date remains one.
        return value.replace("2030-", "2031-") if value.startswith("2030-") else f"{value} changed"
    return type(value)()
