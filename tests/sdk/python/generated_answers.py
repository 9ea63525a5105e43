"""Answers made at random from a seed, odd in every way that the SDK can read.

Each is the same answer twice: whole, and as a stream of events. What the SDK refuses
or reads in its own way is not made here; see `odd_answers.py` for that.
"""

import random
from typing import NamedTuple

from upstream import EVENTS, JSON, Answer

# Text as it stands between the quotes of a JSON string. A half of a character may come
# alone, and both halves may come in two deltas.
TEXT = [
    "plain words ",
    "é漢字",
    "😀",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\ude00",
    '\\"',
    "\\\\",
    "\\/",
    "\\n\\t\\b\\f\\r",
    "\\u0000",
    "\\u00E9",
    "\u2028",
    "\x7f",
    "data: {}",
    "</p>",
    " ",
]
INPUTS = [
    "{}",
    "{ }",
    '{"a":1}',
    '{"n":12345678901234567890123, "x":1.0,"e":1e2,"z":-0.0}',
    '{"big":1e400,"small":-1E+400}',
    '{"a":1,"a":2,"b":null}',
    '{"s":"\\ud83d\\ude00 \\"\\\\ é"}',
    '{\n  "deep" : [[[{"a":[]}]], true, false],\n\t"t":""\n}',
    '{"' + "k" * 30 + '":"' + "v" * 200 + '"}',
]
CITATIONS = [
    '{"type":"char_location","cited_text":"x","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1}',
    '{"type":"web_search_result_location","url":"https://example.com","title":"t","encrypted_index":"e","cited_text":"\\ud83d"}',
    '{"type":"new_location", "at" : [1.50, 1]}',
]
SERVER_BLOCKS = [
    '{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://example.com","title":"t","encrypted_content":"e","page_age":null}]}',
    '{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":{"type":"web_search_tool_result_error","error_code":"max_uses_exceeded"}}',
    '{"type":"code_execution_tool_result","tool_use_id":"srvtoolu_1","content":{"type":"code_execution_result","stdout":"x","stderr":"","return_code":0,"content":[]}}',
    '{"type":"container_upload","file_id":"file_1"}',
    '{"type":"new_thing","payload":{"a":[1,2.5,null]},"n":12345678901234567890123}',
    '{"type":"another_thing"}',
]
# Where a tool use comes from, as the API writes it and otherwise.
ORIGINS = [
    "",
    ',"caller":{"type":"direct"}',
    ',"caller": {"tool_id": "srvtoolu_1", "type": "code_execution_20260120"},"toolset_name":"browser"',
    ',"toolset_name":null,"caller":null',
    ',"caller":{"type":"direct","n":1.50},"toolset_name":""',
    ',"caller":"direct","toolset_name":[]',
]
# Values for a count, for the tier, for anything that the service does not read.
COUNTS = ["0", "7", "7.0", "2.5", "1e3", "99999999999", "18446744073709551616", "null"]
TIERS = ['"standard"', '"priority"', '"new_tier"', "null"]
ODD = ["null", "[]", "{}", "5", '"x"', "1.5", "true", '{"a":[{"type":"text"}]}', '"\\ud800"']
STOP_REASONS = [
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "brand_new_reason",
]
STOP_DETAILS = [
    "null",
    '{"type":"refusal","category":"cyber","explanation":"e"}',
    '{"type":"refusal","category":null,"explanation":null}',
    '{"type":"refusal","category":"new_category"}',
    '{"type":"new_details","a":1}',
]
NOISE = [
    "",
    "event: ping{nl}data: {{\"type\": \"ping\"}}{nl}{nl}",
    "event: ping{nl}data: {{}}{nl}{nl}",
    ": a comment{nl}{nl}",
    "id: 7{nl}retry: 10{nl}{nl}",
    "{nl}{nl}",
    "event: new_event{nl}data: {{\"type\":\"new_event\",\"index\":0}}{nl}{nl}",
    "event: content_block_delta{nl}data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"new_delta\"}}}}{nl}{nl}",
]


class Block(NamedTuple):
    # The JSON of the block.
    whole: str
    # The same as the block at its start and its deltas.
    start: str
    deltas: list


class Generated(NamedTuple):
    blocks: list
    streamed: Answer
    # `None` if an input was cut: then it is no JSON.
    whole: Answer | None


def generated(seed):
    return Generator(random.Random(seed)).answer()


