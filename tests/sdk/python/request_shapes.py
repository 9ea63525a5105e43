"""The shapes of requests, as the simulator reads them: a table made of the SDK's types.

A line without an indent is the name of a shape; the lines under it are its fields, each
with what its value may be. `!` marks a required field, `[]` a list and `{}` a map. `+`
marks what only the beta API has, and `* any` a shape that may have other fields.
"""

import os
import re
import typing

from anthropic.types import message_count_tokens_params as counting
from anthropic.types import message_create_params as creating
from anthropic.types.beta import message_count_tokens_params as beta_counting
from anthropic.types.beta import message_create_params as beta_creating
from sdk_types import (
    WRAPPERS,
    fields_of,
    fixed_values,
    is_list,
    is_model,
    is_object,
    is_open,
    is_required,
    is_union,
    literals,
)
from sdk_types import alternatives as every

# Each root with its counterpart of the stable API.
ROOTS = {
    "Create": (beta_creating.MessageCreateParamsBase, creating.MessageCreateParamsBase),
    "CountTokens": (beta_counting.MessageCountTokensParams, counting.MessageCountTokensParams),
}

# They go into headers.
HEADERS = {"betas", "user_profile_id", "workspace_id"}

PLAIN = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    object: "any",
    typing.Any: "any",
}

# What the SDK turns into texts.
LOCAL = {typing.IO[bytes], os.PathLike[str], os.PathLike}


def table():
    shapes, kinds = {}, {}
    waiting = [(name, beta, stable) for name, (beta, stable) in ROOTS.items()]
    while waiting:
        name, beta, stable = waiting.pop(0)
        if name in shapes:
            continue
        shapes[name] = []
        kinds[name] = beta
        stable_fields = fields_of(stable) if stable else {}
        lost = stable_fields.keys() - fields_of(beta).keys()
        assert not lost, f"the beta API lacks {name}.{lost}"
        for field, hint in fields_of(beta).items():
            if field in HEADERS:
                continue
            has_counterpart = field in stable_fields
            found = alternatives(hint)
            known = alternatives(stable_fields[field]) if has_counterpart else {}
            lost = known.keys() - found.keys()
            assert not lost, f"the beta API lacks {name}.{field}: {lost}"
            texts = []
            # Typing takes literals in another order for the same, and keeps the first one.
            for text, kind in sorted(found.items(), key=lambda it: it[0]):
                is_beta = stable is not None and has_counterpart and text not in known
                texts.append(("+" if is_beta else "") + text)
                if kind is not None:
                    waiting.append((short_name(kind), kind, known.get(text)))
            mark = "+" if stable is not None and not has_counterpart else ""
            required = "!" if is_required(beta, field) else ""
            shapes[name].append(f"  {mark}{field}{required} {' | '.join(texts)}")
        if name == "Create":
            shapes[name].append("  stream boolean")
        if is_open(beta):
            shapes[name].append("  * any")
    for name, field in sorted(set(fields_of_answers(kinds))):
        shapes[name].append(f"  {field}")
    return "\n".join(line for name in sorted(shapes) for line in [name, *sorted(shapes[name])]) + "\n"


def fields_of_answers(kinds):
    """Fields that blocks have in answers only: a block can be sent back as it came."""
    waiting = [(kind, kind) for kind in kinds.values()]
    seen = set()
    while waiting:
        kind, answer = waiting.pop()
        if (kind, answer) in seen:
            continue
        seen.add((kind, answer))
        fields = fields_of(kind)
        for field, hint in fields_of(answer).items():
            if field not in fields:
                yield short_name(kind), f"{field} {' | '.join(sorted(alternatives(hint))) or 'any'}"
                continue
            answers = [it for it in every(hint) if is_model(it)]
            asked = [it for it in every(fields[field]) if is_object(it) and not is_model(it)]
            waiting += [(one, other) for one in asked for other in answers if tags(one) & tags(other)]


def tags(kind):
    return set(fixed_values(fields_of(kind).get("type", str)))


def alternatives(hint):
    """What a value may be, as texts, each with its type if it is an object of the SDK's."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in WRAPPERS:
        return alternatives(arguments[0])
    if is_union(hint):
        return {text: kind for argument in arguments for text, kind in alternatives(argument).items()}
    if literals(hint):
        return {as_literal(value): None for value in literals(hint)}
    if is_model(hint) or hint in LOCAL:
        return {}
    if is_object(hint):
        return {short_name(hint): hint}
    if is_list(hint):
        return {f"[]{text}": kind for text, kind in alternatives(arguments[0]).items()}
    if origin is dict:
        return {"{}" + text: kind for text, kind in alternatives(arguments[1]).items()}
    if hint in PLAIN:
        return {PLAIN[hint]: None}
    raise TypeError(f"{hint} has no place in a request")


def as_literal(value):
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def short_name(kind):
    return re.fullmatch("(?:Beta)?(?:Request)?(.*?)(?:Params?)*", kind.__name__)[1]
