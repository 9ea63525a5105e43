//! `[service]`: models and defaults of the RPCs.

use super::model;
use crate::{claude::request::Effort, duration_limits};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Models and defaults of the RPCs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// Model ids that requests may use. Empty allows any model. The models below
    /// must be among them.
    pub allowed_models: Vec<String>,
    /// Defaults of Generate, GenerateStream and CountTokens.
    pub generate: GenerateConfig,
    /// Defaults of Summarize and SummarizeStream.
    pub summarize: SummarizeConfig,
    /// Defaults of Classify.
    pub classify: ClassifyConfig,
    /// How long documents are summarized and classified.
    pub documents: DocumentsConfig,
    /// Items in streams: ProcessItems.
    pub items: ItemsConfig,
    /// What callers may say to the API that has no field of ours.
    pub passthrough: PassthroughConfig,
}

/// Items in streams: ProcessItems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ItemsConfig {
    /// Maximum number of items of a stream at once, 1 to 1024.
    pub parallel: u32,
}

impl Default for ItemsConfig {
    fn default() -> Self {
        ItemsConfig { parallel: 32 }
    }
}

/// How documents are summarized and classified that do not fit one call:
/// DocumentService. Models and defaults are those of Summarize and Classify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentsConfig {
    /// Maximum number of documents at once, in the whole process; at least 1. Each holds a
    /// document that fits one call, or `parallel` parts, and at most a quarter of
    /// `server.max_bytes_in_flight`.
    pub max_documents: usize,
    /// Maximum number of calls to the API at once for a document, 1 to 256.
    pub parallel: u32,
    /// Maximum input tokens of a part, estimated from its characters, 1000 to 500,000. A part
    /// never has more than fit a call.
    pub part_tokens: u32,
    /// About how many words the summary of a part has, 50 to 5000.
    pub part_words: u32,
}

impl Default for DocumentsConfig {
    fn default() -> Self {
        DocumentsConfig {
            max_documents: 16,
            parallel: 8,
            part_tokens: 50_000,
            part_words: 400,
        }
    }
}

/// What callers may pass through to the API: features in beta, and what is newer than
/// this version of the service. Everything else is rejected by name. In each list, `*`
/// allows all. Default: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PassthroughConfig {
    /// Fields of `GenerateRequest.extra_json`, with the names of the objects that they
    /// are in: `context_management`, `output_config.task_budget`. Those of
    /// `Message.extra_json` begin with `messages`: `messages.clear_at`.
    pub fields: Vec<String>,
    /// Types of tools in `Tool.other_json`: `mcp_toolset`.
    pub tools: Vec<String>,
    /// Types of blocks in `ContentBlock.other` of `user` and `system` messages and of
    /// tool results: `compaction`.
    pub blocks: Vec<String>,
    /// Names of betas in the metadata `anthropic-beta`.
    pub betas: Vec<String>,
    /// Ids of workspaces in the metadata `anthropic-workspace-id`.
    pub workspaces: Vec<String>,
    /// Ids of user profiles in the metadata `anthropic-user-profile-id`.
    pub user_profiles: Vec<String>,
}

/// Defaults of Generate, GenerateStream and CountTokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateConfig {
    /// Model of requests that do not set one.
    pub model: String,
    /// Maximum number of output tokens of requests that do not set `max_tokens`;
    /// at least 1.
    pub max_tokens: u32,
    /// Whether identical concurrent unary calls share one upstream call. The
    /// metadata `claude-coalesce` overrides it per call.
    pub coalesce: bool,
    /// How old a response may be that the cache has of an earlier call with exactly the same
    /// request (`[response_cache]`). `0s` accepts none, and keeps none. The metadata
    /// `claude-cache-max-age`, in seconds, overrides it per call. Unary calls only.
    #[serde(with = "humantime_serde")]
    pub cache_max_age: Duration,
}

/// Defaults of Summarize and SummarizeStream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SummarizeConfig {
    /// Model of requests that do not set one.
    pub model: String,
    /// Maximum number of output tokens of requests that do not set `max_tokens`;
    /// at least 1. Raised automatically if the requested length needs more. Must
    /// leave room for thinking.
    pub max_tokens: u32,
    /// Effort that the model is asked for: `low`, `medium`, `high`, `xhigh` or
    /// `max`. A model that does not accept it is asked for the next lower level that
    /// it accepts, or for none. Unset, the default of the model applies.
    pub effort: Option<Effort>,
    /// Whether identical concurrent unary calls share one upstream call. The
    /// metadata `claude-coalesce` overrides it per call.
    pub coalesce: bool,
    /// How old a response may be that the cache has of an earlier call with exactly the same
    /// request (`[response_cache]`). `0s` accepts none, and keeps none. The metadata
    /// `claude-cache-max-age`, in seconds, overrides it per call. Unary calls only.
    #[serde(with = "humantime_serde")]
    pub cache_max_age: Duration,
}

