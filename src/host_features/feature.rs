//! The features of a Messages request that not every host has.

use serde::{Deserialize, Serialize};

/// A feature of a Messages request that not every host has, or that operators may take
/// from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageFeature {
    /// The tools `web_search_…`.
    WebSearch,
    /// The tools `web_fetch_…`.
    WebFetch,
    /// Versions of both after the first ones, which filter what they found by code.
    DynamicFiltering,
    /// The tools `code_execution_…`, and their container.
    CodeExecution,
    /// Tools that code calls.
    ProgrammaticToolCalling,
    /// The tools `tool_search_tool_…`.
    ToolSearch,
    /// The tools `advisor_…`.
    Advisor,
    /// The tools `computer_toolset_…`.
    ComputerToolset,
    /// The tools `browser_toolset_…`.
    BrowserToolset,
    /// Remote MCP servers.
    McpConnector,
    /// Skills in the container.
    Skills,
    /// Files that were uploaded before.
    Files,
    /// Images and documents at URLs.
    UrlSources,
    /// Citations of documents and search results.
    Citations,
    /// Answers and inputs of tools that match a schema.
    StructuredOutputs,
    /// The cache mark of a whole request.
    AutomaticCaching,
    /// Diagnostics of the cache.
    CacheDiagnostics,
    /// Context editing.
    ContextManagement,
    /// Compaction of the context.
    Compaction,
    /// System messages in the middle of a conversation.
    SystemMessages,
    /// Changes of tools in the middle of a conversation.
    ToolChanges,
    /// The region where the model runs.
    InferenceGeo,
    /// Fast mode.
    FastMode,
    /// Another model when one refuses, within the request.
    Fallbacks,
}

impl MessageFeature {
    /// All of them.
    pub const ALL: [MessageFeature; 24] = [
        MessageFeature::WebSearch,
        MessageFeature::WebFetch,
        MessageFeature::DynamicFiltering,
        MessageFeature::CodeExecution,
        MessageFeature::ProgrammaticToolCalling,
        MessageFeature::ToolSearch,
        MessageFeature::Advisor,
        MessageFeature::ComputerToolset,
        MessageFeature::BrowserToolset,
        MessageFeature::McpConnector,
        MessageFeature::Skills,
        MessageFeature::Files,
        MessageFeature::UrlSources,
        MessageFeature::Citations,
        MessageFeature::StructuredOutputs,
        MessageFeature::AutomaticCaching,
        MessageFeature::CacheDiagnostics,
        MessageFeature::ContextManagement,
        MessageFeature::Compaction,
        MessageFeature::SystemMessages,
        MessageFeature::ToolChanges,
        MessageFeature::InferenceGeo,
        MessageFeature::FastMode,
        MessageFeature::Fallbacks,
    ];

    /// The name in the configuration, in messages for callers and in the data.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What of a request needs it, for the documentation.
    pub fn needed_by(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            MessageFeature::WebSearch => ("web_search", "tools `web_search_…`"),
            MessageFeature::WebFetch => ("web_fetch", "tools `web_fetch_…`"),
            MessageFeature::DynamicFiltering => (
                "dynamic_filtering",
                "tools `web_search_…` after `_20250305`, `web_fetch_…` after `_20250910`",
            ),
            MessageFeature::CodeExecution => (
                "code_execution",
                "tools `code_execution_…`, `container`, blocks `container_upload`",
            ),
            MessageFeature::ProgrammaticToolCalling => (
                "programmatic_tool_calling",
                "`allowed_callers` with `code_execution_…`",
            ),
            MessageFeature::ToolSearch => ("tool_search", "tools `tool_search_tool_…`"),
            MessageFeature::Advisor => ("advisor", "tools `advisor_…`"),
            MessageFeature::ComputerToolset => ("computer_toolset", "tools `computer_toolset_…`"),
            MessageFeature::BrowserToolset => ("browser_toolset", "tools `browser_toolset_…`"),
            MessageFeature::McpConnector => ("mcp_connector", "`mcp_servers`, tools `mcp_toolset`"),
            MessageFeature::Skills => ("skills", "`container.skills`"),
            MessageFeature::Files => ("files", "`file_id`"),
            MessageFeature::UrlSources => ("url_sources", "images and documents with a `url`"),
            MessageFeature::Citations => ("citations", "`citations`"),
            MessageFeature::StructuredOutputs => (
                "structured_outputs",
                "`output_config.format`, `strict` tools, Classify",
            ),
            MessageFeature::AutomaticCaching => {
                ("automatic_caching", "`cache_control` of the request")
            }
            MessageFeature::CacheDiagnostics => ("cache_diagnostics", "`diagnostics`"),
            MessageFeature::ContextManagement => ("context_management", "`context_management`"),
            MessageFeature::Compaction => ("compaction", "`compaction`"),
            MessageFeature::SystemMessages => ("system_messages", "messages of the role system"),
            MessageFeature::ToolChanges => {
                ("tool_changes", "the beta `mid-conversation-tool-changes-…`")
            }
            MessageFeature::InferenceGeo => ("inference_geo", "`inference_geo`"),
            MessageFeature::FastMode => ("fast_mode", "`speed: fast`"),
            MessageFeature::Fallbacks => ("fallbacks", "`fallbacks`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_features::Needs;

    #[test]
    fn each_has_its_bit_and_the_name_of_the_configuration() {
        let mut all = Needs::default();
        for feature in MessageFeature::ALL {
            assert!(!all.contains(feature), "{feature:?}");
            all.insert(feature);
            assert_eq!(serde_json::to_value(feature).unwrap(), feature.name());
        }
        assert_eq!(all.iter().count(), MessageFeature::ALL.len());
    }
}
