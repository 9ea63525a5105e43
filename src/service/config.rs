//! `[service]`: models and defaults of the RPCs.

use super::model;
use crate::claude::request::Effort;
use serde::{Deserialize, Serialize};

/// Models and defaults of the RPCs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// Models that callers may ask for; empty for any.
    pub allowed_models: Vec<String>,
    /// Defaults of Generate, GenerateStream and CountTokens.
    pub generate: GenerateConfig,
    /// Defaults of Summarize and SummarizeStream.
    pub summarize: SummarizeConfig,
    /// Defaults of Classify.
    pub classify: ClassifyConfig,
}

/// Defaults of Generate, GenerateStream and CountTokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateConfig {
    /// Model of requests that name none.
    pub model: String,
    /// `max_tokens` of requests that give none.
    pub max_tokens: u32,
    /// Whether identical unary calls in flight at the same moment share one
    /// upstream call unless the metadata `claude-coalesce` says otherwise.
    pub coalesce: bool,
}

/// Defaults of Summarize and SummarizeStream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SummarizeConfig {
    /// Model of requests that name none.
    pub model: String,
    /// `max_tokens` of requests that give none, unless their length asks for
    /// more. Has to leave room for thinking.
    pub max_tokens: u32,
    /// Effort asked of the model; without it the model's own applies (older
    /// models refuse the setting).
    pub effort: Option<Effort>,
    /// Whether identical unary calls in flight at the same moment share one
    /// upstream call unless the metadata `claude-coalesce` says otherwise.
    pub coalesce: bool,
}

/// Defaults of Classify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {
    /// Model of requests that name none.
    pub model: String,
    /// `max_tokens` of requests that give none, unless their labels need more.
    /// Has to leave room for thinking.
    pub max_tokens: u32,
    /// Effort asked of the model; without it the model's own applies (older
    /// models refuse the setting).
    pub effort: Option<Effort>,
    /// Whether identical unary calls in flight at the same moment share one
    /// upstream call unless the metadata `claude-coalesce` says otherwise.
    pub coalesce: bool,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        GenerateConfig {
            model: "claude-sonnet-5-5".to_owned(),
            max_tokens: 4096,
            coalesce: false,
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
        }
    }
}

impl ServiceConfig {
    /// Checks what the types do not say. `wrong` is told the key and the
    /// problem of each fault.
    pub fn check(&self, wrong: &mut dyn FnMut(&str, String)) {
        for model in &self.allowed_models {
            if !model::is_model_id(model) {
                wrong("allowed_models", format!("{model:?} is no model id"));
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
                wrong(&format!("{rpc}.model"), format!("{model:?} is no model id"));
            } else if !model::is_allowed(model, &self.allowed_models) {
                let problem = format!("{model:?} is not in service.allowed_models");
                wrong(&format!("{rpc}.model"), problem);
            }
            if max_tokens == 0 {
                wrong(
                    &format!("{rpc}.max_tokens"),
                    "has to be at least 1".to_owned(),
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
