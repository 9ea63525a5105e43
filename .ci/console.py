#!/usr/bin/env python3
"""Runs the commands in documents and compares what they print.

    console.py [--update] ADDRESS DOCUMENT...

Commands follow `$ ` in blocks marked `console`, and their output follows them. The
service listens on ADDRESS instead of localhost:50051. Ids that differ from run to
run are not compared. With --update, documents are rewritten to show what was
printed.
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


def check(document, address, update):
    """Runs the commands of a document: how many there are, how many differ."""
    with open(document, encoding="utf-8") as file:
        text = file.read()
    ran = failed = 0
    for block in BLOCK.findall(text):
        for command, shown in commands(block):
            ran += 1
            print(f"$ {command}", flush=True)
            done = subprocess.run(
                ["bash", "-c", command.replace("localhost:50051", address)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60,
            )
            old, new = comparable(shown), comparable(done.stdout)
            if old == new:
                continue
            if update:
                text = text.replace(f"{command}\n{shown}", f"{command}\n{done.stdout.strip()}")
            else:
                failed += 1
                print("\n".join(difflib.unified_diff(old, new, document, "printed", lineterm="")))
    if update:
        with open(document, "w", encoding="utf-8") as file:
            file.write(text)
    return ran, failed


def main():
    update = "--update" in sys.argv
    address, *documents = [argument for argument in sys.argv[1:] if argument != "--update"]
    results = [(document, *check(document, address, update)) for document in documents]
    for document, ran, failed in results:
        if ran:
            print(f"{document}: {ran} commands, {failed} print something else")
    failed = sum(failed for _, _, failed in results)
    # README must have at least its one call.
    sys.exit(1 if failed or not results[0][1] else 0)


if __name__ == "__main__":
    main()
