//! What a request needs of its host.

use super::{MessageFeature, Needs};
use crate::claude::{
    container::RequestedContainer,
    content::Citations,
    raw::RawObject,
    request::{
        Content, DocumentSource, ImageSource, InputBlock, MessagesRequest, Role, Speed,
        SystemPrompt,
    },
    tools::Tool,
};
use serde_json::Value;

/// Tools by the beginnings of their types.
const TOOLS: [(&str, MessageFeature); 8] = [
    ("web_search_", MessageFeature::WebSearch),
    ("web_fetch_", MessageFeature::WebFetch),
    ("code_execution_", MessageFeature::CodeExecution),
    ("tool_search_tool_", MessageFeature::ToolSearch),
    ("advisor_", MessageFeature::Advisor),
    ("computer_toolset_", MessageFeature::ComputerToolset),
    ("browser_toolset_", MessageFeature::BrowserToolset),
    ("mcp_toolset", MessageFeature::McpConnector),
];

/// The versions of the web tools that filter nothing.
const BASIC_WEB_TOOLS: [&str; 2] = ["web_search_20250305", "web_fetch_20250910"];

/// Betas by the beginnings of their names.
const BETAS: [(&str, MessageFeature); 13] = [
    ("code-execution-", MessageFeature::CodeExecution),
    ("advisor-tool-", MessageFeature::Advisor),
    ("mcp-client-", MessageFeature::McpConnector),
    ("skills-", MessageFeature::Skills),
    ("files-api-", MessageFeature::Files),
    ("structured-outputs-", MessageFeature::StructuredOutputs),
    ("cache-diagnosis-", MessageFeature::CacheDiagnostics),
    ("context-management-", MessageFeature::ContextManagement),
    ("compact-", MessageFeature::Compaction),
    (
        "mid-conversation-tool-changes-",
        MessageFeature::ToolChanges,
    ),
    ("mid-conversation-system-", MessageFeature::SystemMessages),
    ("fast-mode-", MessageFeature::FastMode),
    ("server-side-fallback-", MessageFeature::Fallbacks),
];

impl Needs {
    /// What a request needs that goes with these betas.
    pub fn of(request: &MessagesRequest, betas: &[String]) -> Needs {
        let mut needs = Needs::default();
        request.tools.iter().for_each(|tool| needs.add_tool(tool));
        if let Some(SystemPrompt::Blocks(blocks)) = &request.system {
            needs.add_blocks(blocks);
        }
        for message in &request.messages {
            needs.insert_if(message.role == Role::System, MessageFeature::SystemMessages);
            needs.add_content(&message.content);
        }
        let output = request.output_config.as_ref();
        let has_format = output.is_some_and(|output| output.format.is_some());
        for (is_needed, feature) in [
            (has_format, MessageFeature::StructuredOutputs),
            (
                request.cache_control.is_some(),
                MessageFeature::AutomaticCaching,
            ),
            (
                request.diagnostics.is_some(),
                MessageFeature::CacheDiagnostics,
            ),
            (request.container.is_some(), MessageFeature::CodeExecution),
            (
                matches!(&request.container, Some(RequestedContainer::WithSkills { skills, .. }) if !skills.is_empty()),
                MessageFeature::Skills,
            ),
            (
                request.inference_geo.is_some(),
                MessageFeature::InferenceGeo,
            ),
            (request.speed == Some(Speed::Fast), MessageFeature::FastMode),
        ] {
            needs.insert_if(is_needed, feature);
        }
        if let Some(extra) = &request.extra {
            for (name, value) in extra.fields().into_iter().flatten() {
                needs.add_field(&name, &value);
            }
        }
        betas.iter().for_each(|beta| needs.add_beta(beta));
        needs
    }

    /// Adds what a field of the body needs, that has no type or was not read into one.
    pub fn add_field(&mut self, name: &str, value: &Value) {
        let feature = match name {
            "mcp_servers" => MessageFeature::McpConnector,
            "context_management" => MessageFeature::ContextManagement,
            "compaction" => MessageFeature::Compaction,
            "fallbacks" => MessageFeature::Fallbacks,
            "output_format" => MessageFeature::StructuredOutputs,
            "diagnostics" => MessageFeature::CacheDiagnostics,
            "inference_geo" => MessageFeature::InferenceGeo,
            "speed" if value == "fast" => MessageFeature::FastMode,
            "container" => {
                let skills = value.get("skills").and_then(Value::as_array);
                let has_skills = skills.is_some_and(|skills| !skills.is_empty());
                self.insert_if(has_skills, MessageFeature::Skills);
                MessageFeature::CodeExecution
            }
            _ => return,
        };
        self.insert_if(!value.is_null(), feature);
    }

