//! The one catalogue of models: what each costs, what it accepts, when it retires
//! and what every host calls it.
//!
//! The figures are data, not code: `catalogue.toml`, compiled into the binary and
//! parsed once. Each group of figures names its sources, and each source its page
//! and the date on which it was read. What no source states is left out: a model
//! without a known price has no price, and nothing else in the repository holds
//! facts of a model.
//!
//! - **Lookup.** [`Catalogue::find`] accepts every id of the Claude API, with or
//!   without a date, and the ids of other hosts: `claude-haiku-4-5@20251001`,
//!   `eu.anthropic.claude-opus-4-6-v1`, the ARN of an inference profile. An id of
//!   the Claude API costs one hash lookup and no allocation; only ids that the
//!   table does not hold are taken apart.
//! - **Price.** A price holds from a date on, until the next one of the model. The
//!   [`PriceTable`] merges the catalogue with `limits.prices`, where an operator
//!   overrides or adds single models, and drops the periods that had ended when the
//!   process started: a call reads the clock only if a change of price is ahead.
//!   Inference profiles of Bedrock that stay in a region cost more; one whose price
//!   no source states has none.
//! - **No price is not a low price.** [`PriceTable::cost`] returns `None`, and who
//!   asks decides. A client with a budget in dollars is refused; elsewhere the call
//!   passes, the cost metric adds nothing, and its tokens count as unpriced. An
//!   invented price would be wrong in either direction: the most expensive model is
//!   not the one whose cache reads cost most.
//! - **Lifecycle.** The dates serve the warnings before a model retires. Nothing
//!   here refuses a retired model: that answer is the API's.
//!
//! Users: budgets (`access::limits`), cost metric and retirement warnings
//! (`telemetry`), circuits (`upstream::breaker`), and the simulator, which offers
//! exactly these models with exactly these rules.

mod bedrock_id;
mod catalogue;
mod day;
mod known_model;
mod model_needs;
mod price_table;
mod pricing;
mod tokens;

pub use catalogue::{
    BatchDiscount, BedrockPremiums, Catalogue, ModelOnHost, TokenizerFamily, catalogue, name_of,
};
pub use day::Day;
pub use known_model::{
    FigureSource, HostIds, KnownModel, LifecycleDates, ModelLimits, PricePeriod, RequestRules,
    ThinkingType,
};
pub use model_needs::ModelNeeds;
pub use price_table::PriceTable;
pub use pricing::{ModelPrice, Nanodollars, Price, Rates, in_dollars};
pub use tokens::Tokens;

#[cfg(test)]
mod tests;
