"""`docs/api-coverage.md`, of which the tables are generated."""

import re
import tomllib
from pathlib import Path

from claude.v1 import content_pb2, defined_tools_pb2, generate_pb2, models_pb2, usage_pb2
from api_coverage import as_stable
from sdk_types import field_of, owner

PAGE = Path(__file__).parents[3] / "docs" / "api-coverage.md"
OURS = tomllib.loads((Path(__file__).parent / "ours.toml").read_text())
MESSAGES = {
    name: message
    for file in (content_pb2, defined_tools_pb2, generate_pb2, models_pb2, usage_pb2)
    for name, message in file.DESCRIPTOR.message_types_by_name.items()
}
# The messages of the tools that the API defines, and where the fields are that those have in
# common, if they are not in `Tool` under the same name.
DEFINED = {field.message_type.name for field in MESSAGES["Tool"].oneofs_by_name["defined"].fields}
OF_ALL_TOOLS = {"name": "Tool.defined", "input_examples": "Tool.input_examples_json"}
SECTION = re.compile(r"(<!-- generated: coverage -->\n).*?(\n<!-- end -->)", re.DOTALL)


def page_with(generated):
    return SECTION.sub(lambda found: f"{found[1]}\n{generated}{found[2]}", PAGE.read_text())


def generated(sdk, date, coverages, listed):
    """The tables of coverages, each with a title and the names that it is asked for."""
    states = ["typed", "raw", "not_yet", "refused"]
    lines = [f"The Python SDK {sdk} of {date}. A name that is not covered stands for all that it contains.", ""]
    lines += ["| | names | typed | raw | not yet | refused |", "|---|---|---|---|---|---|"]
    for title, coverage, names in coverages:
        counts = [sum(state_of(name, coverage, listed) == state for name in names) for state in states]
        lines.append(f"| [{title}](#{anchor(title)}) | {len(names)} | {' | '.join(map(str, counts))} |")
    for title, coverage, names in coverages:
        lines += ["", f"## {title}", "", "| SDK | ours |", "|---|---|"]
        lines += list(rows(coverage, names, listed))
    return "\n".join(lines) + "\n"


def anchor(title):
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def rows(coverage, names, listed):
    """One row for each type that is raw, and one or more for each field of the others."""
    for kind in dict.fromkeys(map(owner, names)):
        inside = [name for name in names if owner(name) == kind]
        fields = list(dict.fromkeys(map(field_of, inside)))
        if all(state_of(name, coverage, listed) == "raw" for name in inside):
            yield row(kind, [field.removeprefix(f"{kind}.") for field in fields], "raw")
            continue
        for field in fields:
            yield from rows_of_field(field, inside, coverage, listed)


def rows_of_field(field, names, coverage, listed):
    """One with the values and choices that are like the field, and one for those that are not."""
    groups = {ours(field, coverage, listed): []} if field in names else {}
    for name in names:
        if name != field and field_of(name) == field:
            groups.setdefault(ours(name, coverage, listed), []).append(name.removeprefix(field)[1:])
    for text, values in groups.items():
        yield row(field, values, text)


def row(name, more, text):
    more = ": " + ", ".join(f"`{one}`" for one in more) if more else ""
    return f"| `{name}`{more} | {text} |"


def ours(name, coverage, listed):
    state = state_of(name, coverage, listed)
    if state == "typed":
        return f"`{our_name(as_stable(field_of(name)))}`"
    if state == "raw":
        return "raw"
    return f"{state.replace('_', ' ')}: {listed[name][1]}"


def state_of(name, coverage, listed):
    return coverage.how.get(name) or listed[name][0]


def our_name(field):
    """The message or the field of ours that stands for a field of the SDK."""
    if field in OURS["fields"]:
        found = OURS["fields"][field]
    else:
        kind = OURS["types"].get(owner(field), owner(field))
        last = field.rpartition(".")[2]
        found = kind if "." in kind or last == "type" else f"{kind}.{last}"
        if kind in DEFINED and not exists(found):
            found = OF_ALL_TOOLS.get(last, f"Tool.{last}")
    assert exists(found), f"ours.toml does not say what {field} is: there is no {found}"
    return found


def exists(name):
    message, _, field = name.partition(".")
    found = MESSAGES.get(message)
    return found and (not field or field in found.fields_by_name or field in found.oneofs_by_name)
