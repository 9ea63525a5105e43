"""Everything that the SDK can say and read is covered, or listed as not covered.

The last test holds `docs/api-coverage.md` against what the others know; with
`UPDATE_DOCS=1` it writes the page.
"""

import os
import re
from pathlib import Path

import anthropic
import api_coverage_page as page
import pytest
from arriving import Receiver
from api_coverage import ANSWERS, BETA, REQUESTS, Coverage, beyond_stable, listed
from sent_bodies import Sender

REQUIREMENTS = Path(__file__).parent / "requirements.txt"


@pytest.fixture(scope="module")
def coverages(upstream, service):
    """The tables of the page: title, coverage, and the names that must be covered or listed."""
    sender = Sender(upstream, service)
    requests = Coverage(REQUESTS, sender.sayable(REQUESTS))
    beta = Coverage(BETA, sender.sayable(BETA))
    answers = Coverage(ANSWERS, Receiver(upstream, service).arriving(ANSWERS))
    return [
        ("Requests", requests, requests.asked()),
        ("Beta requests", beta, beyond_stable(beta.asked())),
        ("Answers", answers, answers.asked()),
    ]


def test_a_name_is_covered_or_listed(coverages):
    missing = [name for _, coverage, names in coverages for name in coverage.missing(names)]
    assert [name for name in missing if name not in listed()] == []


def test_a_name_that_is_covered_is_not_listed(coverages):
    assert [name for name in listed() if any(name in coverage.how for _, coverage, _ in coverages)] == []


def test_a_listed_name_is_one_of_the_sdk():
    known = {name for types in (REQUESTS, BETA, ANSWERS) for name in types.names()}
    assert [name for name in listed() if name not in known] == []


def test_a_name_is_listed_once_with_all_that_it_contains(coverages):
    asked = {name for _, _, names in coverages for name in names}
    assert [name for name in listed() if name not in asked] == []


def test_the_page_says_so(coverages):
    pinned = re.search(r"^anthropic==(.*)$", REQUIREMENTS.read_text(), re.MULTILINE)[1]
    if anthropic.__version__ != pinned:
        pytest.skip(f"the page is about {pinned}")
    generated = page.generated(pinned, released(pinned), coverages, listed())
    expected = page.page_with(generated)
    if os.environ.get("UPDATE_DOCS"):
        page.PAGE.write_text(expected)
    assert page.PAGE.read_text() == expected, "run it again with UPDATE_DOCS=1"


def released(version):
    """The date of a version, by the changelog in its source."""
    changelog = (Path(os.environ["SDK_SOURCE"]) / "CHANGELOG.md").read_text()
    return re.search(rf"^## \[?{re.escape(version)}\b.*\((\d{{4}}-\d\d-\d\d)\)$", changelog, re.MULTILINE)[1]