/// Defaults of Classify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {
    /// Model of requests that do not set one.
    pub model: String,
    /// Maximum number of output tokens of requests that do not set `max_tokens`;
    /// at least 1. Raised automatically if the labels need more. Must leave room
    /// for thinking.
    pub max_tokens: u32,
    /// Effort that the model is asked for: `low`, `medium`, `high`, `xhigh` or
    /// `max`. A model that does not accept it is asked for the next lower level that
    /// it accepts, or for none. Unset, the default of the model applies.
    pub effort: Option<Effort>,
    /// Whether identical concurrent unary calls share one upstream call. The
    /// metadata `claude-coalesce` overrides it per call.
    pub coalesce: bool,
    /// How old a response may be that the cache has of an earlier call with exactly the same
    /// request (`[response_cache]`). `0s` accepts none, and keeps none. The metadata
    /// `claude-cache-max-age`, in seconds, overrides it per call. Unary calls only.
    #[serde(with = "humantime_serde")]
    pub cache_max_age: Duration,
    /// Whether the API caches the labels, with their descriptions and examples, where
    /// the model caches a prompt of that length. A second call with the same labels
    /// within five minutes pays for the first one's writing.
    pub cache_prompt: bool,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        GenerateConfig {
            model: "claude-sonnet-5-5".to_owned(),
            max_tokens: 4096,
            coalesce: false,
            cache_max_age: Duration::ZERO,
        }
    }
}

impl Default for SummarizeConfig {
    fn default() -> Self {
        SummarizeConfig {
            model: "claude-sonnet-5-5".to_owned(),
            max_tokens: 2048,
            effort: Some(Effort::Low),
            coalesce: true,
            cache_max_age: Duration::ZERO,
        }
    }
}

impl Default for ClassifyConfig {
    fn default() -> Self {
        ClassifyConfig {
            model: "claude-haiku-5-5".to_owned(),
            max_tokens: 1024,
            effort: Some(Effort::Low),
            coalesce: true,
            cache_max_age: Duration::ZERO,
            cache_prompt: true,
        }
    }
}

impl DocumentsConfig {
    fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.max_documents == 0 {
            wrong("documents.max_documents", "must be at least 1".to_owned());
        }
        for (key, value, allowed) in [
            ("parallel", self.parallel, 1..=256),
            ("part_tokens", self.part_tokens, 1000..=500_000),
            ("part_words", self.part_words, 50..=5000),
        ] {
            if !allowed.contains(&value) {
                let (least, most) = allowed.into_inner();
                let problem = format!("must be between {least} and {most}");
                wrong(&format!("documents.{key}"), problem);
            }
        }
    }
}

impl ServiceConfig {
    /// Every model that is named here.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let defaults = [
            &self.generate.model,
            &self.summarize.model,
            &self.classify.model,
        ];
        let models = defaults.into_iter().chain(&self.allowed_models);
        models.map(String::as_str)
    }

    /// Validates what the types do not express. Calls `wrong` with the key and
    /// the problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        self.documents.check(wrong);
        if !(1..=1024).contains(&self.items.parallel) {
            wrong("items.parallel", "must be between 1 and 1024".to_owned());
        }
        let ages = [
            ("generate.cache_max_age", self.generate.cache_max_age, true),
            (
                "summarize.cache_max_age",
                self.summarize.cache_max_age,
                true,
            ),
            ("classify.cache_max_age", self.classify.cache_max_age, true),
        ];
        duration_limits::check(ages, wrong);
        for model in &self.allowed_models {
            if !model::is_model_id(model) {
                wrong("allowed_models", format!("invalid model id {model:?}"));
            }
        }
        for (rpc, model, max_tokens) in [
            ("generate", &self.generate.model, self.generate.max_tokens),
            (
                "summarize",
                &self.summarize.model,
                self.summarize.max_tokens,
            ),
            ("classify", &self.classify.model, self.classify.max_tokens),
        ] {
            if !model::is_model_id(model) {
                wrong(
                    &format!("{rpc}.model"),
                    format!("invalid model id {model:?}"),
                );
            } else if !model::is_allowed(model, &self.allowed_models) {
                let problem = format!("{model:?} must be one of service.allowed_models");
                wrong(&format!("{rpc}.model"), problem);
            }
            if max_tokens == 0 {
                wrong(
                    &format!("{rpc}.max_tokens"),
                    "must be at least 1".to_owned(),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_models_are_allowed_ones() {
        let mut config = ServiceConfig {
            allowed_models: vec!["claude-sonnet-5-5".to_owned(), String::new()],
            ..ServiceConfig::default()
        };
        config.generate.model.clear();
        config.summarize.max_tokens = 0;
        let mut keys = Vec::new();
        config.check(&mut |key, _| keys.push(key.to_owned()));
        assert_eq!(
            keys,
            [
                "allowed_models",
                "generate.model",
                "summarize.max_tokens",
                "classify.model"
            ]
        );
        ServiceConfig::default().check(&mut |key, problem| panic!("{key} {problem}"));
    }
}
