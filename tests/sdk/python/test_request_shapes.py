"""The simulator checks requests against a table that is made of the SDK's types.

With `UPDATE_DOCS=1`, the test writes the table.
"""

import os
import re
from pathlib import Path

import anthropic
import pytest
import request_shapes

TABLE = Path(__file__).parents[3] / "src/simulator/check/shapes.txt"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"


def test_the_table_is_that_of_the_types():
    pinned = re.search(r"^anthropic==(.*)$", REQUIREMENTS.read_text(), re.MULTILINE)[1]
    if anthropic.__version__ != pinned:
        pytest.skip(f"the table is about {pinned}")
    expected = request_shapes.table()
    if os.environ.get("UPDATE_DOCS"):
        TABLE.write_text(expected)
    assert TABLE.read_text() == expected, "run it again with UPDATE_DOCS=1"
