//! Choosing among options by the words that they share with a text.

use super::words::{WordCounts, stems};
use std::collections::{HashMap, HashSet};

/// How much more the name of an option says than what is said about it.
const NAME_WEIGHT: f64 = 2.0;

/// Of several options, those with this share of the best score are chosen too.
const ALSO_CHOSEN: f64 = 0.6;

/// Options with how well each fits.
#[derive(Debug)]
pub(super) struct Scores {
    /// Names of the options, in the order of the scores.
    pub(super) names: Vec<String>,
    /// 0 where nothing is shared.
    scores: Vec<f64>,
    best: f64,
}

impl Scores {
    /// Scores options for a text. An option is described by the lines of
    /// `instructions` that name it.
    pub(super) fn new(names: Vec<String>, instructions: &str, text: &WordCounts) -> Self {
        let mut weights: Vec<HashMap<String, f64>> = names
            .iter()
            .map(|name| weights(name, &about(name, instructions)))
            .collect();
        let mut options_with: HashMap<String, u32> = HashMap::new();
        for stem in weights.iter().flat_map(HashMap::keys) {
            *options_with.entry(stem.clone()).or_insert(0) += 1;
        }
        let scores: Vec<f64> = weights
            .iter_mut()
            .map(|weights| {
                // Sorted, so that the sum is the same in every run.
                let mut parts: Vec<f64> = weights
                    .iter()
                    .map(|(stem, weight)| {
                        weight * text.affinity(stem) / f64::from(options_with[stem])
                    })
                    .collect();
                parts.sort_by(f64::total_cmp);
                let all = (1.0 + weights.len() as f64).ln().max(1.0);
                parts.iter().sum::<f64>() / all
            })
            .collect();
        let best = scores.iter().copied().fold(0.0, f64::max);
        Scores {
            names,
            scores,
            best,
        }
    }

    /// Whether any option shares anything with the text.
    pub(super) fn any(&self) -> bool {
        self.best > 0.0
    }

    /// The best option; the first of equals.
    pub(super) fn best(&self) -> usize {
        self.scores
            .iter()
            .position(|score| *score == self.best)
            .unwrap_or(0)
    }

    /// All options that fit about as well as the best.
    pub(super) fn good(&self) -> Vec<usize> {
        (0..self.scores.len())
            .filter(|index| self.any() && self.scores[*index] >= ALSO_CHOSEN * self.best)
            .collect()
    }

    /// All options, best first.
    pub(super) fn ranked(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|a, b| self.scores[*b].total_cmp(&self.scores[*a]));
        order
    }

    /// A plausible confidence in an option, from 0 to 1; all of them make
    /// about 1 together.
    pub(super) fn share(&self, index: usize) -> f64 {
        if !self.any() {
            return rounded(1.0 / self.scores.len().max(1) as f64);
        }
        let sharpened = |score: &f64| (score + 0.05 * self.best).powi(2);
        let sum: f64 = self.scores.iter().map(sharpened).sum();
        rounded(sharpened(&self.scores[index]) / sum)
    }

    /// A plausible confidence in an option when several can hold at once.
    pub(super) fn alone(&self, index: usize) -> f64 {
        let relative = if self.any() {
            self.scores[index] / self.best
        } else {
            0.0
        };
        rounded(0.05 + 0.9 * relative)
    }
}

fn rounded(share: f64) -> f64 {
    (share * 1000.0).round() / 1000.0
}

fn weights(name: &str, about: &str) -> HashMap<String, f64> {
    let mut weights: HashMap<String, f64> = stems(about).map(|stem| (stem, 1.0)).collect();
    // `camelCase` and `snake_case` names are words too.
    let spaced: String = name
        .chars()
        .flat_map(|c| [c.is_uppercase().then_some(' '), Some(c)])
        .flatten()
        .collect();
    let in_name: HashSet<String> = stems(name).chain(stems(&spaced)).collect();
    weights.extend(in_name.into_iter().map(|stem| (stem, NAME_WEIGHT)));
    weights
}

/// The lines that describe an option: those that quote it or begin with it.
fn about(name: &str, instructions: &str) -> String {
    let quoted = serde_json::to_string(name).unwrap_or_default();
    instructions
        .lines()
        .filter(|line| line.contains(&quoted) || begins_with(line, name))
        .collect::<Vec<_>>()
        .join("\n")
}

fn begins_with(line: &str, name: &str) -> bool {
    let line = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    line.strip_prefix(name)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"The labels, one JSON object a line:
{"label":"billing","description":"Invoices, payments and refunds"}
{"label":"bug","description":"The software crashes or does wrong things"}
- praise: thanks and kind words
Choose the one label that fits best."#;

    fn scores(text: &str) -> Scores {
        let names = ["billing", "bug", "praise"].map(str::to_owned).to_vec();
        Scores::new(names, TOLD, &WordCounts::of(text))
    }

    #[test]
    fn the_label_that_shares_most_words_is_chosen() {
        for (text, label) in [
            ("Please refund my last payment.", "billing"),
            (
                "The app crashed again when I opened the invoice; it crashes daily.",
                "bug",
            ),
            ("Many thanks for your kind help!", "praise"),
            ("I was billed twice.", "billing"),
        ] {
            let scores = scores(text);
            assert_eq!(scores.names[scores.best()], label, "{text}");
            let sum: f64 = (0..3).map(|index| scores.share(index)).sum();
            assert!((sum - 1.0).abs() < 0.01);
            assert_eq!(scores.ranked()[0], scores.best());
        }
    }

    #[test]
    fn a_text_that_shares_nothing_says_so() {
        let scores = scores("Quantum chromodynamics.");
        assert!(!scores.any());
        assert!(scores.good().is_empty());
        assert_eq!(scores.share(0), 0.333);
    }
}
