"""An API that answers with bytes of the test's own.

The text of a conversation's first message is the name of the answer. A later turn
of it is only recorded. The catalogue of models is one page.
"""

import dataclasses
import http.server
import json
import threading
import urllib.parse

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"

# Also a count of tokens.
LATER_TURN = json.dumps(
    {
        "input_tokens": 1,
        "id": "msg_2",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
)


@dataclasses.dataclass
class Answer:
    content_type: str
    body: bytes
    headers: list = dataclasses.field(default_factory=list)
    # Where the body is cut into pieces that are sent one by one.
    cuts: list = dataclasses.field(default_factory=list)


class Upstream(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers = {}
        # The last body of a later turn, by the name of the answer.
        self.later_turns = {}
        self.last_body = None
        # The page of models, and the parameters with which it was last requested.
        self.models = {"data": [], "has_more": False}
        self.last_query = None
        # The headers of the last request.
        self.last_headers = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        """A client that has read enough closes its connection."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.server.last_headers = self.headers
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.server.last_query = {
            name.removesuffix("[]"): values if name.endswith("[]") else values[-1] for name, values in query.items()
        }
        self.answer(Answer(JSON, json.dumps(self.server.models).encode()))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.last_headers = self.headers
        self.server.last_body = json.loads(body)
        messages = json.loads(body)["messages"]
        name = messages[0]["content"]
        if len(messages) > 1:
            self.server.later_turns[name] = body
            answer = Answer(JSON, LATER_TURN.encode())
        else:
            answer = self.server.answers[name]
        self.answer(answer)

    def answer(self, answer):
        self.send_response(200)
        self.send_header("content-type", answer.content_type)
        self.send_header("request-id", "req_1")
        for header in answer.headers:
            self.send_header(*header)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        ends = [*sorted(answer.cuts), len(answer.body)]
        for start, end in zip([0, *ends], ends):
            if piece := answer.body[start:end]:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass
