"""The walk through types itself: with types of its own, and that it leaves out none of the SDK's."""

from typing import Iterable, Literal, Optional, Union

import pytest
import test_corpus
from api_coverage import ANSWERS, BETA, REQUESTS, Coverage
from pydantic import TypeAdapter
from samples import Samples
from sdk_types import Types
from typing_extensions import Required, TypedDict


class Circle(TypedDict, total=False):
    type: Required[Literal["circle"]]
    radius: Required[int]


class Square(TypedDict, total=False):
    type: Required[Literal["square"]]
    colour: Optional[Literal["red", "blue"]]


class Drawing(TypedDict, total=False):
    name: Required[str]
    shapes: Iterable[Union[Circle, Square]]


TYPES = Types({Drawing: "draw"})
DRAWING = {"name": "d", "shapes": [{"type": "square", "colour": "red"}]}


def test_names_are_fields_values_and_choices():
    assert TYPES.names() == [
        "draw.name",
        "draw.shapes",
        "draw.shapes:Circle",
        "draw.shapes:Square",
        "Circle.type",
        "Circle.radius",
        "Square.type",
        "Square.colour",
        "Square.colour=red",
        "Square.colour=blue",
    ]


def test_a_body_uses_what_it_has():
    assert [name for name, _ in TYPES.uses(Drawing, DRAWING)] == [
        "draw.name",
        "draw.shapes",
        "draw.shapes:Square",
        "Square.type",
        "Square.colour",
        "Square.colour=red",
    ]


def test_a_field_that_no_type_has_is_an_error():
    with pytest.raises(AssertionError, match="Drawing has no field size"):
        list(TYPES.uses(Drawing, {"name": "d", "size": 1}))


def test_what_is_in_something_that_is_not_covered_is_not_asked_for():
    coverage = Coverage(TYPES, {name: "typed" for name, _ in TYPES.uses(Drawing, DRAWING)})
    assert coverage.missing(coverage.asked()) == ["draw.shapes:Circle", "Square.colour=blue"]


@pytest.mark.parametrize("types", [REQUESTS, BETA, ANSWERS])
def test_samples_use_every_name(types):
    samples = Samples(types)
    values = [(kind, value) for kind in types.roots for value in samples.objects(kind)]
    used = {name for kind, value in values for name, _ in types.uses(kind, value)}
    assert [name for name in types.names() if name not in used] == []


@pytest.mark.parametrize("types", [REQUESTS, ANSWERS])
def test_samples_are_what_the_sdk_accepts(types):
    samples = Samples(types)
    for kind in types.roots:
        adapter = TypeAdapter(kind if types is ANSWERS else test_corpus.strict(kind))
        for value in samples.objects(kind):
            adapter.validate_python(value)
