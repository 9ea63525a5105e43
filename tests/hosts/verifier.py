#!/usr/bin/env python3
"""A reverse proxy that authenticates requests as a cloud does, with its own libraries.

    verifier.py --host bedrock_runtime --upstream http://127.0.0.1:8080

stands in front of `claude-grpc simulate --host bedrock_runtime`. It prints its address
on its first line. Signatures of AWS are verified with botocore, and JWTs with
google-auth. Bearer tokens must be those that its own token endpoints have issued
(issuer.py) and not have expired; keys must be --api-key. What is wrong is answered as the
cloud does. `GET /verifier/report` returns the counts as JSON.
"""

import argparse
import http.client
import http.server
import json
import os
import ssl
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from issuer import Answer, Issuer  # noqa: E402
from signatures import Refused, verify  # noqa: E402

SERVICES = {
    "claude_platform_aws": "aws-external-anthropic",
    "bedrock_mantle": "bedrock-mantle",
    "bedrock_runtime": "bedrock",
}
TOKENS = {"vertex": "google", "google_cloud": "google", "foundry": "azure", "claude": "claude"}
HOSTS = [*SERVICES, *TOKENS]

# Headers of a connection, which are not passed on (RFC 9110, section 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

EXPECTED = "Expected OAuth 2 access token, login cookie or other valid authentication credential."


class Verifier(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, arguments):
        super().__init__(("127.0.0.1", arguments.port), Handler)
        self.host, self.api_keys = arguments.host, set(arguments.api_key)
        self.upstream = urllib.parse.urlsplit(arguments.upstream)
        self.issuer = Issuer(arguments.token_lifetime or [3600])
        self.access_keys = {arguments.access_key: (arguments.secret_key, arguments.session_token)}
        self.lock = threading.Lock()
        self.accepted, self.rejected = 0, {}
        # How the calls that are accepted say so.
        self.schemes = {}
        scheme = "http"
        if arguments.cert_file:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(arguments.cert_file, arguments.key_file)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        self.url = f"{scheme}://{arguments.name}:{self.server_address[1]}"

    def count(self, reason=None):
        with self.lock:
            if reason is None:
                self.accepted += 1
            else:
                self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def report(self):
        with self.lock:
            counts = {"accepted": self.accepted, "rejected": dict(self.rejected)}
            schemes = dict(self.schemes)
        issued, asked = dict(self.issuer.issued), dict(self.issuer.asked)
        return {"hosts": {self.host: counts}, "schemes": schemes, "tokens_issued": issued, "asked": asked}

    def count_scheme(self, headers):
        """The headers of a call that have to do with its authentication, without the token."""
        scheme = headers.get("authorization", "").partition(" ")[0]
        keys = [name for name in ("x-api-key", "api-key", "anthropic-workspace-id") if headers.get(name)]
        scheme = " ".join([scheme, headers.get("anthropic-beta", ""), *keys]).strip()
        with self.lock:
            self.schemes[scheme] = self.schemes.get(scheme, 0) + 1

    def credentials_of(self, access_key):
        if access_key in self.access_keys:
            return self.access_keys[access_key]
        issued = self.issuer.access_keys.get(access_key)
        if issued is None:
            return None
        secret, session, expiry = issued
        if time.time() >= expiry:
            message = "The security token included in the request is expired"
            raise Refused("expired", "ExpiredTokenException", message)
        return secret, session

    def authenticate(self, handler, body):
        """Returns for a request that is authenticated; raises `Rejected`."""
        authorization = handler.headers.get("authorization", "")
        token = authorization.removeprefix("Bearer ") if authorization.startswith("Bearer ") else None
        if self.host in SERVICES:
            return self.of_aws(handler, body, authorization, token)
        key = handler.headers.get("x-api-key")
        if self.host in ("foundry", "claude") and token is None:
            key = key or handler.headers.get("api-key")
            if key not in self.api_keys:
                raise self.rejected_key("missing" if key is None else "key")
            return None
        if self.host == "claude" and token in self.api_keys:
            return None
        standing = self.issuer.standing(token, TOKENS[self.host]) if token else "missing"
        if standing != "accepted":
            raise self.rejected_token(standing)
        return None

    def of_aws(self, handler, body, authorization, token):
        key = token
        if self.host == "claude_platform_aws":
            key = handler.headers.get("x-api-key", token)
        if key is not None:
            if key not in self.api_keys:
                message = "Authentication failed: Please make sure your API Key is valid."
                raise aws(Refused("key", "AccessDeniedException", message))
            return
        if not authorization:
            raise aws(Refused("missing", "MissingAuthenticationTokenException", "Missing Authentication Token"))
        # Only the path and the query of the URL are signed.
        url = self.url + handler.path
        try:
            headers = handler.headers.items()
            verify(handler.command, url, headers, body, SERVICES[self.host], self.credentials_of)
        except Refused as refused:
            raise aws(refused) from None

    def rejected_key(self, reason):
        if self.host == "claude":
            return self.of_claude(reason)
        message = (
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
            "for an active subscription and use a correct regional API endpoint for your resource."
        )
        return Rejected(reason, 401, {"error": {"code": "401", "message": message}})

    def rejected_token(self, standing):
        if self.host == "claude":
            return self.of_claude(standing)
        if self.host == "foundry":
            message = (
                "Unauthorized. Access token is missing, invalid, audience is incorrect "
                "(https://cognitiveservices.azure.com), or have expired."
            )
            return Rejected(standing, 401, {"error": {"code": "401", "message": message}})
        what = "Request had invalid authentication credentials."
        if standing == "missing":
            what = "Request is missing required authentication credential."
        reasons = {
            "missing": "CREDENTIALS_MISSING",
            "expired": "ACCESS_TOKEN_EXPIRED",
            "unknown": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
        }
        detail = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reasons[standing],
            "domain": "googleapis.com",
        }
        error = {"code": 401, "message": f"{what} {EXPECTED}", "status": "UNAUTHENTICATED", "details": [detail]}
        return Rejected(
            standing,
            401,
            {"error": error},
            headers=[("www-authenticate", 'Bearer realm="https://accounts.google.com/"')],
        )

    def of_claude(self, reason):
        error = {"type": "authentication_error", "message": "invalid x-api-key"}
        return Rejected(reason, 401, {"type": "error", "error": error, "request_id": "req_verifier"})

    def handle_error(self, *_):
        """A client may hang up at any time."""


