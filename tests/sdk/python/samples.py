"""Values made of the SDK's types, which together use every field and every choice of them."""

import datetime
import itertools
import typing

import sdk_types


class Samples:
    def __init__(self, types):
        self.types = types
        self.numbers = itertools.count(100_001)

    def of(self, hint):
        """Values of a type. Those of an object are as many as its widest field needs."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in sdk_types.WRAPPERS:
            return self.of(arguments[0])
        if sdk_types.is_union(hint):
            return [value for argument in arguments for value in self.of(argument)]
        if sdk_types.is_list(hint):
            return [self.of(arguments[0])]
        if origin is typing.Literal:
            return list(arguments)
        if origin is dict:
            return [{"key": self.of(arguments[1])[0]}]
        if sdk_types.is_object(hint):
            return self.objects(hint) if self.types.has(hint) else []
        return self.plain(hint)

    def objects(self, kind):
        fields = {field: self.of(hint) for field, hint in sdk_types.fields_of(kind).items()}
        widest = max(map(len, fields.values()), default=1)
        return [self.object(kind, fields, number) for number in range(widest)]

    def object(self, kind, fields, number):
        """The object that has this value of each field; a field without another is as short as can be."""
        found = {}
        for field, values in fields.items():
            if number < len(values):
                found[field] = values[number]
            elif values and sdk_types.is_required(kind, field):
                found[field] = [] if isinstance(values[0], list) else values[0]
        return found

    def plain(self, hint):
        """One value that no other field has, if the type has that many."""
        number = next(self.numbers)
        if hint is str or hint is object:
            return [f"text {number}"]
        if hint in (int, float):
            return [number]
        if hint is bool:
            return [True]
        if hint is datetime.datetime:
            return [f"2030-01-01T00:00:00.{number}Z"]
        # None, and files, which only the SDK itself reads.
        return []
