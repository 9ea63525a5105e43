//! The versions of the tools that the API defines.

use crate::status::{Path, Violations};

/// A tool that the API defines.
#[derive(Debug)]
pub struct ToolVersions {
    /// The type without the version.
    kind: &'static str,
    /// The versions, the newest first.
    versions: &'static [&'static str],
}

/// The version of the API's choice.
const LATEST: &str = "latest";

pub const BASH: ToolVersions = ToolVersions {
    kind: "bash",
    versions: &["20250124"],
};
pub const TEXT_EDITOR: ToolVersions = ToolVersions {
    kind: "text_editor",
    versions: &["20250728", "20250429", "20250124"],
};
pub const MEMORY: ToolVersions = ToolVersions {
    kind: "memory",
    versions: &["20250818"],
};
pub const COMPUTER_TOOLSET: ToolVersions = ToolVersions {
    kind: "computer_toolset",
    versions: &["20260801"],
};
pub const BROWSER_TOOLSET: ToolVersions = ToolVersions {
    kind: "browser_toolset",
    versions: &["20260801"],
};
pub const WEB_SEARCH: ToolVersions = ToolVersions {
    kind: "web_search",
    versions: &["20260318", "20260209", "20250305"],
};
pub const WEB_FETCH: ToolVersions = ToolVersions {
    kind: "web_fetch",
    versions: &["20260318", "20260309", "20260209", "20250910"],
};
pub const CODE_EXECUTION: ToolVersions = ToolVersions {
    kind: "code_execution",
    versions: &["20260521", "20260120", "20250825", "20250522"],
};
pub const TOOL_SEARCH_BM25: ToolVersions = ToolVersions {
    kind: "tool_search_tool_bm25",
    versions: &["20251119", LATEST],
};
pub const TOOL_SEARCH_REGEX: ToolVersions = ToolVersions {
    kind: "tool_search_tool_regex",
    versions: &["20251119", LATEST],
};

const ALL: [&ToolVersions; 10] = [
    &BASH,
    &TEXT_EDITOR,
    &MEMORY,
    &COMPUTER_TOOLSET,
    &BROWSER_TOOLSET,
    &WEB_SEARCH,
    &WEB_FETCH,
    &CODE_EXECUTION,
    &TOOL_SEARCH_BM25,
    &TOOL_SEARCH_REGEX,
];

impl ToolVersions {
    /// The version that is asked for, or the newest. `path` is that of the tool.
    pub fn choose(&self, asked: &str, path: Path<'_>, wrong: &mut Violations) -> &'static str {
        let newest = self.versions[0];
        if asked.is_empty() {
            return newest;
        }
        let known = self.versions.iter().find(|known| **known == asked);
        known.copied().unwrap_or_else(|| {
            let known = self.versions.join(", ");
            wrong.add(path.field("version"), format!("must be one of {known}"));
            newest
        })
    }

    /// The type of a version.
    pub fn kind(&self, version: &str) -> String {
        match version {
            LATEST => self.kind.to_owned(),
            version => format!("{}_{version}", self.kind),
        }
    }
}

/// Whether a type is one of these.
pub fn is_defined(kind: &str) -> bool {
    ALL.iter().any(|tool| {
        let version = kind.strip_prefix(tool.kind);
        let version = version.map(|it| it.strip_prefix('_').unwrap_or(LATEST));
        version
            .is_some_and(|version| tool.versions.contains(&version) && tool.kind(version) == kind)
    })
}

/// A field that only newer versions of a tool have.
pub fn needs(
    is_set: bool,
    field: &'static str,
    since: &str,
    version: &str,
    path: Path<'_>,
    wrong: &mut Violations,
) {
    if is_set && version < since {
        wrong.add(path.field(field), format!("needs version {since} or later"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_a_known_version_is_defined() {
        for tool in ALL {
            for version in tool.versions {
                assert!(is_defined(&tool.kind(version)), "{tool:?} {version}");
            }
            let dated = tool.versions.iter().filter(|it| **it != LATEST);
            assert!(dated.is_sorted_by(|newer, older| newer > older), "{tool:?}");
        }
        assert!(is_defined("tool_search_tool_bm25"));
        for unknown in [
            "bash",
            "bash_",
            "bash_latest",
            "bash_20250125",
            "tool_search_tool_bm25_latest",
            "web_search_20260319",
            "mcp_toolset",
        ] {
            assert!(!is_defined(unknown), "{unknown}");
        }
    }
}
