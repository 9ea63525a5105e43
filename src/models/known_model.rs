//! One entry of the catalogue.

use super::{
    day::Day,
    pricing::{Price, Rates},
};
use crate::claude::request::{Effort, Thinking};
use serde::Deserialize;

/// Where figures are from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FigureSource {
    /// The page, or the package with its version and the file in it.
    pub page: String,
    /// The day on which it was read, or which it is dated.
    pub as_of: Day,
}

/// One model. Each group of figures names its sources by their keys in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// Id without a date, by which the service names the model.
    pub name: String,
    /// Id with a date, if the model has one: what the API's answers name.
    pub snapshot: Option<String>,
    /// Name for humans.
    pub display_name: String,
    /// The line of models: `opus`, `sonnet`, `haiku`, `fable` or `mythos`.
    pub line: String,
    /// Key of the tokenizer family.
    pub tokenizer: String,
    /// When it came, and when it goes.
    pub lifecycle: LifecycleDates,
    /// Sizes, in tokens.
    pub limits: ModelLimits,
    /// What requests may ask of it.
    pub rules: RequestRules,
    /// Its ids on other hosts.
    #[serde(default)]
    pub hosts: HostIds,
    /// Its prices, the oldest first. Empty if no source states one.
    #[serde(default)]
    pub prices: Vec<PricePeriod>,
}

/// When a model came, and when it goes. It is deprecated once its retirement is
/// planned.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecycleDates {
    /// The day of its release.
    pub released: Day,
    /// The day on which its deprecation was announced, if it was and is known.
    pub deprecated: Option<Day>,
    /// The day of its planned retirement from the Claude API; `None` while the model
    /// is active.
    pub retires: Option<Day>,
    /// The model that the provider recommends instead.
    pub replacement: Option<String>,
    /// Keys of the sources.
    pub source: Vec<String>,
}

/// The sizes of a model, in tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelLimits {
    /// Maximum input.
    pub context_window: u64,
    /// Maximum `max_tokens` of a request.
    pub max_output: u32,
    /// The shortest prefix that the prompt cache stores.
    pub cache_minimum: Option<u64>,
    /// Keys of the sources.
    pub source: Vec<String>,
}

/// What requests may ask of a model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRules {
    /// The values of `thinking.type` that it accepts.
    pub thinking: Vec<ThinkingType>,
    /// The highest effort at which its thinking can be turned off; `None` if it can
    /// at each.
    pub thinking_off_up_to: Option<Effort>,
    /// The effort levels that it accepts; empty if it has none.
    pub effort: Vec<Effort>,
    /// Whether `tool_choice` can force a tool.
    pub forced_tools: bool,
    /// Whether the last message can be the beginning of the answer.
    pub prefill: bool,
    /// Keys of the sources.
    pub source: Vec<String>,
}

/// A value of `thinking.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingType {
    /// The model decides when and how much to think.
    Adaptive,
    /// Thinking with a token budget.
    Enabled,
    /// Only short notes between tool calls.
    BetweenTools,
    /// No thinking.
    Disabled,
}

/// The ids of a model on other hosts. The Claude Platform on AWS has those of the
/// Claude API.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostIds {
    /// Amazon Bedrock, without the prefix of an inference profile.
    #[serde(default)]
    pub bedrock: Vec<String>,
    /// Google Cloud.
    pub vertex: Option<String>,
    /// The default name of a deployment in Microsoft Foundry.
    pub foundry: Option<String>,
    /// Keys of the sources.
    #[serde(default)]
    pub source: Vec<String>,
}

/// A price, from a day on until the next one of the model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricePeriod {
    /// The first day of the price.
    pub from: Day,
    /// Prices of calls up to `long_context_threshold`.
    pub rates: Rates,
    /// Input tokens above which the whole call is charged at `long_context_rates`.
    pub long_context_threshold: Option<u64>,
    /// Prices of calls with more input tokens.
    pub long_context_rates: Option<Rates>,
    /// Keys of the sources.
    pub source: Vec<String>,
}

impl KnownModel {
    /// The id that the API's answers name.
    pub fn id(&self) -> &str {
        self.snapshot.as_deref().unwrap_or(&self.name)
    }

    /// Its ids on the hosts where a call costs what it does on the Claude API.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let others = [&self.snapshot, &self.hosts.vertex, &self.hosts.foundry];
        let others = others.into_iter().flatten();
        std::iter::once(&self.name)
            .chain(others)
            .map(String::as_str)
    }
}

impl PricePeriod {
    /// The price without its dates.
    pub fn price(&self) -> Price {
        Price::new(
            self.rates,
            self.long_context_threshold,
            self.long_context_rates,
        )
    }
}

impl ThinkingType {
    /// The value in requests.
    pub fn name(self) -> &'static str {
        match self {
            ThinkingType::Adaptive => "adaptive",
            ThinkingType::Enabled => "enabled",
            ThinkingType::BetweenTools => "between_tools",
            ThinkingType::Disabled => "disabled",
        }
    }

    /// Whether the model does not think before its answer.
    pub fn is_off(self) -> bool {
        matches!(self, ThinkingType::BetweenTools | ThinkingType::Disabled)
    }
}

impl From<&Thinking> for ThinkingType {
    fn from(thinking: &Thinking) -> Self {
        match thinking {
            Thinking::Adaptive { .. } => ThinkingType::Adaptive,
            Thinking::Enabled { .. } => ThinkingType::Enabled,
            Thinking::BetweenTools {} => ThinkingType::BetweenTools,
            Thinking::Disabled {} => ThinkingType::Disabled,
        }
    }
}
