"""Each version of each tool that the API defines, with every field that it has."""

from claude.v1 import content_pb2, defined_tools_pb2, generate_pb2

# Who may call a tool.
CALLERS = ["direct", "code_execution_20250825", "code_execution_20260120", "code_execution_20260521"]
VERSIONS = {
    "bash": ["20250124"],
    "text_editor": ["20250124", "20250429", "20250728"],
    "memory": ["20250818"],
    "computer_toolset": ["20260801"],
    "browser_toolset": ["20260801"],
    "web_search": ["20250305", "20260209", "20260318"],
    "web_fetch": ["20250910", "20260209", "20260309", "20260318"],
    "code_execution": ["20250522", "20250825", "20260120", "20260521"],
    "tool_search": ["20251119", "latest"],
}
MARK = content_pb2.CacheControl()


def defined_tools():
    for field, versions in VERSIONS.items():
        for version in versions:
            for own in own_fields(field, version):
                yield generate_pb2.Tool(**{field: {"version": version, **own}}, **shared_fields(field))


def shared_fields(field):
    """The fields that tools have in common."""
    if field.endswith("_toolset"):
        return {"cache_control": MARK}
    more = {"input_examples_json": ["{}"]} if field in ["bash", "text_editor", "memory"] else {}
    return {"cache_control": MARK, "defer_loading": True, "strict": True, "allowed_callers": CALLERS} | more


def own_fields(field, version):
    """The fields of a tool of its own, more than once if it cannot have all at once."""
    if field == "tool_search":
        return [{"algorithm": algorithm} for algorithm in defined_tools_pb2.ToolSearchAlgorithm.values() if algorithm]
    if field not in ["web_search", "web_fetch"]:
        return [{}]
    variants = [{domains: ["example.com"]} for domains in ["allowed_domains", "blocked_domains"]]
    fields = {"max_uses": 1}
    if field == "web_search":
        fields["user_location"] = dict.fromkeys(["city", "region", "timezone"], "x") | {"country": "AT"}
    else:
        fields |= {"citations": True, "max_content_tokens": 1}
        variants += [{"url_sources": sources} for sources in url_sources()]
    return [fields | variant for variant in variants]


def url_sources():
    """Each source with each of its modes."""
    for mode in ["ALL", "NONE", "ONLY", "EXCEPT"]:
        tools = ["f"] if mode in ["ONLY", "EXCEPT"] else []
        source = {"mode": f"URL_SOURCE_MODE_{mode}", "tools": tools}
        yield {"client_tool_results": source, "server_tool_results": source}
        if not tools:
            yield {"user_input": source}
