//! How much of a document a call to a model takes.

use super::super::model;
use crate::{
    documents::TextMeasure,
    models::{Day, KnownModel, catalogue},
};

/// The context window of a model that the catalogue does not know: the smallest one there.
const UNKNOWN_WINDOW: u64 = 200_000;

/// Tokens of the prompt around a text.
const PROMPT: u64 = 2_000;

/// The smallest size of a part that is worth a call, in tokens.
const LEAST_PART: u64 = 500;

/// How much more tokens a text may have than is estimated: tables and code have more than
/// prose.
const MARGIN: f64 = 1.25;

/// How much of a document a call takes, by an estimate of its tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CallSizes {
    /// Estimates the tokens of a text.
    pub measure: TextMeasure,
    /// Tokens of the text of the caller that each call has as well.
    pub prompt: u64,
    /// Maximum tokens of a document that goes in one call.
    pub whole: u64,
    /// Maximum tokens of a part of a longer one.
    pub part: u64,
}

// === impl CallSizes ===

impl CallSizes {
    /// For calls to a model with these `max_tokens`, and parts of `part_tokens` or fewer.
    /// `prompt` is the text of the caller that each call has as well.
    pub fn of(model: &str, max_tokens: u32, part_tokens: u64, prompt: &str, today: Day) -> Self {
        let known = catalogue().find(model);
        let window = known.map_or(UNKNOWN_WINDOW, |model| model.limits.context_window);
        let window = window.saturating_sub(u64::from(max_tokens));
        let cheapest = known.and_then(|model| threshold(model, today));
        let input = window
            .min(cheapest.unwrap_or(window))
            .saturating_sub(PROMPT);
        let measure = model::measure(model);
        let prompt = measure.tokens(prompt);
        let whole = ((input as f64 / MARGIN) as u64)
            .saturating_sub(prompt)
            .max(1);
        CallSizes {
            measure,
            prompt,
            whole,
            part: part_tokens.clamp(1, whole),
        }
    }

    /// The same, for documents that hold at most this many bytes.
    pub fn within(self, bytes: usize) -> Self {
        let tokens = self.measure.min_tokens(bytes);
        CallSizes {
            whole: self.whole.min(tokens),
            // One at work, and one that is read.
            part: self.part.min(tokens / 2),
            ..self
        }
    }

    /// How many parts may be at work at once, of at most this number, if a document holds at
    /// most these bytes.
    pub fn parallel(&self, most: usize, bytes: usize) -> usize {
        let parts = bytes / self.part_bytes().max(1);
        most.min(parts.saturating_sub(1)).max(1)
    }

    /// Whether there is room for a document.
    pub fn have_room(&self) -> bool {
        self.part >= LEAST_PART
    }

    /// The length in bytes of the longest part.
    pub fn part_bytes(&self) -> usize {
        self.measure.max_bytes(self.part)
    }
}

/// The input tokens above which a call costs more.
fn threshold(model: &KnownModel, today: Day) -> Option<u64> {
    let begun = model.prices.iter().rev().find(|it| it.from <= today);
    begun
        .or_else(|| model.prices.first())?
        .long_context_threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_fits_the_window_and_the_lower_price() {
        let today = Day::today();
        for model in catalogue().models() {
            let sizes = CallSizes::of(&model.name, 4096, 50_000, "", today);
            let most = sizes.whole as f64 * MARGIN + 4096.0 + PROMPT as f64;
            assert!(most <= model.limits.context_window as f64, "{}", model.name);
            if let Some(threshold) = threshold(model, today) {
                assert!(sizes.whole <= threshold, "{}", model.name);
            }
            assert_eq!(sizes.part, 50_000.min(sizes.whole), "{}", model.name);
        }
        let unknown = CallSizes::of("claude-unheard-of", 4096, 50_000, "", today);
        assert!((100_000..200_000).contains(&unknown.whole));
        assert!(unknown.have_room());
        assert!(!CallSizes::of("m", 300_000, 50_000, "", today).have_room());
        let small = unknown.within(100_000);
        assert_eq!((small.whole, small.part), (40_000, 20_000));
        assert_eq!(small.parallel(8, 100_000), 1);
        assert_eq!(unknown.parallel(8, 100_000_000), 8);
        let prompt = "label ".repeat(20_000);
        let beside = CallSizes::of("claude-unheard-of", 4096, 50_000, &prompt, today);
        assert_eq!(beside.whole, unknown.whole - beside.prompt);
    }
}
