"""Which names of the SDK are covered, and which of the others must be listed.

A name is covered `typed`, by fields of our messages, or `raw`, as JSON. What is not
covered is listed in `not_covered.toml` with the reason, once for all that it contains.
"""

import tomllib
import typing
from pathlib import Path

import anthropic.types
from anthropic.types.beta import message_create_params as beta_params
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from sdk_types import Types

REQUESTS = Types(
    {
        MessageCreateParamsNonStreaming: "messages.create",
        MessageCreateParamsStreaming: "messages.create",
        anthropic.types.MessageCountTokensParams: "messages.count_tokens",
        anthropic.types.ModelListParams: "models.list",
    }
)
BETA = Types(
    {
        beta_params.MessageCreateParamsNonStreaming: "beta.messages.create",
        beta_params.MessageCreateParamsStreaming: "beta.messages.create",
    }
)
EVENTS = typing.get_args(typing.get_args(anthropic.types.RawMessageStreamEvent)[0])
ANSWERS = Types(
    {
        kind: kind.__name__
        for kind in (
            anthropic.types.Message,
            *EVENTS,
            anthropic.types.MessageTokensCount,
            anthropic.types.ModelInfo,
        )
    }
)
LISTED = Path(__file__).parent / "not_covered.toml"


class Coverage(typing.NamedTuple):
    types: Types
    # How each name is covered.
    how: dict

    def asked(self):
        """The names that must be covered or listed: not those inside of what is not covered."""
        found = {}
        waiting = list(self.types.roots)
        seen = set(waiting)
        while waiting:
            kind = waiting.pop(0)
            for field, hint in self.types.fields[kind].items():
                name = f"{self.types.name(kind)}.{field}"
                found[name] = None
                if name not in self.how:
                    continue
                found |= {f"{name}={value}": None for value in self.types.values(hint)}
                choices = {f"{name}:{self.types.name(other)}": other for other in self.types.choices(hint)}
                found |= dict.fromkeys(choices)
                inner = [other for choice, other in choices.items() if choice in self.how]
                for other in inner if choices else self.types.objects(hint):
                    if other not in seen:
                        seen.add(other)
                        waiting.append(other)
        return list(found)

    def missing(self, names):
        return [name for name in names if name not in self.how]


def beyond_stable(names):
    """The names of the beta types that the stable ones do not have."""
    stable = set(REQUESTS.names())
    return [name for name in names if as_stable(name) not in stable]


def as_stable(name):
    return name.removeprefix("beta.").removeprefix("Beta").replace(":Beta", ":")


def listed():
    """The state and the reason of each listed name."""
    found = {}
    for state, entries in tomllib.loads(LISTED.read_text()).items():
        for entry in entries:
            for name in entry["names"]:
                assert name not in found, f"{name} is listed twice"
                found[name] = (state, entry["why"])
    return found
