"""The official classes of each host, unmodified, against the simulator in its dialect."""

import asyncio
import contextlib
import inspect
import itertools

import anthropic
import pytest
from clouds import AWS_KEYS, AWS_PLATFORM, BEDROCK, CLOUDS, FOUNDRY, GOOGLE_CLOUD, KEY, MANTLE, VERTEX, simulator

QUESTION = {"max_tokens": 300, "messages": [{"role": "user", "content": "Is it raining in Oldport?"}]}


@pytest.fixture(scope="module")
def addresses():
    with contextlib.ExitStack() as stack:
        yield {cloud.name: stack.enter_context(simulator(cloud.name)) for cloud in CLOUDS}


@pytest.fixture(params=CLOUDS, ids=lambda cloud: cloud.name)
def cloud(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def client(request, addresses, cloud):
    return Client(cloud, addresses[cloud.name], request.param == "sync")


class Client:
    """A client of either kind, whose calls wait for their result."""

    def __init__(self, cloud, address, sync):
        self.cloud = cloud
        self.make = lambda: cloud.client(address, sync)

    def call(self, use):
        """What a function of the client returns."""
        client = self.make()
        result = use(client)
        if not inspect.isawaitable(result):
            return result
        return asyncio.run(finish(result))

    def create(self, behaviour=None, **more):
        return self.call(lambda client: client.messages.create(**self.asked(behaviour, more)))

    def asked(self, behaviour, more):
        headers = {"x-simulator": behaviour} if behaviour else {}
        return {"model": self.cloud.model, "extra_headers": headers, **QUESTION, **more}

    def streamed(self, behaviour=None, **more):
        """The final message of a stream."""
        asked = self.asked(behaviour, more)

        def use(client):
            manager = client.messages.stream(**asked)
            if not hasattr(manager, "__aenter__"):
                with manager as stream:
                    return stream.get_final_message()

            async def read():
                async with manager as stream:
                    return await stream.get_final_message()

            return read()

        return self.call(use)


async def finish(result):
    return await result


def test_a_message(client):
    message = client.create()
    assert message.content[0].text.startswith("[simulated] ")
    assert message.usage.output_tokens > 0
    assert message.stop_reason == "end_turn"


def test_a_stream_has_the_message(client):
    whole, streamed = client.create(), client.streamed()
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert streamed.stop_reason == whole.stop_reason


def test_the_headers_are_those_of_the_host(client):
    response = client.call(lambda it: it.messages.with_raw_response.create(**client.asked(None, {})))
    cloud = client.cloud
    assert response.headers[cloud.request_id]
    assert ("request-id" in response.headers) == (not cloud.request_id.startswith("x-amzn"))
    assert ("anthropic-ratelimit-requests-limit" in response.headers) == cloud.sends_rate_limits


def test_tokens_are_counted(client):
    asked = {"model": client.cloud.model, "messages": QUESTION["messages"]}
    if client.cloud.counts_tokens:
        count = client.call(lambda it: it.messages.count_tokens(**asked))
        assert count.input_tokens == client.create().usage.input_tokens
    else:
        with pytest.raises((anthropic.AnthropicError, AttributeError)):
            client.call(lambda it: it.messages.count_tokens(**asked))


def test_an_error_in_the_middle_of_a_stream(client):
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.streamed("stream_error=5,429")
    assert raised.value.body["error"]["type"] == client.cloud.throttled


def test_a_rate_limit(client):
    with pytest.raises(anthropic.RateLimitError) as raised:
        client.create("rate_limited=2s")
    headers = raised.value.response.headers
    assert ("retry-after" in headers) == client.cloud.sends_retry_after
    assert ("anthropic-ratelimit-requests-limit" in headers) == client.cloud.sends_rate_limits


def test_an_unknown_model(client):
    with pytest.raises(client.cloud.unknown_model):
        client.create(model="claude-unknown")


def test_an_invalid_request(client):
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.create(messages=[])
    assert "messages: at least one message is required" in str(raised.value)


def test_beta_fields(client):
    asked = client.asked(None, {"betas": ["message-threads-2026-08-12"], "thread": {"type": "create"}})
    assert client.call(lambda it: it.beta.messages.create(**asked)).id


def test_betas_are_in_the_body_of_bedrock(addresses):
    client = BEDROCK.client(addresses[BEDROCK.name])
    asked = {"model": BEDROCK.model, **QUESTION, "thread": {"type": "create"}}
    assert client.beta.messages.create(**asked, betas=["message-threads-2026-08-12"]).id
    # Of the header, Bedrock reads nothing.
    asked["extra_body"] = {"anthropic_beta": []}
    with pytest.raises(anthropic.BadRequestError):
        client.beta.messages.create(**asked, betas=["message-threads-2026-08-12"])


def test_an_arn_is_a_model(addresses):
    client = BEDROCK.client(addresses[BEDROCK.name])
    account = "arn:aws:bedrock:eu-west-1:111122223333"
    for model in (
        f"{account}:inference-profile/{BEDROCK.model}",
        f"{account}:application-inference-profile/abc123",
    ):
        assert client.messages.create(model=model, **QUESTION).content


def test_batches(addresses):
    # Batches outlive the token with which they are made.
    tokens = map(str, itertools.count())
    fresh = {GOOGLE_CLOUD.name: {"token_provider": lambda: next(tokens)}}
    for cloud in (AWS_PLATFORM, MANTLE, GOOGLE_CLOUD):
        client = cloud.client(addresses[cloud.name], credentials=fresh.get(cloud.name))
        params = {"model": cloud.model, **QUESTION}
        batch = client.messages.batches.create(requests=[{"custom_id": "one", "params": params}])
        while batch.processing_status != "ended":
            batch = client.messages.batches.retrieve(batch.id)
        [result] = client.messages.batches.results(batch.id)
        assert result.result.type == "succeeded"


@pytest.mark.parametrize(
    ("behaviour", "exception", "status"),
    [
        ("500", "InternalServerException", 500),
        ("overloaded", "ServiceUnavailableException", 503),
        ("403", "AccessDeniedException", 403),
    ],
)
def test_exceptions_of_bedrock(addresses, behaviour, exception, status):
    client = BEDROCK.client(addresses[BEDROCK.name])
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.create(model=BEDROCK.model, **QUESTION, extra_headers={"x-simulator": behaviour})
    assert raised.value.status_code == status
    assert raised.value.response.headers["x-amzn-errortype"].split(":")[0] == exception
    assert set(raised.value.body) == {"message"}


def test_an_error_without_an_exception_of_bedrock(addresses):
    client = BEDROCK.client(addresses[BEDROCK.name])
    asked = {"model": BEDROCK.model, **QUESTION, "extra_headers": {"x-simulator": "stream_error=3,403"}}
    with pytest.raises(anthropic.APIStatusError) as raised, client.messages.stream(**asked) as stream:
        stream.get_final_message()
    assert raised.value.body["error"]["type"] == "AccessDeniedException"


def test_errors_of_google(addresses):
    client = VERTEX.client(addresses[VERTEX.name])
    for behaviour, status in (("429", "RESOURCE_EXHAUSTED"), ("403", "PERMISSION_DENIED"), ("503", "UNAVAILABLE")):
        with pytest.raises(anthropic.APIStatusError) as raised:
            client.messages.create(model=VERTEX.model, **QUESTION, extra_headers={"x-simulator": behaviour})
        assert raised.value.body["error"]["status"] == status


def test_errors_of_azure(addresses):
    client = FOUNDRY.client(addresses[FOUNDRY.name])
    with pytest.raises(anthropic.RateLimitError) as raised:
        client.messages.create(model=FOUNDRY.model, **QUESTION, extra_headers={"x-simulator": "429"})
    assert raised.value.body["error"]["code"] == "429"
    with pytest.raises(anthropic.NotFoundError) as raised:
        client.messages.create(model="other", **QUESTION)
    assert raised.value.body["error"]["code"] == "DeploymentNotFound"


# What each host answers to a key or token that has expired, and the arguments with it.
EXPIRED = [
    (AWS_PLATFORM, {"api_key": "old"}, 403),
    (AWS_PLATFORM, AWS_KEYS | {"aws_session_token": "old"}, 403),
    (MANTLE, {"api_key": "old"}, 403),
    (BEDROCK, {"api_key": "old"}, 403),
    (BEDROCK, AWS_KEYS | {"aws_session_token": "old"}, 403),
    (VERTEX, {"access_token": "old"}, 401),
    (GOOGLE_CLOUD, {"token_provider": lambda: "old"}, 401),
    (FOUNDRY, {"azure_ad_token_provider": lambda: "old"}, 401),
    (FOUNDRY, {"api_key": "old"}, 401),
]


@pytest.mark.parametrize(("cloud", "credentials", "status"), EXPIRED)
def test_an_expired_token(cloud, credentials, status, monkeypatch):
    for name in ("ANTHROPIC_FOUNDRY_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    flags = ["--token", "old=0s", "--token", f"{KEY}=1h", "--token", f"{AWS_KEYS['aws_access_key']}=1h"]
    with simulator(cloud.name, *flags) as address:
        assert cloud.client(address).messages.create(model=cloud.model, **QUESTION)
        client = cloud.client(address, credentials=credentials)
        with pytest.raises(anthropic.APIStatusError) as raised:
            client.messages.create(model=cloud.model, **QUESTION)
        assert raised.value.status_code == status
