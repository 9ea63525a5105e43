"""The SDK's types as a list of names: what can be said to the API, and what it answers.

A name is `Type.field`; `Type.field=value` where a field has a fixed set of values; and
`Type.field:Other` where a field may have objects of several types. Requests are
TypedDicts and answers are models; both are walked in the same way.
"""

import functools
import inspect
import types
import typing
from collections.abc import Iterable, Mapping

import typing_extensions
from pydantic import BaseModel

WRAPPERS = (typing_extensions.Required, typing_extensions.NotRequired, typing.Annotated)


class Types:
    """All object types that can be reached from the roots, which have names of their own."""

    def __init__(self, roots):
        self.roots = roots
        # Where content goes, the SDK takes the blocks of its answers as well: models
        # among TypedDicts. JSON is none of them.
        self.are_models = all(map(is_model, roots))
        self.fields = {}
        waiting = list(roots)
        while waiting:
            kind = waiting.pop(0)
            if kind not in self.fields:
                self.fields[kind] = fields_of(kind)
                waiting += [other for hint in self.fields[kind].values() for other in self.objects(hint)]
        others = [kind.__name__ for kind in self.fields if kind not in roots]
        assert len(set(others)) == len(others), "two types have the same name"

    def has(self, kind):
        return is_model(kind) == self.are_models

    def name(self, kind):
        return self.roots.get(kind, kind.__name__)

    def names(self):
        """Each name once, in the order in which the SDK has them."""
        found = {}
        for kind, fields in self.fields.items():
            for field, hint in fields.items():
                name = f"{self.name(kind)}.{field}"
                found[name] = None
                found |= {f"{name}={value}": None for value in self.values(hint)}
                found |= {f"{name}:{self.name(other)}": None for other in self.choices(hint)}
        return list(found)

    def uses(self, kind, value, path=()):
        """The names that an object uses, each with the place of its field in the object."""
        for field, inner in value.items():
            if field not in self.fields[kind]:
                assert is_open(kind), f"{kind.__name__} has no field {field}"
                continue
            hint = self.fields[kind][field]
            name = f"{self.name(kind)}.{field}"
            yield name, (*path, field)
            for item, at in self.items(hint, inner, (*path, field)):
                if as_text(item) in self.values(hint):
                    yield f"{name}={as_text(item)}", at
                other = self.of(hint, item)
                if other:
                    if other in self.choices(hint):
                        yield f"{name}:{self.name(other)}", at
                    yield from self.uses(other, item, at)

    def items(self, hint, value, path):
        """A value, or what is in it if it is a list or a map of the SDK's objects."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.items(hint, item, (*path, index))
        elif isinstance(value, dict) and not self.of(hint, value) and self.objects(hint):
            for key, item in value.items():
                yield from self.items(hint, item, (*path, key))
        else:
            yield value, path

    def of(self, hint, value):
        """Which of the types of a field an object is."""
        if not isinstance(value, dict):
            return None
        return next((kind for kind in self.objects(hint) if self.fits(kind, value)), None)

    def fits(self, kind, value):
        fields = fields_of(kind)
        if not is_open(kind) and not value.keys() <= fields.keys():
            return False
        if any(is_required(kind, field) and field not in value for field in fields):
            return False
        return all(
            item in fixed
            for field, hint in fields.items()
            if field in value and (fixed := fixed_values(hint))
            for item in as_list(value[field])
            if not isinstance(item, dict)
        )

    def values(self, hint):
        """The values of a field, as texts. None if there is only one, or if any text is one."""
        values = fixed_values(hint)
        return [as_text(value) for value in values] if len(values) > 1 else []

    def choices(self, hint):
        found = self.objects(hint)
        return found if len(found) > 1 else []

    def objects(self, hint):
        """The object types that a value of a field, or an item of it, may have."""
        kinds = [kind for kind in alternatives(hint) if is_object(kind)]
        return [kind for kind in dict.fromkeys(kinds) if self.has(kind)]


def owner(name):
    """The type that a name is a part of."""
    return field_of(name).rpartition(".")[0]


def field_of(name):
    """The field that a name is, or that it is a value or a choice of."""
    return name.partition("=")[0].partition(":")[0]


@functools.cache
def alternatives(hint):
    """What a value of the type, or an item of it, may be."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in WRAPPERS or is_list(hint):
        return alternatives(arguments[0])
    if is_union(hint):
        return [one for argument in arguments for one in alternatives(argument)]
    if origin is dict and is_object(arguments[1]):
        return [arguments[1]]
    return [hint]


@functools.cache
def fixed_values(hint):
    found = alternatives(hint)
    return [] if str in found else [value for one in found for value in literals(one)]


@functools.cache
def fields_of(kind):
    """The fields of a type by their names in JSON."""
    if is_model(kind):
        return {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    return typing_extensions.get_type_hints(kind, include_extras=True)


@functools.cache
def is_required(kind, field):
    if is_model(kind):
        return any((it.alias or name) == field and it.is_required() for name, it in kind.model_fields.items())
    return typing.get_origin(fields_of(kind)[field]) is typing_extensions.Required


def is_object(kind):
    return typing_extensions.is_typeddict(kind) or is_model(kind)


def is_model(kind):
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


def is_open(kind):
    """Whether the type accepts fields that it does not name."""
    return not is_model(kind) and getattr(kind, "__pydantic_config__", {}).get("extra") == "allow"


def is_union(hint):
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def is_list(hint):
    origin = typing.get_origin(hint)
    return inspect.isclass(origin) and issubclass(origin, Iterable) and not issubclass(origin, Mapping)


def literals(hint):
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def as_list(value):
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def as_text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)
