"""The service as grpcio sees it, at grpcio's defaults and with our service config.

    CLAUDE_GRPC=target/debug/claude-grpc PYTHONPATH=<generated code> python -m unittest

grpcio accepts 8 KiB of trailers and follows a retry policy, which the clients in the
tests of the crate do not. The service runs against an API that this file plays.
"""

import collections
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc
from claude.v1 import classify_pb2, claude_service_pb2_grpc, generate_pb2
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ["CLAUDE_GRPC"]
SERVICE_CONFIG = (ROOT / "deploy" / "service-config.json").read_text()
GENERATE = "/claude.v1.ClaudeService/Generate"
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}

sys.path.insert(0, str(ROOT / "examples" / "signing"))
import sign  # noqa: E402


class Api(http.server.ThreadingHTTPServer):
    """Answers with what was queued: (status, JSON, headers). Then with a message."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ApiHandler)
        self.queue = collections.deque()
        self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def error(self, status, message="m", kind="invalid_request_error", code="c", request_id="req_1"):
        error = {"type": kind, "message": message, "details": {"error_code": code}}
        body = {"type": "error", "error": error, "request_id": request_id}
        self.queue.append((status, body))


class ApiHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1
        status, body = self.server.queue.popleft() if self.server.queue else (200, MESSAGE)
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Service:
    """`claude-grpc serve` in front of the API, with one client."""

    def __init__(self, api):
        self.folder = tempfile.TemporaryDirectory()
        self.clients = os.path.join(self.folder.name, "clients.toml")
        self.key = self.manage("add", "tester").stdout.strip()
        rotated = self.manage("rotate", "tester", "--signing")
        self.signing_secret = rotated.stdout.strip()
        self.signing_key_id = re.search(r"created key (\S+);", rotated.stderr).group(1)
        environment = {
            "ANTHROPIC_API_KEY": "sk-ant-1",
            "CLAUDE_GRPC_SERVER__LISTEN": "127.0.0.1:0",
            "CLAUDE_GRPC_ADMIN__ENABLED": "false",
            "CLAUDE_GRPC_ACCESS__CLIENTS_FILE": self.clients,
            "CLAUDE_GRPC_UPSTREAM__BASE_URL": f"http://127.0.0.1:{api.server_address[1]}",
            # The client's retries are looked at, not the service's own.
            "CLAUDE_GRPC_UPSTREAM__RETRY__MAX_RETRIES": "0",
            # One model call is one request whose answer is not streamed.
            "CLAUDE_GRPC_SERVICE__GENERATE__MAX_TOKENS": "100",
        }
        self.process = subprocess.Popen(
            [BINARY, "serve"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | environment,
        )
        self.address = self.process.stdout.readline().split()[-1]

    def manage(self, *arguments):
        command = [BINARY, "clients", *arguments, "--file", self.clients]
        return subprocess.run(command, check=True, capture_output=True, text=True)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()


def prompt():
    message = generate_pb2.Message(role=generate_pb2.ROLE_USER, text="Hello?")
    return generate_pb2.GenerateRequest(messages=[message])


class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.api = Api()
        cls.service = Service(cls.api)
        cls.channel = grpc.insecure_channel(
            cls.service.address, options=[("grpc.service_config", SERVICE_CONFIG)]
        )
        cls.stub = claude_service_pb2_grpc.ClaudeServiceStub(cls.channel)
        cls.with_key = [("x-api-key", cls.service.key)]

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.service.stop()
        cls.api.shutdown()
        cls.api.server_close()

    def setUp(self):
        self.api.queue.clear()
        self.api.requests = 0

    def failure(self, call, request, metadata):
        with self.assertRaises(grpc.RpcError) as raised:
            call(request, metadata=metadata, timeout=20)
        return raised.exception


class Errors(TestCase):
    """What grpcio does not accept, it replaces by RESOURCE_EXHAUSTED, and near the limit
    only sometimes: hence several calls."""

    def assert_invalid(self, **error):
        for _ in range(10):
            self.api.error(400, **error)
            failure = self.failure(self.stub.Generate, prompt(), self.with_key)
            self.assertEqual(failure.code(), grpc.StatusCode.INVALID_ARGUMENT, failure.details())

    def test_an_explanation_in_any_script_arrives(self):
        for text in ["😀" * 4000, "漢字" * 4000, "ж" * 4000, "%" * 4000, "\n" * 4000, "a" * 60_000]:
            self.assert_invalid(message=text)

    def test_long_identifiers_arrive(self):
        for text in ["k" * 12_000, "漢" * 4000, "\x01" * 4000]:
            self.assert_invalid(kind=text)
            self.assert_invalid(code=text)
            self.assert_invalid(request_id=text)
        long = "😀" * 4000
        self.assert_invalid(message=long, kind=long, code=long, request_id=long)

    def test_many_violations_arrive(self):
        labels = [classify_pb2.Label(name="\u0001" * 300) for _ in range(2000)]
        request = classify_pb2.ClassifyRequest(task="😀" * 4000, labels=labels)
        for _ in range(10):
            failure = self.failure(self.stub.Classify, request, self.with_key)
            self.assertEqual(failure.code(), grpc.StatusCode.INVALID_ARGUMENT, failure.details())
            self.assertRegex(failure.details(), r"of them not listed$")

    def test_the_failure_of_a_stream_arrives(self):
        """grpcio reads a status without a body only from headers that end the stream."""
        request = generate_pb2.GenerateStreamRequest(request=prompt())
        for _ in range(10):
            self.api.error(400)
            with self.assertRaises(grpc.RpcError) as raised:
                list(self.stub.GenerateStream(request, metadata=self.with_key, timeout=20))
            failure = raised.exception
            self.assertEqual(failure.code(), grpc.StatusCode.INVALID_ARGUMENT, failure.details())

    def test_what_health_and_reflection_reject_arrives(self):
        """Their messages quote the caller. The largest that each accepts, and a larger one."""
        for letter in ["a", "漢", "%"]:
            name = letter * (3_900 // len(letter.encode()))
            request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
            for _ in range(10):
                with self.assertRaises(grpc.RpcError) as raised:
                    stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
                    list(stub.ServerReflectionInfo(iter([request]), metadata=self.with_key))
                failure = raised.exception
                self.assertEqual(failure.code(), grpc.StatusCode.NOT_FOUND, failure.details())
                stub = health_pb2_grpc.HealthStub(self.channel)
                short = name[: 240 // len(letter.encode())]
                check = health_pb2.HealthCheckRequest(service=short)
                failure = self.failure(stub.Check, check, None)
                self.assertEqual(failure.code(), grpc.StatusCode.NOT_FOUND, failure.details())
                details = dict(failure.trailing_metadata())["grpc-status-details-bin"]
                self.assertIn(b"SERVICE_UNKNOWN", details)
                check = health_pb2.HealthCheckRequest(service=name)
                failure = self.failure(stub.Check, check, None)
                too_large = grpc.StatusCode.RESOURCE_EXHAUSTED
                self.assertEqual(failure.code(), too_large, failure.details())
            request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=2 * name)
            stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)
            with self.assertRaises(grpc.RpcError) as raised:
                list(stub.ServerReflectionInfo(iter([request]), metadata=self.with_key))
            self.assertEqual(raised.exception.code(), too_large, raised.exception.details())

    def test_what_the_grpc_library_rejects_arrives(self):
        def call(method, message=b"", **options):
            raw = self.channel.unary_unary(method)
            with self.assertRaises(grpc.RpcError) as raised:
                raw(message, metadata=self.with_key, timeout=20, **options)
            return raised.exception.code()

        unimplemented = grpc.StatusCode.UNIMPLEMENTED
        for _ in range(10):
            for service in ["claude.v1.ClaudeService", "grpc.health.v1.Health", "no.Service"]:
                self.assertEqual(call(f"/{service}/{'M' * 4000}"), unimplemented)
            invalid = call(GENERATE, b"\xff" * 20_000)
            self.assertEqual(invalid, grpc.StatusCode.INTERNAL)


class Metadata(TestCase):
    """Too much metadata costs its own call, and the connection stays."""

    def test_too_much_metadata_costs_its_own_call(self):
        states = []
        self.stub.Generate(prompt(), metadata=self.with_key, timeout=20)
        self.channel.subscribe(states.append)
        for metadata in [[("x-large", "v" * 16_400)], [(f"x-{key}", "v") for key in range(2000)]]:
            failure = self.failure(self.stub.Generate, prompt(), self.with_key + metadata)
            self.assertEqual(failure.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            self.assertIn("larger than 16384 bytes", failure.details())
            details = dict(failure.trailing_metadata())["grpc-status-details-bin"]
            self.assertIn(b"METADATA_TOO_LARGE", details)
        # Beyond what the HTTP library reads.
        large = [(f"x-{key}", "v") for key in range(4000)]
        failure = self.failure(self.stub.Generate, prompt(), self.with_key + large)
        self.assertEqual(failure.code(), grpc.StatusCode.UNKNOWN)
        self.assertIn("431", failure.details())
        self.assertEqual(self.api.requests, 1)
        self.stub.Generate(prompt(), metadata=self.with_key, timeout=20)
        self.assertEqual(set(states), {grpc.ChannelConnectivity.READY})


class Health(TestCase):
    def test_it_lists_the_server_and_the_service(self):
        stub = health_pb2_grpc.HealthStub(self.channel)
        statuses = stub.List(health_pb2.HealthListRequest(), timeout=20).statuses
        serving = health_pb2.HealthCheckResponse.SERVING
        found = {name: check.status for name, check in statuses.items()}
        self.assertEqual(found, {"": serving, "claude.v1.ClaudeService": serving})


class Retries(TestCase):
    def signed(self, message):
        service = self.service
        value = sign.signature(service.signing_secret, service.signing_key_id, GENERATE, message)
        return [("x-signature", value)]

    def generate_signed(self):
        """A call of the bytes that were signed."""
        call = self.channel.unary_unary(
            GENERATE,
            request_serializer=lambda message: message,
            response_deserializer=generate_pb2.GenerateResponse.FromString,
        )
        message = prompt().SerializeToString()
        return call, message, self.signed(message)

    def test_a_call_with_a_key_is_repeated_by_the_policy(self):
        self.api.error(529, kind="overloaded_error")
        self.stub.Generate(prompt(), metadata=self.with_key, timeout=20)
        self.assertEqual(self.api.requests, 2)

    def test_the_failure_of_a_signed_call_arrives(self):
        for status in [500, 503, 529]:
            with self.subTest(status):
                self.api.requests = 0
                self.api.error(status, kind="api_error")
                failure = self.failure(*self.generate_signed())
                self.assertEqual(failure.code(), grpc.StatusCode.UNAVAILABLE, failure.details())
                self.assertEqual(self.api.requests, 1)
                metadata = dict(failure.trailing_metadata())
                self.assertEqual(metadata["grpc-retry-pushback-ms"], "-1")

    def test_a_call_that_is_signed_again_succeeds(self):
        self.api.error(529, kind="overloaded_error")
        self.failure(*self.generate_signed())
        call, message, metadata = self.generate_signed()
        call(message, metadata=metadata, timeout=20)


class Compression(TestCase):
    def test_what_grpcio_compresses_is_read(self):
        request = prompt()
        request.messages[0].text = "Hello? " * 1000
        for algorithm in [grpc.Compression.Deflate, grpc.Compression.Gzip]:
            with self.subTest(algorithm):
                self.stub.Generate(
                    request, metadata=self.with_key, timeout=20, compression=algorithm
                )


class Reflection(TestCase):
    """grpcio-reflection asks for v1alpha, as older tools do."""

    def test_v1alpha_describes_the_service(self):
        key = self.with_key[0]

        class WithKey(grpc.StreamStreamClientInterceptor):
            def intercept_stream_stream(self, continuation, details, requests):
                return continuation(details._replace(metadata=[key]), requests)

        database = ProtoReflectionDescriptorDatabase(
            grpc.intercept_channel(self.channel, WithKey())
        )
        self.assertIn("claude.v1.ClaudeService", database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("claude.v1.ClaudeService")
        self.assertIn("GenerateStream", [method.name for method in service.methods])


if __name__ == "__main__":
    unittest.main()