    /// Adds what a beta needs.
    pub fn add_beta(&mut self, name: &str) {
        let found = BETAS.into_iter().find(|(start, _)| name.starts_with(start));
        if let Some((_, feature)) = found {
            self.insert(feature);
        }
    }

    fn add_tool(&mut self, tool: &Tool) {
        match tool {
            Tool::Custom(tool) => {
                self.insert_if(tool.strict == Some(true), MessageFeature::StructuredOutputs);
                tool.allowed_callers
                    .iter()
                    .for_each(|it| self.add_caller(it));
            }
            Tool::Defined(tool) => {
                let kind = tool.kind.as_str();
                for (start, feature) in TOOLS {
                    self.insert_if(kind.starts_with(start), feature);
                }
                let is_of_web = kind.starts_with("web_search_") || kind.starts_with("web_fetch_");
                self.insert_if(
                    is_of_web && !BASIC_WEB_TOOLS.contains(&kind),
                    MessageFeature::DynamicFiltering,
                );
                self.add_tool_fields(&tool.json);
            }
        }
    }

    /// What else a tool says that nothing has read so far.
    fn add_tool_fields(&mut self, json: &RawObject) {
        let may_say = |name: &str| json.get().contains(name);
        if !may_say("allowed_callers") && !may_say("strict") {
            return;
        }
        let Ok(fields) = json.fields() else {
            return;
        };
        let is_strict = fields.get("strict").and_then(Value::as_bool) == Some(true);
        self.insert_if(is_strict, MessageFeature::StructuredOutputs);
        let callers = fields.get("allowed_callers").and_then(Value::as_array);
        let callers = callers.into_iter().flatten().filter_map(Value::as_str);
        callers.for_each(|caller| self.add_caller(caller));
    }

    fn add_caller(&mut self, caller: &str) {
        self.insert_if(
            caller.starts_with("code_execution_"),
            MessageFeature::ProgrammaticToolCalling,
        );
    }

    fn add_content(&mut self, content: &Content) {
        if let Content::Blocks(blocks) = content {
            self.add_blocks(blocks);
        }
    }

    fn add_blocks(&mut self, blocks: &[InputBlock]) {
        blocks.iter().for_each(|block| self.add_block(block));
    }

    fn add_block(&mut self, block: &InputBlock) {
        let enabled = |citations: &Option<Citations>| citations.is_some_and(|it| it.enabled);
        match block {
            InputBlock::Image { source, .. } => match source {
                ImageSource::Base64 { .. } => {}
                ImageSource::Url { .. } => self.insert(MessageFeature::UrlSources),
                ImageSource::File { .. } => self.insert(MessageFeature::Files),
            },
            InputBlock::Document {
                source, citations, ..
            } => {
                self.insert_if(enabled(citations), MessageFeature::Citations);
                match source {
                    DocumentSource::Base64 { .. } | DocumentSource::Text { .. } => {}
                    DocumentSource::Url { .. } => self.insert(MessageFeature::UrlSources),
                    DocumentSource::File { .. } => self.insert(MessageFeature::Files),
                    DocumentSource::Content { content } => self.add_content(content),
                }
            }
            InputBlock::SearchResult { citations, .. } => {
                self.insert_if(enabled(citations), MessageFeature::Citations);
            }
            InputBlock::ToolResult {
                content: Some(content),
                ..
            } => self.add_content(content),
            InputBlock::Other(block) => self.add_raw_block(block),
            InputBlock::Text { .. }
            | InputBlock::ToolUse { .. }
            | InputBlock::ToolResult { .. }
            | InputBlock::Thinking { .. }
            | InputBlock::RedactedThinking { .. } => {}
        }
    }

