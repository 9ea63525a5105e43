"""Odd answers, each with what the service reads where that is not what the SDK reads.

These differences are all that are known. Each has its reason: the service keeps what the
SDK drops or refuses, and refuses one thing that the SDK accepts, an answer that was cut.
"""

import gzip
import json
import zlib
from typing import NamedTuple

from upstream import EVENTS, JSON, Answer


class Odd(NamedTuple):
    answer: Answer
    # Why the service reads it in another way.
    why: str = ""
    # What it reads instead.
    ours: dict = {}
    # Whether the SDK raises an error, so that only `ours` can be compared.
    sdk_refuses: bool = False
    # Whether the service does.
    service_refuses: bool = False


def whole(content='[{"type":"text","text":"Hello"}]', usage='{"input_tokens":7,"output_tokens":9}', **fields):
    """A whole answer. Fields are JSON; `None` leaves one out."""
    all_fields = {
        "id": '"msg_1"',
        "type": '"message"',
        "role": '"assistant"',
        "model": '"claude-x"',
        "content": content,
        "stop_reason": '"end_turn"',
        "stop_sequence": "null",
        "usage": usage,
    } | fields
    return Answer(JSON, braced(all_fields).encode())


def with_headers(number, size):
    headers = [(f"x-header-{n}", "v" * size) for n in range(number)]
    return Answer(JSON, whole().body, headers)


def braced(fields):
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items() if value is not None) + "}"


def event(kind, **fields):
    return f"event: {kind}\ndata: {braced({'type': json.dumps(kind)} | fields)}\n\n"


def start(block, index="0"):
    return event("content_block_start", index=index, content_block=block)


def delta(of_block, index="0"):
    return event("content_block_delta", index=index, delta=of_block)


def text_delta(text, index="0"):
    return delta(f'{{"type":"text_delta","text":"{text}"}}', index)


def input_delta(text, index="0"):
    return delta(f'{{"type":"input_json_delta","partial_json":{json.dumps(text)}}}', index)


def stop(index="0"):
    return event("content_block_stop", index=index)


TEXT = '{"type":"text","text":""}'
TOOL = '{"type":"tool_use","id":"toolu_1","name":"f","input":{}}'
THINKING = '{"type":"thinking","thinking":"","signature":""}'
HELLO = start(TEXT) + text_delta("Hello") + stop()
BEGIN = event(
    "message_start",
    message='{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],'
    '"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":1}}',
)
LAST = event("message_stop")


def end(reason='"end_turn"', usage='{"output_tokens":9}'):
    return event("message_delta", delta=f'{{"stop_reason":{reason},"stop_sequence":null}}', usage=usage)


def streamed(blocks=HELLO, begin=BEGIN, end=end(), last=LAST):
    return Answer(EVENTS, (begin + blocks + end + last).encode())


def text(text, citations=()):
    return ("text", text, list(citations), {})


