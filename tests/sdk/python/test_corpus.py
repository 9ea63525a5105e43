"""Every body that the service sends, against the SDK's own parameter types.

The bodies are those of `tests/corpus/`, which a test of the service holds
against what really goes upstream.

The SDK's types are TypedDicts: pydantic lets unknown fields of those pass, and
checks lists declared as `Iterable` only when they are read. So the types are
rebuilt here, with unknown fields forbidden and lists as lists.
"""

import copy
import json
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path

import anthropic.types
import pytest
import typing_extensions
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from pydantic import BaseModel, ConfigDict, InstanceOf, TypeAdapter, ValidationError, with_config

CORPUS = Path(__file__).parents[2] / "corpus"
BODIES = {path.stem: json.loads(path.read_text()) for path in sorted(CORPUS.glob("*.json"))}

FORBID = ConfigDict(extra="forbid", strict=True)
_rebuilt = {}


def strict(kind):
    """The same type, with every TypedDict in it closed."""
    if typing_extensions.is_typeddict(kind):
        if kind not in _rebuilt:
            hints = typing_extensions.get_type_hints(kind, include_extras=True)
            fields = {}
            for name, hint in hints.items():
                # `__required_keys__` is not told of annotations that are strings.
                # All of the SDK's types say so where a field is required.
                required = typing_extensions.get_origin(hint) is typing_extensions.Required
                wrapped = typing_extensions.Required if required else typing_extensions.NotRequired
                fields[name] = wrapped[strict(hint)]
            closed = typing_extensions.TypedDict(kind.__name__, fields)
            _rebuilt[kind] = with_config(FORBID)(closed)
        return _rebuilt[kind]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        # Where content goes, the SDK takes the blocks of its answers as well:
        # models that let everything pass. JSON is none of them.
        return InstanceOf[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing_extensions.Required, typing_extensions.NotRequired, typing.Annotated):
        return strict(arguments[0])
    if origin is typing.Literal or not arguments:
        return kind
    if origin in (Iterable, Sequence, list):
        return list[strict(arguments[0])]
    if origin is dict:
        return dict[tuple(strict(argument) for argument in arguments)]
    return typing.Union[tuple(strict(argument) for argument in arguments)]


CREATE = TypeAdapter(strict(MessageCreateParamsNonStreaming))
STREAM = TypeAdapter(strict(MessageCreateParamsStreaming))
COUNT = TypeAdapter(strict(anthropic.types.MessageCountTokensParams))


def check(name, body):
    if name.startswith("count-tokens"):
        COUNT.validate_python(body)
    elif body.get("stream"):
        STREAM.validate_python(body)
    else:
        CREATE.validate_python(body)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_what_the_sdk_sends(name):
    check(name, BODIES[name])


def test_there_are_bodies_of_every_rpc():
    kinds = {name.split("-")[0] for name in BODIES}
    assert kinds == {"generate", "summarize", "classify", "count"}


def objects(value, path=()):
    """Where there is an object in a body that is not the caller's own JSON."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            if key not in ("input", "input_schema", "schema", "input_examples"):
                yield from objects(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from objects(inner, (*path, index))


def at(body, path):
    for step in path:
        body = body[step]
    return body


@pytest.mark.parametrize("name", BODIES)
def test_an_unknown_field_is_refused_wherever_it_is(name):
    for path in objects(BODIES[name]):
        body = copy.deepcopy(BODIES[name])
        at(body, path)["temprature"] = 1
        with pytest.raises(ValidationError):
            check(name, body)


@pytest.mark.parametrize("name", BODIES)
def test_a_field_of_the_wrong_type_is_refused_wherever_it_is(name):
    for path in objects(BODIES[name]):
        for key, value in at(BODIES[name], path).items():
            body = copy.deepcopy(BODIES[name])
            # A number is no text, and this object is nothing that JSON has.
            at(body, path)[key] = 5 if isinstance(value, str) else object()
            with pytest.raises(ValidationError):
                check(name, body)
                pytest.fail(f"{path} {key} passed")


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": "10"},
        {"max_tokens": 1.5},
        {"max_tokens": None},
        {"temperature": 1.0},
        {"top_p": 0.5},
        {"top_k": 5},
        {"stream": "yes"},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{"role": "nobody", "content": "x"}]},
        {"service_tier": "premium"},
        {"thinking": {"type": "enabled"}},
        {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
    ],
)
def test_a_wrong_body_is_refused(change):
    right = BODIES["generate-minimal"]
    check("generate", right)
    with pytest.raises(ValidationError):
        check("generate", {**right, **change})
