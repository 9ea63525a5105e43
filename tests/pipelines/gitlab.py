"""The two calls of GitLab's API that examples/pipelines makes. Writes the labels that issues
are given to the file in the first argument."""

import http.server
import json
import sys
import urllib.parse

ISSUES = [
    {"iid": 3, "title": "A bug: it crashes", "description": "The bug is that it crashes."},
    {"iid": 4, "title": "The documentation lacks $(id)", "description": None},
    {"iid": 5, "title": "Thanks", "description": "Thank you all."},
]


class Api(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def is_allowed(self):
        if self.headers["private-token"] == "secret":
            return True
        self.reply(401, {"message": "401 Unauthorized"})
        return False

    def do_GET(self):
        path, _, query = self.path.partition("?")
        wanted = {"state": ["opened"], "labels": ["None"], "per_page": ["100"]}
        if not self.is_allowed():
            return
        if path == "/api/v4/projects/5/issues" and urllib.parse.parse_qs(query) == wanted:
            self.reply(200, ISSUES)
        else:
            self.reply(404, {"message": "404 Not Found"})

    def do_PUT(self):
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        if not self.is_allowed():
            return
        number = self.path.removeprefix("/api/v4/projects/5/issues/")
        with open(sys.argv[1], "a") as labels:
            print(number, *urllib.parse.parse_qs(form)["add_labels"], file=labels)
        self.reply(200, {})


server = http.server.HTTPServer(("127.0.0.1", 0), Api)
print(f"listening on 127.0.0.1:{server.server_address[1]}")
server.serve_forever()