WHOLE = {
    "usage is null": Odd(whole(usage="null")),
    "usage is missing": Odd(whole(usage=None)),
    "usage is a list": Odd(whole(usage="[]")),
    "counts in every shape": Odd(
        whole(
            usage='{"input_tokens":"7","output_tokens":9.5,"cache_creation_input_tokens":null,'
            '"cache_read_input_tokens":[],"cache_creation":null,"output_tokens_details":5,'
            '"service_tier":null,"server_tool_use":"x"}'
        )
    ),
    "counts within usage are null": Odd(
        whole(
            usage='{"input_tokens":7,"output_tokens":9,"cache_creation":'
            '{"ephemeral_5m_input_tokens":null},"output_tokens_details":{"thinking_tokens":null}}'
        )
    ),
    "counts are below 0 and beyond 64 bits": Odd(
        whole(usage='{"input_tokens":-1,"output_tokens":123456789012345678901234567890}')
    ),
    "content is null": Odd(
        whole(content="null"), "no content is an answer", {"content": []}, sdk_refuses=True
    ),
    "content is empty": Odd(whole(content="[]")),
    "blocks that are no objects": Odd(whole(content='[5,null,"x",[{"type":"text"}]]')),
    "a block without a type": Odd(whole(content='[{"text":"x"},{"type":null},{"type":7}]')),
    "a text that is null": Odd(whole(content='[{"type":"text","text":null}]')),
    "a text that is missing": Odd(whole(content='[{"type":"text"}]')),
    "citations in every shape": Odd(
        whole(
            content='[{"type":"text","text":"a","citations":null},{"type":"text","text":"b","citations":[]},'
            '{"type":"text","text":"c","citations":[{"type":"new_location","at":1.0}]}]'
        )
    ),
    "a thinking block without text": Odd(whole(content='[{"type":"thinking","signature":"c2ln"}]')),
    "a thinking block without signature": Odd(whole(content='[{"type":"thinking","thinking":"hm"}]')),
    "tools with inputs in every shape": Odd(
        whole(
            content="["
            + ",".join(
                f'{{"type":"tool_use","id":"t","name":"f","input":{it}}}'
                for it in ["null", "[1]", '"x"', "5", '{"a":1e400}', '{"a":12345678901234567890}']
            )
            + ',{"type":"tool_use"}]'
        )
    ),
    "fields of a tool that are new": Odd(
        whole(content='[{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"direct"},"n":1.0}]')
    ),
    "a deeply nested block": Odd(
        whole(content='[{"type":"new_thing","a":' + "[" * 300 + "]" * 300 + "}]")
    ),
    "a deeply nested input": Odd(
        whole(
            content='[{"type":"tool_use","id":"t","name":"f","input":{"a":'
            + "[" * 300
            + "]" * 300
            + "}}]"
        )
    ),
    "halves of characters": Odd(
        whole(content='[{"type":"text","text":"\\ud83d a \\ude00\\ud83d\\ude00"}]')
    ),
    "halves of characters in names": Odd(
        whole(content='[{"type":"text","text":"a","\\ud83d":1}]', **{"\\udfff": '"\\ud800"'})
    ),
    "stop reason is new": Odd(whole(stop_reason='"brand_new"')),
    "stop reason is missing": Odd(whole(stop_reason=None, stop_sequence=None)),
    "stop details of every shape": Odd(
        whole(stop_reason='"refusal"', stop_details='{"type":"refusal","category":5,"explanation":[]}')
    ),
    "everything but the content is missing": Odd(
        Answer(JSON, b'{"content":[{"type":"text","text":"Hello"}]}')
    ),
    "everything but the content is null": Odd(
        whole(
            usage="null",
            **dict.fromkeys(["id", "type", "role", "model", "stop_reason", "container"], "null"),
        )
    ),
    "a field that comes twice": Odd(
        Answer(JSON, whole().body[:-1] + b',"content":[{"type":"text","text":"last"}]}')
    ),
    "a byte order mark": Odd(Answer(JSON, b"\xef\xbb\xbf" + whole().body)),
    "white space around it": Odd(Answer(JSON, b"\r\n\t " + whole().body + b"\n\n")),
    "150 headers": Odd(with_headers(150, 20)),
    "64 KiB of headers": Odd(with_headers(16, 4000)),
    "compressed without being asked": Odd(
        Answer(JSON, gzip.compress(whole().body), [("content-encoding", "gzip")])
    ),
    "compressed in the other way": Odd(
        Answer(JSON, zlib.compress(whole().body), [("content-encoding", "deflate")])
    ),
    "bytes that are no text": Odd(
        Answer(JSON, whole().body.replace(b"Hello", b"H\xffllo")),
        "a byte that is no text costs one character",
        {"content": [text("H\ufffdllo")]},
        sdk_refuses=True,
    ),
    "an unknown content type": Odd(Answer("text/plain", whole().body)),
}

