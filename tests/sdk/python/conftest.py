"""An API that answers as a test tells it, and the service in front of it."""

import os
import subprocess

import anthropic
import grpc
import pytest
from claude.v1 import claude_service_pb2_grpc
from upstream import Upstream

# What callers may pass through to the API: everything.
PASSED = ["FIELDS", "TOOLS", "BLOCKS", "BETAS", "WORKSPACES", "USER_PROFILES"]


@pytest.fixture(scope="session")
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def sdk(upstream):
    with anthropic.Anthropic(base_url=upstream.url, api_key="test", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def service(upstream):
    """The stub of a service without retries, whose clients need no key."""
    environment = {
        "ANTHROPIC_API_KEY": "sk-ant-1",
        "CLAUDE_GRPC_SERVER__LISTEN": "127.0.0.1:0",
        "CLAUDE_GRPC_ADMIN__ENABLED": "false",
        "CLAUDE_GRPC_UPSTREAM__BASE_URL": upstream.url,
        "CLAUDE_GRPC_UPSTREAM__RETRY__MAX_RETRIES": "0",
    } | {f"CLAUDE_GRPC_SERVICE__PASSTHROUGH__{name}": "*" for name in PASSED}
    process = subprocess.Popen(
        [os.environ["SERVICE_BINARY"], "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment,
    )
    try:
        address = process.stdout.readline().split()[-1]
        with grpc.insecure_channel(address) as channel:
            yield claude_service_pb2_grpc.ClaudeServiceStub(channel)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