    /// The results of tools in a conversation need nothing: no source says that a host
    /// refuses them.
    fn add_raw_block(&mut self, block: &RawObject) {
        match block.kind().as_deref() {
            Some("container_upload") => {
                self.insert(MessageFeature::Files);
                self.insert(MessageFeature::CodeExecution);
            }
            Some("browser_state") => self.insert(MessageFeature::BrowserToolset),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MessageFeature::*;
    use serde_json::json;

    fn of(fields: &Value) -> Vec<MessageFeature> {
        let mut body = json!({"model": "m", "max_tokens": 1, "messages": []});
        let fields = fields.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let request = serde_json::from_value(body).unwrap();
        Needs::of(&request, &[]).iter().collect()
    }

    #[test]
    fn the_needs_of_a_request_are_what_it_says() {
        let tool = |kind: &str| json!({"tools": [{"type": kind, "name": "t"}]});
        let block = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
        let cases = [
            (json!({}), vec![]),
            (
                json!({"tools": [{"name": "t", "input_schema": {}}]}),
                vec![],
            ),
            (tool("bash_20250124"), vec![]),
            (tool("web_search_20250305"), vec![WebSearch]),
            (
                tool("web_search_20260318"),
                vec![WebSearch, DynamicFiltering],
            ),
            (tool("web_fetch_20250910"), vec![WebFetch]),
            (tool("web_fetch_20260309"), vec![WebFetch, DynamicFiltering]),
            (tool("code_execution_20260521"), vec![CodeExecution]),
            (tool("tool_search_tool_bm25_20251119"), vec![ToolSearch]),
            (tool("advisor_20260301"), vec![Advisor]),
            (tool("computer_toolset_20260801"), vec![ComputerToolset]),
            (tool("computer_20251124"), vec![]),
            (tool("browser_toolset_20260801"), vec![BrowserToolset]),
            (tool("mcp_toolset"), vec![McpConnector]),
            (
                json!({"tools": [{"name": "t", "input_schema": {}, "strict": true,
                    "allowed_callers": ["direct", "code_execution_20260120"]}]}),
                vec![ProgrammaticToolCalling, StructuredOutputs],
            ),
            (
                json!({"tools": [{"type": "memory_20250818", "name": "memory",
                    "allowed_callers": ["code_execution_20260120"]}]}),
                vec![ProgrammaticToolCalling],
            ),
            (
                block(json!({"type": "image", "source": {"type": "url", "url": "u"}})),
                vec![UrlSources],
            ),
            (
                block(json!({"type": "document", "source": {"type": "url", "url": "u"}})),
                vec![UrlSources],
            ),
            (
                block(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
                vec![Files],
            ),
            (
                block(
                    json!({"type": "tool_result", "tool_use_id": "t", "content": [
                        {"type": "image", "source": {"type": "url", "url": "u"}},
                    ]}),
                ),
                vec![UrlSources],
            ),
            (
                block(json!({"type": "document", "citations": {"enabled": true},
                    "source": {"type": "text", "media_type": "text/plain", "data": "d"}})),
                vec![Citations],
            ),
            (
                block(json!({"type": "container_upload", "file_id": "f"})),
                vec![CodeExecution, Files],
            ),
            (
                block(json!({"type": "web_search_tool_result", "tool_use_id": "t", "content": []})),
                vec![],
            ),
            (
                json!({"messages": [{"role": "system", "content": "s"}]}),
                vec![SystemMessages],
            ),
            (
                json!({"output_config": {"format": {"type": "json_schema", "schema": {}}}}),
                vec![StructuredOutputs],
            ),
            (json!({"output_config": {"effort": "low"}}), vec![]),
            (
                json!({"cache_control": {"type": "ephemeral"}}),
                vec![AutomaticCaching],
            ),
            (json!({"diagnostics": {}}), vec![CacheDiagnostics]),
            (json!({"container": "c"}), vec![CodeExecution]),
            (
                json!({"container": {"skills": [{"type": "custom", "skill_id": "s"}]}}),
                vec![CodeExecution, Skills],
            ),
            (json!({"inference_geo": "us"}), vec![InferenceGeo]),
            (json!({"speed": "fast"}), vec![FastMode]),
            (json!({"speed": "standard"}), vec![]),
        ];
        for (fields, expected) in cases {
            assert_eq!(of(&fields), expected, "{fields}");
        }
    }

    #[test]
    fn fields_and_betas_that_are_passed_through_count() {
        let extra = r#"{"mcp_servers": [], "fallbacks": "default", "compaction": null, "new": 1}"#;
        let request = MessagesRequest {
            extra: Some(RawObject::new(extra.to_owned()).unwrap()),
            ..MessagesRequest::default()
        };
        let betas = [
            "skills-2025-10-02".to_owned(),
            "unknown-2026-01-01".to_owned(),
        ];
        let needs: Vec<_> = Needs::of(&request, &betas).iter().collect();
        assert_eq!(needs, [McpConnector, Skills, Fallbacks]);
    }
}
