"""The hosts of Claude, with the official classes that reach them."""

import contextlib
import dataclasses
import os
import subprocess

import anthropic

# Known to tests/hosts/verifier.py as well.
AWS_KEYS = {
    "aws_access_key": "AKIDEXAMPLE",
    "aws_secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
KEY = "test-key"


@dataclasses.dataclass
class Cloud:
    name: str
    sync_class: type
    async_class: type
    model: str
    # Follows the address in base_url.
    path: str = ""
    # The arguments that authenticate.
    credentials: dict = dataclasses.field(default_factory=dict)
    options: dict = dataclasses.field(default_factory=dict)
    counts_tokens: bool = True
    # What is raised for a model that the host does not have.
    unknown_model: type = anthropic.NotFoundError
    sends_rate_limits: bool = False
    sends_retry_after: bool = False
    request_id: str = "request-id"
    # The type of an error with status 429 in a stream.
    throttled: str = "rate_limit_error"

    def client(self, address, sync=True, credentials=None, **more):
        made = self.sync_class if sync else self.async_class
        credentials = self.credentials if credentials is None else credentials
        return made(base_url=address + self.path, **{"max_retries": 0, **self.options, **credentials, **more})


AWS_PLATFORM = Cloud(
    "claude_platform_aws",
    anthropic.AnthropicAWS,
    anthropic.AsyncAnthropicAWS,
    "claude-haiku-5-5",
    credentials=AWS_KEYS,
    options={"aws_region": "eu-west-1", "workspace_id": "wrkspc_1"},
    sends_rate_limits=True,
    sends_retry_after=True,
)
MANTLE = Cloud(
    "bedrock_mantle",
    anthropic.AnthropicBedrockMantle,
    anthropic.AsyncAnthropicBedrockMantle,
    "anthropic.claude-haiku-5-5",
    path="/anthropic",
    credentials=AWS_KEYS,
    options={"aws_region": "eu-west-1"},
    request_id="x-amzn-requestid",
)
BEDROCK = Cloud(
    "bedrock_runtime",
    anthropic.AnthropicBedrock,
    anthropic.AsyncAnthropicBedrock,
    "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
    credentials=AWS_KEYS,
    options={"aws_region": "eu-west-1"},
    counts_tokens=False,
    unknown_model=anthropic.BadRequestError,
    request_id="x-amzn-requestid",
    throttled="throttlingException",
)
VERTEX = Cloud(
    "vertex",
    anthropic.AnthropicVertex,
    anthropic.AsyncAnthropicVertex,
    "claude-haiku-4-5@20251001",
    path="/v1",
    credentials={"access_token": KEY},
    options={"project_id": "project", "region": "global"},
)
GOOGLE_CLOUD = Cloud(
    "google_cloud",
    anthropic.AnthropicGoogleCloud,
    anthropic.AsyncAnthropicGoogleCloud,
    "claude-haiku-5-5",
    path="/v1/projects/project/locations/global/workspaces/wrkspc_1/invoke",
    credentials={"token_provider": lambda: KEY},
    sends_rate_limits=True,
    sends_retry_after=True,
)
FOUNDRY = Cloud(
    "foundry",
    anthropic.AnthropicFoundry,
    anthropic.AsyncAnthropicFoundry,
    "claude-haiku-5-5",
    path="/anthropic/",
    credentials={"api_key": KEY},
    sends_retry_after=True,
)
CLOUDS = [AWS_PLATFORM, MANTLE, BEDROCK, VERTEX, GOOGLE_CLOUD, FOUNDRY]


@contextlib.contextmanager
def listening(*command, **environment):
    """The address that a process prints last on its first line."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def simulator(host, *flags):
    """The address of a simulator that speaks the dialect of a host."""
    binary = os.environ["SERVICE_BINARY"]
    return listening(binary, "simulate", "--listen", "127.0.0.1:0", "--host", host, *flags)