STREAMED = {
    "usage at the start is missing": Odd(
        streamed(begin=event("message_start", message='{"id":"msg_1","model":"claude-x","content":[]}')),
        "a count that is missing is 0",
        {"content": [text("Hello")], "stop_reason": "end_turn"},
        sdk_refuses=True,
    ),
    "usage at the end is null": Odd(
        streamed(end=end(usage="null")),
        "what is not known at the end is as at the start",
        {"content": [text("Hello")], "stop_reason": "end_turn"},
        sdk_refuses=True,
    ),
    "a count at the end is null": Odd(
        streamed(end=end(usage='{"output_tokens":null,"input_tokens":null}')),
        "what is not known at the end is as at the start",
        {"usage.output": 1},
    ),
    "counts at the end that the SDK does not expect there": Odd(
        streamed(
            end=end(
                usage='{"output_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":3},"service_tier":"priority"}'
            )
        ),
        "every count of the end is later than one of the start",
        {"usage.cache_5m": 3, "usage.service_tier": "priority"},
    ),
    "the message at the start is null": Odd(
        streamed(begin=event("message_start", message="null")),
        "only the content must come",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "content at the start is null": Odd(
        streamed(begin=BEGIN.replace('"content":[]', '"content":null')),
        "no content is the content at the start",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "stop reason at the start only": Odd(
        streamed(
            begin=BEGIN.replace('"stop_reason":null', '"stop_reason":"end_turn"'), end=end("null")
        ),
        "null says nothing new",
        {"stop_reason": "end_turn"},
    ),
    "stop reason in the first of two ends": Odd(
        streamed(end=end() + end("null")),
        "null says nothing new",
        {"stop_reason": "end_turn"},
    ),
    "an end without a delta": Odd(
        streamed(end=event("message_delta", usage='{"output_tokens":9}')),
        "only the content must come",
        {"content": [text("Hello")], "stop_reason": ""},
        sdk_refuses=True,
    ),
    "no end": Odd(streamed(end="")),
    "a lost content_block_stop": Odd(
        streamed(start(TOOL) + input_delta('{"a":1}') + start(TEXT, "1") + text_delta("Hello", "1"))
    ),
    "blocks that interleave": Odd(
        streamed(
            start(TEXT)
            + start(TOOL, "1")
            + text_delta("He")
            + input_delta('{"a"', "1")
            + text_delta("llo")
            + stop()
            + input_delta(":1}", "1")
            + stop("1")
        )
    ),
    "text after the end of its block": Odd(streamed(start(TEXT) + stop() + text_delta("Hello"))),
    "blocks that start with their content": Odd(
        streamed(
            start('{"type":"text","text":"He","citations":[{"type":"new_location"}]}')
            + text_delta("llo")
            + delta('{"type":"citations_delta","citation":{"type":"new_location","at":2.0}}')
            + stop()
            + start('{"type":"tool_use","id":"t","name":"f","input":{"a":1.0}}', "1")
            + stop("1")
            + start('{"type":"thinking","thinking":"h","signature":"c2ln"}', "2")
            + delta('{"type":"thinking_delta","thinking":"m"}', "2")
            + stop("2")
        )
    ),
    "a tool that starts with an input which deltas replace": Odd(
        streamed(start(TOOL.replace("{}", '{"a":1}')) + input_delta('{"b":2}') + stop())
    ),
    "thinking with a signature, and redacted thinking": Odd(
        streamed(
            start(THINKING)
            + delta('{"type":"thinking_delta","thinking":"hm"}')
            + delta('{"type":"signature_delta","signature":"c2ln"}')
            + stop()
            + start('{"type":"redacted_thinking","data":"b3BhcXVl"}', "1")
            + stop("1")
        )
    ),
    "thinking that was omitted": Odd(
        streamed(start(THINKING) + delta('{"type":"signature_delta","signature":"c2ln"}') + stop())
    ),
    "a thinking block without its fields": Odd(
        streamed(
            start('{"type":"thinking"}') + delta('{"type":"signature_delta","signature":"c2ln"}') + stop()
        )
    ),
    "a thinking block that thinks without having begun": Odd(
        streamed(
            start('{"type":"thinking","thinking":null}')
            + delta('{"type":"thinking_delta","thinking":"hm"}')
            + stop()
        ),
        "what is null is empty",
        {"content": [("thinking", "hm", "", {})]},
        sdk_refuses=True,
    ),
    "a signature in pieces": Odd(
        streamed(
            start(THINKING)
            + delta('{"type":"signature_delta","signature":"c2"}')
            + delta('{"type":"signature_delta","signature":"ln"}')
            + stop()
        ),
        "the SDK keeps only the last delta; a signature is not valid without its beginning",
        {"content": [("thinking", "", "c2ln", {})]},
    ),
    "a text block without text": Odd(
        streamed(start('{"type":"text"}') + text_delta("Hello") + stop()),
        "what is missing is empty",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "a text block whose text is null": Odd(
        streamed(start('{"type":"text","text":null}') + text_delta("Hello") + stop()),
        "what is null is empty",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "text for a tool": Odd(
        streamed(
            start(TOOL) + text_delta("IMPORT") + input_delta('{"a":1}') + text_delta("ANT") + stop(),
            end=end('"tool_use"'),
        ),
        "the SDK drops text that it has no place for",
        {"content": [("tool", "toolu_1", "f", {"a": 1}, {}, {}), text("IMPORTANT")]},
    ),
    "deltas for blocks of another kind": Odd(
        streamed(
            HELLO
            + delta('{"type":"thinking_delta","thinking":"x"}')
            + delta('{"type":"signature_delta","signature":"x"}')
            + input_delta("{}")
            + start(TOOL, "1")
            + delta('{"type":"citations_delta","citation":{"type":"new_location"}}', "1")
            + delta('{"type":"thinking_delta","thinking":"x"}', "1")
            + stop("1")
        )
    ),
    "an unknown delta for a known block": Odd(
        streamed(start(TEXT) + delta('{"type":"new_delta","x":1}') + text_delta("Hello") + stop())
    ),
    "an unknown delta for an unknown block": Odd(
        streamed(
            start('{"type":"new_thing","a":"1"}') + delta('{"type":"new_delta","a":"2","b":3}') + stop()
        ),
        "the SDK drops a delta that it does not know; its block would go back without it",
        {"content": [("other", {"type": "new_thing", "a": "12", "b": 3})]},
    ),
    "a delta without a type": Odd(streamed(start(TEXT) + delta('{"text":"x"}') + text_delta("Hello") + stop())),
    "a delta that is null": Odd(
        streamed(start(TEXT) + delta("null") + text_delta("Hello") + stop()),
        "a delta of nothing changes nothing",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "a text delta that is null": Odd(
        streamed(start(TEXT) + delta('{"type":"text_delta","text":null}') + text_delta("Hello") + stop()),
        "a delta of nothing changes nothing",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "an unknown event": Odd(streamed(event("new_event", index="0", a="1") + HELLO)),
    "an unknown event that is not JSON": Odd(
        streamed("event: new_event\ndata: not JSON\n\n" + HELLO),
        "an event that is not known is passed on as it came",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "pings of every shape": Odd(
        streamed(
            "event: ping\ndata: not JSON\n\nevent: ping\n\n: ping\n\n" + event("ping", a="1") + HELLO
        )
    ),
    "an event of another name": Odd(streamed(HELLO.replace("event: content_block_delta", "event: message"))),
    "events without names": Odd(
        streamed(
            *(part.replace("event: ", "x: ") for part in [HELLO, BEGIN, end(), LAST]),
        ),
        "the type in the data is enough",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "a byte order mark": Odd(
        streamed(begin="\ufeff" + BEGIN),
        "the standard of event streams allows it",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "halves of a character in two deltas": Odd(
        streamed(start(TEXT) + text_delta("\\ud83d") + event("ping") + text_delta("\\ude00") + stop())
    ),
    "half of a character in the block at its start": Odd(
        streamed(start(TEXT.replace('""', '"a\\ud83d"')) + text_delta("\\ude00b") + stop())
    ),
    "halves that do not belong together": Odd(
        streamed(start(TEXT) + text_delta("a\\ud83d") + text_delta("b\\ude00") + stop())
    ),
    "halves in the thinking and in a citation": Odd(
        streamed(
            start(THINKING)
            + delta('{"type":"thinking_delta","thinking":"\\ud83d"}')
            + delta('{"type":"thinking_delta","thinking":"\\ude00"}')
            + stop()
            + start(TEXT, "1")
            + delta('{"type":"citations_delta","citation":{"type":"char_location","cited_text":"\\ud83d"}}', "1")
            + stop("1")
        )
    ),
    "half of a character in a tool's input": Odd(
        streamed(start(TOOL) + input_delta('{"a":"\\ud83d"}') + stop()),
        "an input is passed on as it came, and half of a character is valid JSON",
        {"content": [("tool", "toolu_1", "f", {"a": "\ufffd"}, {}, {})]},
        sdk_refuses=True,
    ),
    "an input that max_tokens cut": Odd(
        streamed(
            start(TEXT) + text_delta("Let me look.") + stop() + start(TOOL, "1") + input_delta('{"path": "/a', "1"),
            end=end('"max_tokens"'),
        )
    ),
    "an input that is not JSON": Odd(
        streamed(start(TOOL) + input_delta('{"a": x}') + stop()),
        "an input is passed on as it came; the SDK raises an error that costs the answer",
        {"content": [("tool", "toolu_1", "f", '{"a": x}', {}, {})]},
        sdk_refuses=True,
    ),
    "an input without pieces": Odd(streamed(start(TOOL) + input_delta("") + stop())),
    "a server tool and its result": Odd(
        streamed(
            start('{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}')
            + input_delta('{"query":')
            + input_delta(' "x", "n":1.0}')
            + stop()
            + start(
                '{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://example.com","page_age":null,"n":-0.0}]}',
                "1",
            )
            + stop("1")
            + HELLO.replace('"index":0', '"index":2')
        )
    ),
    "blocks whose numbers do not begin at 0": Odd(
        streamed(HELLO.replace('"index":0', '"index":1')),
        "a number only says which events belong together",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "blocks whose numbers fall": Odd(
        streamed(
            start(TEXT, "1") + text_delta("a", "1") + stop("1") + start(TEXT) + text_delta("b") + stop()
        ),
        "a number only says which events belong together",
        {"content": [text("a"), text("b")]},
        sdk_refuses=True,
    ),
    "a number that is a text": Odd(streamed(HELLO.replace('"index":0', '"index":"0"'))),
    "events without numbers": Odd(
        streamed(HELLO.replace('"index":0,', "").replace(',"index":0', "")),
        "an event without a number belongs to the open block",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "a block that starts twice": Odd(
        streamed(start(TEXT) + text_delta("He") + start(TEXT) + text_delta("llo") + stop()),
        "the text belongs to the block that is open",
        {"content": [text("He"), text("llo")]},
    ),
    "a start that comes twice": Odd(streamed(BEGIN + HELLO + BEGIN)),
    "content in the start": Odd(
        streamed("", begin=BEGIN.replace('"content":[]', '"content":[{"type":"text","text":"Hello"}]'))
    ),
    "an end that comes twice": Odd(streamed(last=LAST + event("ping") + LAST)),
    "a stop of no block": Odd(
        streamed(HELLO + stop("7")),
        "the end of nothing ends nothing",
        {"content": [text("Hello")]},
        sdk_refuses=True,
    ),
    "a long event": Odd(streamed(start(TEXT) + text_delta("x" * 1_000_000) + stop())),
    "many events": Odd(streamed(start(TEXT) + text_delta("word ") * 2000 + stop())),
    "150 headers": Odd(
        Answer(EVENTS, streamed().body, [(f"x-header-{n}", "v" * 20) for n in range(150)])
    ),
    "compressed without being asked": Odd(
        Answer(EVENTS, gzip.compress(streamed().body), [("content-encoding", "gzip")], [9, 20, 99])
    ),
    "an answer that was cut": Odd(
        streamed(last=""),
        "an answer is complete or an error; the SDK returns what came",
        service_refuses=True,
    ),
    "a whole answer": Odd(
        whole(),
        "the content type says what a body is",
        {"content": [text("Hello")], "stop_reason": "end_turn"},
        sdk_refuses=True,
    ),
}
