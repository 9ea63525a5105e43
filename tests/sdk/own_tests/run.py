"""Runs the tests of the Python SDK itself, from its source, against the simulator.

SDK_SOURCE is the source, and SIMULATOR_URL a simulator with tests/sdk/fixtures.toml, which
checks only shapes: the tests are written for a mock server. It
fails when a test fails that exceptions.toml does not name, when one passes that it names,
and when too few pass.
"""

import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
from xml.etree import ElementTree

FOLDER = "tests/api_resources"
FILES = [
    "test_messages.py",
    "test_models.py",
    "test_files.py",
    "messages/test_batches.py",
    "beta/test_messages.py",
    "beta/test_models.py",
    "beta/test_files.py",
    "beta/messages/test_batches.py",
]

# The share of the tests that must pass, whatever is named as an exception.
MINIMUM = 0.95

# What pytest returns when it has run the tests.
RAN = (0, 1)


def run(report):
    """Runs the tests, and writes what became of each."""
    environment = os.environ | {"TEST_API_BASE_URL": os.environ["SIMULATOR_URL"]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-r", "N"]
    command += [f"--junitxml={report}", *(f"{FOLDER}/{name}" for name in FILES)]
    source = os.environ["SDK_SOURCE"]
    ran = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    if ran.returncode not in RAN:
        sys.exit(f"pytest failed with status {ran.returncode}:\n{ran.stdout}{ran.stderr}")


def outcomes(report):
    """(test without its parameters, whether it passed) for each that was not skipped."""
    prefix = FOLDER.replace("/", ".") + "."
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if "skipped" not in kinds:
            name = re.sub(r"\[.*", "", case.get("name"))
            test = f"{case.get('classname')}.{name}".removeprefix(prefix)
            yield test, not kinds & {"failure", "error"}


def exceptions():
    path = pathlib.Path(__file__).with_name("exceptions.toml")
    groups = tomllib.loads(path.read_text())["exceptions"]
    return {test for group in groups for test in group["tests"]}


def main():
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        run(report)
        ran = list(outcomes(report))

    by_file = collections.defaultdict(list)
    for test, passed in ran:
        by_file[test.rsplit(".", 2)[0]].append(passed)
    for name in FILES:
        passes = by_file.pop(name.removesuffix(".py").replace("/", "."), [])
        print(f"{name:32} {sum(passes):4} of {len(passes):4} pass")
        if not passes:
            sys.exit(f"{name}: no test was run")
    passed = sum(passed for _, passed in ran)
    share = passed / len(ran)
    print(f"{'all':32} {passed:4} of {len(ran):4} pass: {share:.1%}")

    named = exceptions()
    failed = {test for test, passed in ran if not passed}
    faults = sorted(failed - named)
    stale = sorted((named - failed) | {test for test, passed in ran if passed and test in named})
    for test in faults:
        print(f"fails, and is not named in exceptions.toml: {test}")
    for test in stale:
        print(f"passes, or does not exist, and is named in exceptions.toml: {test}")
    if share < MINIMUM:
        print(f"fewer than {MINIMUM:.0%} pass")
    sys.exit(bool(faults or stale or share < MINIMUM))


if __name__ == "__main__":
    main()
