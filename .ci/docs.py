#!/usr/bin/env python3
"""Checks documents: that relative links resolve, that each page of docs/ is in
SUMMARY.md, and that no word is used that CODE_STYLE.md replaces.

    docs.py DOCUMENT...

Code and generated sections are not prose and are not searched for words.
"""

import re
import sys
from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
CODE = re.compile(r"`[^`]*`")
# Those of CODE_STYLE.md that are wrong wherever they occur in prose.
WORDS = re.compile(
    r"\b(?<!there )(is no|are no|has to|have to|so many|so long|told|beside|mend|stood still|whoever"
    r"|anew|goes before|set aside|the way (?:up|in|down)|honest notes)\b(?! longer)",
    re.IGNORECASE,
)


def anchor(heading):
    """The anchor that GitHub and mdBook give a heading."""
    heading = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip())
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def blank(pattern, text):
    """The text with what matches replaced by as many lines."""
    return pattern.sub(lambda match: "\n" * match[0].count("\n"), text)


def anchors(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {anchor(line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def broken_links(path, text):
    for target in LINK.findall(CODE.sub("", blank(FENCE, text))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (path.parent / name) if name else path
        if not file.exists():
            yield f"{path}: the link {target} leads nowhere"
        elif fragment and fragment not in anchors(file):
            yield f"{path}: {file} has no heading #{fragment}"


def avoided_words(path, text):
    prose = blank(GENERATED, blank(FENCE, text))
    for number, line in enumerate(prose.splitlines(), 1):
        for match in WORDS.finditer(CODE.sub("", line)):
            yield f"{path}:{number}: '{match[0]}' (see CODE_STYLE.md)"


def missing_in_summary(pages):
    summary = Path("docs/SUMMARY.md").read_text(encoding="utf-8")
    listed = set(LINK.findall(summary))
    for page in pages:
        if page.parts[0] == "docs" and page.name != "SUMMARY.md":
            if page.relative_to("docs").as_posix() not in listed:
                yield f"{page} is not in docs/SUMMARY.md"


def main():
    pages = [Path(name) for name in sys.argv[1:]]
    problems = list(missing_in_summary(pages))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        problems += broken_links(page, text)
        # The style guide shows the words that it replaces.
        if page.name != "CODE_STYLE.md":
            problems += avoided_words(page, text)
    print("\n".join(problems) or f"{len(pages)} pages: links resolve, words are those of CODE_STYLE.md")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
