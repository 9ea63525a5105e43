//! The tools that run on the side of the API: what they find and do, as blocks of an
//! answer. Nothing is searched, fetched or executed.

use super::{
    super::generate::{self, MARK, Prompt, Purpose},
    advisor,
    message::{MessageBlock, raw},
    tool_run::ToolRun,
};
use crate::claude::{
    answer::{AnswerBlock, ServerToolUse},
    extra::Extra,
    request::MessagesRequest,
    tools::{DefinedTool, Tool},
};
use serde_json::{Map, Value, json};

/// The version of code execution that runs Python instead of a shell.
const PYTHON: &str = "code_execution_20250522";

/// The use of a tool of the API, its result and a text about it; `None` for a tool that
/// the caller runs.
pub(super) fn run(
    tool: &DefinedTool,
    purpose: Purpose,
    request: &MessagesRequest,
    prompt: &Prompt,
    hash: u64,
) -> Option<Vec<MessageBlock>> {
    let id = format!("srvtoolu_sim_{hash:016x}");
    let input = purpose.input(prompt);
    let options = tool.json.fields().unwrap_or_default();
    let run = match purpose {
        Purpose::WebSearch => web_search(&options, &input, hash),
        Purpose::WebFetch => web_fetch(&options, &input),
        Purpose::CodeExecution => code_execution(tool.kind == PYTHON, prompt),
        Purpose::Advisor => advisor::run(&options, prompt),
        Purpose::ToolSearch => return Some(tool_search(tool, request, prompt, hash, true)),
        _ => return None,
    };
    let name = run.name.unwrap_or(&tool.name);
    Some(vec![
        server_tool_use(&id, name, run.input.as_ref().unwrap_or(&input)),
        result(&id, &format!("{name}_tool_result"), &run.result),
        MessageBlock::Wire(AnswerBlock::Text {
            text: run.text,
            citations: run.citation.iter().map(raw).collect(),
            extra: Extra::default(),
        }),
    ])
}

/// The search by which a tool is found whose definition is deferred; empty if the request
/// has no tool for that.
pub(super) fn search_for(
    request: &MessagesRequest,
    prompt: &Prompt,
    hash: u64,
) -> Vec<MessageBlock> {
    let searches = request.tools.iter().find_map(|tool| match tool {
        Tool::Defined(tool) => (Purpose::of(tool)? == Purpose::ToolSearch).then_some(tool),
        Tool::Custom(_) => None,
    });
    let found = searches.map(|tool| tool_search(tool, request, prompt, hash, false));
    found.unwrap_or_default()
}

/// A search for tools of the request, and what was found; with a text about it if
/// nothing else follows.
fn tool_search(
    tool: &DefinedTool,
    request: &MessagesRequest,
    prompt: &Prompt,
    hash: u64,
    is_last: bool,
) -> Vec<MessageBlock> {
    let id = format!("srvtoolu_sim_{hash:016x}");
    let found = generate::found_tools(request, prompt);
    let references: Vec<Value> = found
        .iter()
        .map(|name| json!({"type": "tool_reference", "tool_name": name}))
        .collect();
    let content = json!({
        "type": "tool_search_tool_search_result",
        "tool_references": references,
    });
    let mut blocks = vec![
        server_tool_use(&id, &tool.name, &Purpose::ToolSearch.input(prompt)),
        result(&id, "tool_search_tool_result", &content),
    ];
    if is_last {
        let text = format!(
            "{MARK}The search found {} tools: {}",
            found.len(),
            found.join(", ")
        );
        blocks.push(MessageBlock::text(text));
    }
    blocks
}

fn web_search(options: &Map<String, Value>, input: &Value, hash: u64) -> ToolRun {
    let domain = first_text(options, "allowed_domains").unwrap_or("example.com");
    let query = input["query"].as_str().unwrap_or_default();
    let pages: Vec<Value> = (1..=2)
        .map(|number| {
            json!({
                "type": "web_search_result",
                "url": format!("https://{domain}/{number}"),
                "title": format!("{MARK}Page {number} about {query}"),
                "encrypted_content": format!("c2lt{hash:016x}{number}"),
                "page_age": null,
            })
        })
        .collect();
    let text = format!("{MARK}The first page that was found is about {query}");
    let citation = json!({
        "type": "web_search_result_location",
        "cited_text": query,
        "encrypted_index": format!("aWR4{hash:016x}"),
        "title": pages[0]["title"],
        "url": pages[0]["url"],
    });
    ToolRun {
        name: None,
        input: None,
        result: Value::Array(pages),
        text,
        citation: Some(citation),
    }
}

fn web_fetch(options: &Map<String, Value>, input: &Value) -> ToolRun {
    let url = &input["url"];
    let cites = options
        .get("citations")
        .is_some_and(|it| it["enabled"] == json!(true));
    let data = format!("{MARK}This page was not fetched.");
    let title = format!("{MARK}A page");
    let citation = json!({
        "type": "char_location",
        "cited_text": data,
        "document_index": 0,
        "document_title": title,
        "file_id": null,
        "start_char_index": 0,
        "end_char_index": data.chars().count(),
    });
    let result = json!({
        "type": "web_fetch_result",
        "url": url,
        "retrieved_at": null,
        "content": {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": data},
            "title": title,
            "citations": {"enabled": cites},
        },
    });
    ToolRun {
        name: None,
        input: None,
        result,
        text: format!("{MARK}The page says that it was not fetched."),
        citation: cites.then_some(citation),
    }
}

fn code_execution(is_python: bool, prompt: &Prompt) -> ToolRun {
    let said = Purpose::ToolSearch.input(prompt)["query"].clone();
    let stdout = format!("{}\n", said.as_str().unwrap_or_default());
    let (name, input, kind) = if is_python {
        let input = json!({"code": format!("print({said})")});
        ("code_execution", Some(input), "code_execution_result")
    } else {
        ("bash_code_execution", None, "bash_code_execution_result")
    };
    let result = json!({
        "type": kind,
        "stdout": stdout,
        "stderr": "",
        "return_code": 0,
        "content": [],
    });
    ToolRun {
        name: Some(name),
        input,
        result,
        text: format!("{MARK}The code printed: {}", stdout.trim_end()),
        citation: None,
    }
}

fn first_text<'a>(options: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    options.get(name)?.get(0)?.as_str()
}

fn server_tool_use(id: &str, name: &str, input: &Value) -> MessageBlock {
    let block = json!({
        "type": "server_tool_use",
        "id": id,
        "name": name,
        "input": input,
        "caller": {"type": "direct"},
    });
    MessageBlock::whole("server_tool_use", &block)
}

fn result(id: &str, kind: &str, content: &Value) -> MessageBlock {
    MessageBlock::whole(
        kind,
        &json!({"type": kind, "tool_use_id": id, "content": content}),
    )
}

/// The searches and fetches that are billed; `None` if there are none.
pub(super) fn usage(blocks: &[MessageBlock]) -> Option<ServerToolUse> {
    let count = |kind: &str| {
        let of_kind = blocks.iter().filter_map(MessageBlock::as_whole);
        of_kind.filter(|(it, _)| *it == kind).count() as u64
    };
    let usage = ServerToolUse {
        web_search_requests: count("web_search_tool_result"),
        web_fetch_requests: count("web_fetch_tool_result"),
    };
    (usage != ServerToolUse::default()).then_some(usage)
}
