//! The tools that the API defines: how a prompt asks for each, and its input.

use super::{
    prompt::{Prompt, shortened},
    words::WordCounts,
};
use crate::claude::tools::DefinedTool;
use serde_json::{Value, json};

/// Maximum characters of a search.
const QUERY: usize = 100;

/// Fetched when a prompt has no URL and the fetch is forced.
const SOME_URL: &str = "https://example.com/";

/// What a tool that the API defines is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulator) enum Purpose {
    /// Searches the web, on the side of the API.
    WebSearch,
    /// Fetches a page, on the side of the API.
    WebFetch,
    /// Runs code, on the side of the API.
    CodeExecution,
    /// Finds tools of the request, on the side of the API.
    ToolSearch,
    /// Asks another model, on the side of the API.
    Advisor,
    /// Runs a command of the caller's shell.
    Bash,
    /// Views and edits files of the caller.
    TextEditor,
    /// Views and edits the caller's notes.
    Memory,
    /// Operates the caller's computer.
    Computer,
    /// Operates the caller's computer, with a name for each action.
    ComputerToolset,
    /// Operates the caller's browser.
    BrowserToolset,
}

/// How the type of a tool begins, its purpose, and the stems of all words by which a
/// prompt asks for it.
const PURPOSES: [(&str, Purpose, &[&str]); 11] = [
    ("web_search_", Purpose::WebSearch, &["web", "search"]),
    ("web_fetch_", Purpose::WebFetch, &["fetch"]),
    (
        "code_execution_",
        Purpose::CodeExecution,
        &["cod", "execut"],
    ),
    (
        "tool_search_tool_",
        Purpose::ToolSearch,
        &["tool", "search"],
    ),
    ("advisor_", Purpose::Advisor, &["advisor"]),
    ("bash_", Purpose::Bash, &["bash"]),
    ("text_editor_", Purpose::TextEditor, &["editor"]),
    ("memory_", Purpose::Memory, &["memor"]),
    ("computer_toolset_", Purpose::ComputerToolset, &["computer"]),
    ("computer_", Purpose::Computer, &["computer"]),
    ("browser_toolset_", Purpose::BrowserToolset, &["browser"]),
];

impl Purpose {
    /// The purpose of a tool; `None` for one that the simulator never uses.
    pub(in crate::simulator) fn of(tool: &DefinedTool) -> Option<Self> {
        let found = PURPOSES
            .iter()
            .find(|(begin, ..)| tool.kind.starts_with(begin));
        found.map(|(_, purpose, _)| *purpose)
    }

    /// How well a text asks for it: 0 unless it has all words.
    pub(super) fn asked(self, text: &WordCounts, prompt: &Prompt) -> f64 {
        if self == Purpose::WebFetch && url(&prompt.whole).is_none() {
            return 0.0;
        }
        let found = PURPOSES.iter().find(|(_, purpose, _)| *purpose == self);
        let words = found.map_or(&[][..], |(_, _, words)| words);
        let scores: Vec<f64> = words.iter().map(|word| text.affinity(word)).collect();
        if scores.contains(&0.0) {
            return 0.0;
        }
        scores.iter().sum()
    }

    /// The member of a toolset that is used, and the name of the toolset.
    pub(in crate::simulator) fn member(self) -> Option<(&'static str, &'static str)> {
        match self {
            Purpose::ComputerToolset => Some(("screenshot", "computer")),
            Purpose::BrowserToolset => Some(("navigate", "browser")),
            _ => None,
        }
    }

    /// The input with which it is used.
    pub(in crate::simulator) fn input(self, prompt: &Prompt) -> Value {
        let query = shortened(&prompt.whole, QUERY);
        let command = format!("echo {}", quoted(&query));
        match self {
            Purpose::WebSearch | Purpose::ToolSearch => json!({"query": query}),
            Purpose::WebFetch | Purpose::BrowserToolset => {
                json!({"url": url(&prompt.whole).unwrap_or(SOME_URL)})
            }
            Purpose::Bash | Purpose::CodeExecution => json!({"command": command}),
            Purpose::TextEditor => json!({"command": "view", "path": "/"}),
            Purpose::Memory => json!({"command": "view", "path": "/memories"}),
            Purpose::Computer => json!({"action": "screenshot"}),
            Purpose::ComputerToolset | Purpose::Advisor => json!({}),
        }
    }
}

/// The first URL of a text.
fn url(text: &str) -> Option<&str> {
    let is_outside = |c: char| {
        matches!(
            c,
            '.' | ',' | ';' | ':' | '!' | '?' | '"' | '\'' | ')' | '(' | '<' | '>'
        )
    };
    text.split_whitespace()
        .map(|word| word.trim_matches(is_outside))
        .find(|word| word.starts_with("https://") || word.starts_with("http://"))
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Vec<Purpose> {
        let prompt = Prompt {
            whole: text.to_owned(),
            ..Prompt::default()
        };
        let words = WordCounts::of(text);
        let purposes = PURPOSES.iter().map(|(_, purpose, _)| *purpose);
        purposes
            .filter(|it| it.asked(&words, &prompt) > 0.0)
            .collect()
    }

    #[test]
    fn a_prompt_asks_by_the_name() {
        for (text, purpose) in [
            ("Search the web for harbours.", Purpose::WebSearch),
            ("Fetch https://example.org/a, please.", Purpose::WebFetch),
            ("Execute code that adds numbers.", Purpose::CodeExecution),
            ("Try code execution.", Purpose::CodeExecution),
            ("Use the tool search.", Purpose::ToolSearch),
            ("What does the advisor say?", Purpose::Advisor),
            ("List the files with bash.", Purpose::Bash),
            ("Open it in the text editor.", Purpose::TextEditor),
            ("What is in your memory?", Purpose::Memory),
        ] {
            assert_eq!(asked(text), [purpose], "{text}");
        }
        assert_eq!(asked("Fetch the harbour's page."), []);
    }

    #[test]
    fn the_first_url_is_found() {
        assert_eq!(
            url("See (https://a.example/x?y=1), or http://b.example."),
            Some("https://a.example/x?y=1")
        );
        assert_eq!(url("See example.com"), None);
    }
}