class Generator:
    def __init__(self, random):
        self.random = random
        self.newline = random.choice(["\n", "\n", "\r\n", "\r"])

    def answer(self):
        blocks = [self.block() for _ in range(self.random.randint(0, 5))]
        is_cut = self.random.random() < 0.2
        if is_cut:
            # `max_tokens` in the middle of a tool's input.
            blocks.append(self.tool(is_cut=True))
        stop = self.stop("max_tokens" if is_cut else self.random.choice(STOP_REASONS))
        usage, first_usage, last_usage = self.usage()
        return Generated(
            blocks,
            self.streamed_answer(blocks, stop, first_usage, last_usage),
            None if is_cut else self.whole_answer(blocks, stop, usage),
        )

    # === the parts

    def block(self):
        kinds = [self.text, self.text, self.thinking, self.redacted, self.tool, self.server_tool]
        return self.random.choice([*kinds, self.server_block])()

    def text(self):
        pieces = self.texts()
        begins_with = pieces.pop(0) if pieces and self.random.random() < 0.2 else ""
        citations = self.random.sample(CITATIONS, self.random.choice([0, 0, 1, 2]))
        deltas = [f'{{"type":"text_delta","text":"{piece}"}}' for piece in pieces]
        deltas += [f'{{"type":"citations_delta","citation":{it}}}' for it in citations]
        none = self.random.choice(["", ',"citations":null', ',"citations":[]'])
        more = self.more()
        some = f',"citations":[{",".join(citations)}]' if citations else none
        whole = begins_with + "".join(pieces)
        return Block(
            f'{{"type":"text","text":"{whole}"{some}{more}}}',
            f'{{"type":"text","text":"{begins_with}"{none}{more}}}',
            deltas,
        )

    def thinking(self):
        pieces = self.texts()
        signature = self.random.choice(["", "c2ln", "EqQBCgIYAhIM" * 5])
        deltas = [f'{{"type":"thinking_delta","thinking":"{piece}"}}' for piece in pieces]
        if signature:
            deltas.append(f'{{"type":"signature_delta","signature":"{signature}"}}')
        return Block(
            f'{{"signature":"{signature}","thinking":"{"".join(pieces)}","type":"thinking"}}',
            '{"type":"thinking","thinking":"","signature":""}',
            deltas,
        )

    def redacted(self):
        block = f'{{"type":"redacted_thinking"{self.more()},"data":"b3BhcXVl"}}'
        return Block(block, block, [])

    def tool(self, is_cut=False):
        origin = self.random.choice(ORIGINS)
        return self.with_input('"type":"tool_use","id":"toolu_1","name":"f"' + origin, is_cut)

    def server_tool(self):
        return self.with_input('"type":"server_tool_use","id":"srvtoolu_1","name":"web_search"', False)

    def with_input(self, fields, is_cut):
        tool_input = self.random.choice(INPUTS)
        if is_cut:
            tool_input = tool_input[: self.random.randint(1, len(tool_input) - 1)]
            # Half of an escape is one more oddity than the SDK reads.
            tool_input = tool_input.split("\\")[0]
        pieces = self.cut(tool_input)
        if tool_input == "{}":
            pieces = self.random.choice([[], [""], ["", "{}"], ["{", "}"]])
        deltas = [
            f'{{"type":"input_json_delta","partial_json":{quoted(piece)}}}' for piece in pieces
        ]
        more = self.more()
        return Block(
            f'{{{fields},"input":{tool_input}{more}}}', f'{{{fields},"input":{{}}{more}}}', deltas
        )

    def server_block(self):
        block = self.random.choice(SERVER_BLOCKS)
        return Block(block, block, [])

    def texts(self):
        pieces = [
            "".join(self.random.choices(TEXT, k=self.random.randint(0, 4)))
            for _ in range(self.random.randint(0, 4))
        ]
        return pieces

    def cut(self, text):
        cuts = sorted(self.random.randint(0, len(text)) for _ in range(self.random.randint(0, 3)))
        return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)])]

    def more(self):
        """A field that is not known."""
        if self.random.random() < 0.7:
            return ""
        return f',"new_field":{self.random.choice(ODD)}'

    def stop(self, reason):
        sequence = '"\\n\\nHuman:"' if reason == "stop_sequence" else "null"
        details = self.random.choice(STOP_DETAILS) if reason == "refusal" else "null"
        fields = [f'"stop_reason":"{reason}"', f'"stop_sequence":{sequence}']
        if details != "null" or self.random.random() < 0.5:
            fields.append(f'"stop_details":{details}')
        return self.shuffled(fields)

    def usage(self):
        """The usage of the whole answer, of its start and of its end."""
        count = lambda: self.random.choice(COUNTS)  # noqa: E731
        given, written, first, last = count(), count(), count(), count()
        if last == "null":
            last = "3"
        optional = {
            "cache_creation_input_tokens": count(),
            "cache_read_input_tokens": count(),
            "cache_creation": f'{{"ephemeral_5m_input_tokens":{count()},"ephemeral_1h_input_tokens":{count()}}}',
            "service_tier": self.random.choice(TIERS),
            "server_tool_use": self.random.choice(['{"web_search_requests":1}', *ODD]),
            "inference_geo": self.random.choice(ODD),
            "new_count": self.random.choice(ODD),
        }
        names = self.random.sample(list(optional), self.random.randint(0, len(optional)))
        start = [f'"input_tokens":{given}', f'"output_tokens":{first}']
        start += [f'"{name}":{optional[name]}' for name in names]
        details = self.random.choice(["null", f'{{"thinking_tokens":{count()}}}'])
        thinking = f'"output_tokens_details":{details}'
        whole = [*start, f'"output_tokens":{last}', thinking]
        end = [f'"output_tokens":{last}', thinking]
        if self.random.random() < 0.5:
            end.append(f'"input_tokens":{written}')
        return self.braced(whole), self.braced(start), self.braced(end)

    # === the bodies

    def whole_answer(self, blocks, stop, usage):
        fields = [
            '"id":"msg_1"',
            '"type":"message"',
            '"role":"assistant"',
            '"model":"claude-x"',
            f'"content":[{",".join(block.whole for block in blocks)}]',
            f'"usage":{usage}',
            stop,
        ]
        if self.random.random() < 0.3:
            fields.append(f'"new_field":{self.random.choice(ODD)}')
        body = "{" + self.shuffled(fields) + "}"
        if self.random.random() < 0.2:
            body = self.random.choice([" \r\n\t", "\ufeff"]) + body
        if self.random.random() < 0.2:
            body += self.random.choice(["\n", " \r\n"])
        kind = self.random.choice([JSON, JSON, "application/json; charset=utf-8"])
        return self.sent(kind, body)

    def streamed_answer(self, blocks, stop, first_usage, last_usage):
        message = self.shuffled(
            [
                '"id":"msg_1","type":"message","role":"assistant","model":"claude-x"',
                '"content":[],"stop_reason":null,"stop_sequence":null',
                f'"usage":{first_usage}',
            ]
        )
        body = self.event("message_start", f'"message":{{{message}}}')
        body += "".join(self.blocks(blocks))
        if self.random.random() < 0.1:
            # An end of which a later one changes the counts.
            body += self.event("message_delta", f'"delta":{{{stop}}},"usage":{{"output_tokens":1}}')
        body += self.event("message_delta", f'"delta":{{{stop}}},"usage":{last_usage}')
        body += self.event("message_stop", "")
        return self.sent(EVENTS, body)

    def blocks(self, blocks):
        """The events of all blocks. They begin in their order; then they may interleave."""
        overlap = self.random.random() < 0.3
        waiting = list(enumerate(blocks))
        running = []
        while waiting or running:
            if waiting and (not running or (overlap and self.random.random() < 0.5)):
                index, block = waiting.pop(0)
                yield self.event(
                    "content_block_start", f'"index":{index},"content_block":{block.start}'
                )
                running.append((index, list(block.deltas)))
                continue
            index, deltas = one = self.random.choice(running)
            if deltas:
                yield self.event(
                    "content_block_delta", f'"index":{index},"delta":{deltas.pop(0)}'
                )
            else:
                running.remove(one)
                if self.random.random() < 0.9:
                    yield self.event("content_block_stop", f'"index":{index}')
            if self.random.random() < 0.2:
                yield self.random.choice(NOISE).format(nl=self.newline)

    def event(self, name, fields):
        type_field = f'"type":"{name}"'
        parts = [type_field, fields] if fields else [type_field]
        if self.random.random() < 0.1:
            parts.append(f'"new_field":{self.random.choice(ODD)}')
        data = "{" + self.shuffled(parts) + "}"
        if self.random.random() < 0.05:
            # One event as several lines.
            data = data.replace(',"', f',{self.newline}data: "', 1)
        space = self.random.choice([" ", " ", ""])
        lines = [f"event:{space}{name}", f"data:{space}{data}"]
        if self.random.random() < 0.1:
            lines.reverse()
        return self.newline.join(lines) + self.newline * 2

    def sent(self, content_type, body):
        body = body.encode()
        cuts = [self.random.randint(0, len(body)) for _ in range(self.random.choice([0, 0, 1, 5, 30]))]
        headers = [(f"x-header-{n}", "v" * 100) for n in range(self.random.choice([0, 0, 0, 85]))]
        return Answer(content_type, body, headers, cuts)

    def braced(self, fields):
        return "{" + ",".join(fields) + "}"

    def shuffled(self, fields):
        fields = list(fields)
        if self.random.random() < 0.3:
            self.random.shuffle(fields)
        return ",".join(fields)


def quoted(piece):
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(char, char) for char in piece) + '"'
