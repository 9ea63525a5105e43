//! What a document took.

use super::super::answer;
use crate::{
    models::{Day, PriceTable, Tokens, in_dollars},
    proto::v1,
};

/// Counts what a document takes.
#[derive(Debug)]
pub struct DocumentTotals {
    prices: PriceTable,
    plan: v1::DocumentPlan,
    usage: v1::Usage,
    /// In US dollars; `None` once the price of a model is not known.
    dollars: Option<f64>,
}

// === impl DocumentTotals ===

impl DocumentTotals {
    /// Nothing yet, at these prices.
    pub fn new(prices: PriceTable) -> Self {
        DocumentTotals {
            prices,
            plan: v1::DocumentPlan {
                levels: 1,
                ..v1::DocumentPlan::default()
            },
            usage: v1::Usage::default(),
            dollars: Some(0.0),
        }
    }

    /// Counts a part of the document.
    pub fn add_part(&mut self) {
        self.plan.parts += 1;
    }

    /// Begins the next level.
    pub fn add_level(&mut self) {
        self.plan.levels += 1;
    }

    /// The number of the level, from 0.
    pub fn level(&self) -> i32 {
        self.plan.levels - 1
    }

    /// Counts calls by what they used together.
    pub fn add_calls(&mut self, model: &str, usage: v1::Usage, calls: i32) {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let written = count(usage.cache_creation_input_tokens);
        let for_an_hour = count(usage.cache_creation_1h_input_tokens).min(written);
        let tokens = Tokens {
            input: count(usage.input_tokens),
            output: count(usage.output_tokens),
            cache_read: count(usage.cache_read_input_tokens),
            cache_write_5m: written - for_an_hour,
            cache_write_1h: for_an_hour,
        };
        self.add_tokens(model, &tokens, calls);
        answer::add_usage(&mut self.usage, usage);
    }

    /// Counts a call by what it is expected to use.
    pub fn add_expected_call(&mut self, model: &str, input: u64, output: u64) {
        let tokens = Tokens {
            input,
            output,
            ..Tokens::default()
        };
        self.add_tokens(model, &tokens, 1);
    }

    fn add_tokens(&mut self, model: &str, tokens: &Tokens, calls: i32) {
        self.plan.calls += i64::from(calls);
        self.plan.input_tokens += answer::saturating(tokens.all_input());
        self.plan.output_tokens += answer::saturating(tokens.output);
        let cost = self.prices.cost(model, tokens, Day::today);
        let cost = cost.map(in_dollars);
        self.dollars = self.dollars.zip(cost).map(|(sum, cost)| sum + cost);
    }

    /// The counts, for a document of this length.
    pub fn plan(&self, bytes: u64) -> v1::DocumentPlan {
        v1::DocumentPlan {
            bytes: answer::saturating(bytes),
            dollars: self.dollars,
            ..self.plan.clone()
        }
    }

    /// The counts of what is planned, with this model.
    pub fn plan_for(&self, model: &str, bytes: u64) -> v1::DocumentPlan {
        v1::DocumentPlan {
            model: model.to_owned(),
            ..self.plan(bytes)
        }
    }

    /// The tokens of all calls.
    pub fn usage(&self) -> v1::Usage {
        self.usage.clone()
    }

    /// The number of calls that were counted.
    pub fn calls(&self) -> i64 {
        self.plan.calls
    }

    /// How far a document is of which this many bytes have come.
    pub fn progress(&self, bytes: u64, in_flight: usize) -> v1::DocumentProgress {
        v1::DocumentProgress {
            received_bytes: answer::saturating(bytes),
            finished_calls: self.plan.calls,
            calls_in_flight: answer::saturating(in_flight as u64),
            level: self.level(),
        }
    }
}