class Rejected(Answer):
    """The answer to a request that is not authenticated."""

    def __init__(self, reason, *answer, **more):
        super().__init__(*answer, **more)
        self.reason = reason


def aws(refused):
    kind = f"{refused.exception}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    status = 400 if refused.exception == "IncompleteSignatureException" else 403
    return Rejected(refused.reason, status, {"message": refused.message}, headers=[("x-amzn-errortype", kind)])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_request(self):
        body = self.body()
        try:
            if self.path == "/verifier/report":
                raise Answer(200, self.server.report())
            self.server.issuer.answer(self.command, self.path, self.headers, body, self.server.url)
            try:
                self.server.authenticate(self, body)
            except Rejected as rejected:
                self.server.count(rejected.reason)
                raise
            self.server.count()
            self.server.count_scheme(self.headers)
        except Answer as answer:
            self.send_response(answer.status)
            for header in answer.headers:
                self.send_header(*header)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.forward(body)

    do_GET = do_POST = do_PUT = do_DELETE = handle_request

    def body(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def forward(self, body):
        connection = http.client.HTTPConnection(self.server.upstream.netloc)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP | {"content-length"}:
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            self.pass_on(connection.getresponse())
        except (OSError, http.client.HTTPException):
            # As the other end did.
            self.close_connection = True
        finally:
            connection.close()

    def pass_on(self, response):
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        chunked = response.length is None
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := response.read1(65536):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--host", required=True, choices=HOSTS, help="the host whose authentication is checked")
    add("--upstream", required=True, help="URL of the simulator, which speaks the dialect of the host")
    add("--port", type=int, default=0, help="port to listen on; 0, the default, picks a free one")
    add("--name", default="127.0.0.1", help="the name by which clients call it")
    add(
        "--token-lifetime",
        type=int,
        action="append",
        help="life of issued tokens, in seconds (default: 3600); repeat for that of the first, the second and so on",
    )
    add("--files", help="folder to write files with credentials to")
    add("--api-key", action="append", default=[], help="a key that is accepted; repeat for more")
    add("--access-key", default="AKIDEXAMPLE", help="access key id of AWS that does not expire")
    add("--secret-key", default="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", help="its secret")
    add("--session-token", help="the session token that requests with it must have")
    add("--cert-file", help="serve TLS with this certificate (PEM)")
    add("--key-file", help="private key of the certificate (PEM)")
    arguments = parser.parse_args()
    verifier = Verifier(arguments)
    if arguments.files:
        os.makedirs(arguments.files, exist_ok=True)
        verifier.issuer.write_files(arguments.files, verifier.url)
    print(f"verifier listening on {verifier.url}", flush=True)
    verifier.serve_forever()


if __name__ == "__main__":
    main()
