#!/usr/bin/env python3
"""Runs the commands in a document and compares what they print.

    readme.py DOCUMENT ADDRESS

Commands stand after `$ ` in blocks marked `console`, their output below them.
The service listens on ADDRESS instead of localhost:50051. Ids that differ from
run to run are not compared.
"""

import difflib
import re
import subprocess
import sys

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IDS = re.compile(r"\b(msg|req)_sim_[0-9a-f]+")


def commands(block):
    """The commands of a block, each with the output that stands below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert not parts[0], f"a block begins with output: {parts[0]!r}"
    for part in parts[1:]:
        lines = part.splitlines()
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        yield "\n".join(lines[:count]), "\n".join(lines[count:])


def comparable(text):
    lines = [line.rstrip().expandtabs() for line in text.strip().splitlines()]
    return [IDS.sub(r"\1_sim_0", line) for line in lines]


def main():
    document, address = sys.argv[1:]
    with open(document, encoding="utf-8") as file:
        text = file.read()
    ran = failed = 0
    for block in BLOCK.findall(text):
        for command, told in commands(block):
            ran += 1
            print(f"$ {command}", flush=True)
            shell = command.replace("localhost:50051", address)
            done = subprocess.run(
                ["bash", "-c", shell],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
            told, printed = comparable(told), comparable(done.stdout)
            if told != printed:
                failed += 1
                diff = difflib.unified_diff(told, printed, document, "printed", lineterm="")
                print("\n".join(diff))
    print(f"{ran - failed} commands print what {document} says, {failed} do not")
    sys.exit(1 if failed or not ran else 0)


if __name__ == "__main__":
    main()
