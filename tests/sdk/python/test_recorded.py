"""The answers that the SDK's own tests recorded, read by both.

They come with the SDK's source, which `SDK_SOURCE` names; nothing of it is copied.
"""

import json
import os
from pathlib import Path

import pytest
import reading
from upstream import EVENTS, JSON, Answer

TESTS = Path(os.environ["SDK_SOURCE"]) / "tests"


def recorded():
    """Name and answer of each recording."""
    for path in sorted([*TESTS.rglob("streaming/fixtures/*.txt"), *TESTS.rglob("*.sse")]):
        yield str(path.relative_to(TESTS)), Answer(EVENTS, path.read_bytes() + b"\n\n")
    for path in sorted(TESTS.rglob("__inline_snapshot__/**/*.json")):
        for number, exchange in enumerate(json.loads(path.read_text())):
            response = exchange["response"]
            body = response["body"]
            if response["status_code"] != 200:
                continue
            name = f"{path.relative_to(TESTS)} {number}"
            if isinstance(body, str):
                yield name, Answer(EVENTS, body.encode())
            else:
                yield name, Answer(JSON, json.dumps(body).encode())


ANSWERS = dict(recorded())

# What the SDK refuses: the input of a tool that is not JSON. The service passes it on.
REFUSED = ["lib/streaming/fixtures/tool_use_invalid_json_response.txt"]
# Where the SDK's beta part takes the model from a block of the content. The service does
# not request fallbacks, and reports the model that the answer names.
RELABELED = ["lib/streaming/fixtures/fallback_response.txt"]


def test_there_are_recordings():
    assert len(ANSWERS) > 20


@pytest.mark.parametrize("name", ANSWERS)
def test_a_recorded_answer(upstream, sdk, service, name):
    answer = upstream.answers[name] = ANSWERS[name]
    # The newest block types are in the beta part of the SDK.
    messages = sdk.beta.messages
    if answer.content_type == JSON:
        expected = reading.sdk_whole(messages, name)
        assert reading.of_service(reading.service_whole(service, name)) == expected
        return
    ours = reading.of_service(reading.service_streamed(service, name))
    assert reading.of_service(reading.service_gathered(service, name)) == ours
    if name in REFUSED:
        with pytest.raises(ValueError):
            reading.sdk_streamed(messages, name)
        return
    expected = reading.sdk_streamed(messages, name)
    if name in RELABELED:
        assert ours["model"] != expected["model"]
        expected["model"] = ours["model"]
    assert ours == expected
