"""The service reads an answer as the SDK does, whole and streamed.

Where it does not, `odd_answers.py` says why.
"""

import grpc
import pytest
import reading
from generated_answers import generated
from odd_answers import STREAMED, WHOLE

SEEDS = range(400)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_generated_answer(upstream, sdk, service, seed):
    answer = generated(seed)
    if answer.whole:
        upstream.answers["whole"] = answer.whole
        expected = reading.sdk_whole(sdk.messages, "whole")
        assert reading.of_service(reading.service_whole(service, "whole")) == expected
    upstream.answers["streamed"] = answer.streamed
    expected = reading.sdk_streamed(sdk.messages, "streamed")
    assert reading.of_service(reading.service_streamed(service, "streamed")) == expected
    assert reading.of_service(reading.service_gathered(service, "streamed")) == expected


@pytest.mark.parametrize("name", WHOLE)
def test_an_odd_whole_answer(upstream, sdk, service, name):
    upstream.answers["odd"] = WHOLE[name].answer
    check(WHOLE[name], lambda: reading.sdk_whole(sdk.messages, "odd"), [lambda: reading.service_whole(service, "odd")])


@pytest.mark.parametrize("name", STREAMED)
def test_an_odd_streamed_answer(upstream, sdk, service, name):
    upstream.answers["odd"] = STREAMED[name].answer
    ours = [lambda: reading.service_streamed(service, "odd"), lambda: reading.service_gathered(service, "odd")]
    check(STREAMED[name], lambda: reading.sdk_streamed(sdk.messages, "odd"), ours)


def check(odd, sdk, services):
    expected = {}
    if odd.sdk_refuses:
        with pytest.raises(Exception):
            sdk()
    else:
        expected = flat(sdk())
        for field, value in odd.ours.items():
            assert expected[field] != value, "no difference: it must not be listed as one"
    expected |= odd.ours
    assert bool(odd.why) == bool(odd.ours or odd.service_refuses)
    for service in services:
        if odd.service_refuses:
            with pytest.raises(grpc.RpcError):
                service()
            continue
        read = flat(reading.of_service(service()))
        assert {field: read[field] for field in expected} == expected


def flat(read):
    usage = {f"usage.{name}": count for name, count in read["usage"].items()}
    return {name: value for name, value in read.items() if name != "usage"} | usage
