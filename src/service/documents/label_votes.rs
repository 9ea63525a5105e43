//! The labels of a document, from those of its parts.

use super::super::classify::LabelChoice;
use crate::proto::v1;

/// Confidences are summed in billionths, so that their order does not matter.
const BILLION: f64 = 1e9;

/// Collects the labels of parts. The result does not depend on their order.
#[derive(Debug)]
pub struct LabelVotes {
    multi_label: bool,
    names: Vec<String>,
    /// For each label, the tokens of the parts that have it.
    votes: Vec<u64>,
    /// The tokens of the parts that have none.
    none: u64,
    /// For each label, the sum of confidences times tokens, or the highest confidence, in
    /// billionths.
    confidences: Vec<u128>,
    tokens: u64,
    parts: Vec<PartReason>,
    last: (i64, v1::ClassifyResponse),
}

/// Why a part has its labels.
#[derive(Debug)]
struct PartReason {
    number: i64,
    reason: String,
    /// Its labels, with the confidences in them.
    labels: Vec<(usize, f64)>,
}

// === impl LabelVotes ===

impl LabelVotes {
    /// For documents with this choice of labels.
    pub fn new(choice: LabelChoice<'_>) -> Self {
        let names: Vec<String> = choice.labels.iter().map(|it| it.name.clone()).collect();
        LabelVotes {
            multi_label: choice.multi_label,
            votes: vec![0; names.len()],
            none: 0,
            confidences: vec![0; names.len()],
            tokens: 0,
            parts: Vec::new(),
            last: (-1, v1::ClassifyResponse::default()),
            names,
        }
    }

    /// Adds the labels of a part with this number and these tokens. Confidences come in the
    /// order of the labels.
    pub fn add(&mut self, part: v1::ClassifyResponse, number: i64, tokens: u64) {
        let mut labels = Vec::new();
        self.tokens += tokens;
        for (index, name) in self.names.iter().enumerate() {
            let confidence = part.confidences.get(index).map_or(0.0, |it| it.confidence);
            let sum = &mut self.confidences[index];
            let billionths = (confidence * BILLION).round() as u128;
            *sum = match self.multi_label {
                true => billionths.max(*sum),
                false => *sum + billionths * u128::from(tokens),
            };
            if part.labels.contains(name) {
                self.votes[index] += tokens;
                labels.push((index, confidence));
            }
        }
        if labels.is_empty() {
            self.none += tokens;
        }
        if !part.reason.is_empty() {
            self.parts.push(PartReason {
                number,
                reason: part.reason.clone(),
                labels,
            });
        }
        if number > self.last.0 {
            self.last = (number, part);
        }
    }

    /// The labels of the document. Its usage and calls are not those of all parts.
    pub fn result(self) -> v1::ClassifyResponse {
        let has = self.chosen();
        let reason = self.reason(&has);
        let divisor = match self.multi_label {
            true => 1.0,
            false => self.tokens.max(1) as f64,
        };
        let confidences = self.names.iter().zip(&self.confidences);
        let confidences = confidences.map(|(label, sum)| v1::LabelConfidence {
            label: label.clone(),
            confidence: *sum as f64 / divisor / BILLION,
        });
        v1::ClassifyResponse {
            labels: has.iter().map(|index| self.names[*index].clone()).collect(),
            confidences: confidences.collect(),
            reason,
            ..self.last.1
        }
    }

    /// The indexes of the labels that the document has.
    fn chosen(&self) -> Vec<usize> {
        let indexes = 0..self.names.len();
        if self.multi_label {
            return indexes.filter(|index| self.votes[*index] > 0).collect();
        }
        // The first of those with the same weight.
        let first = indexes.rev().max_by_key(|index| self.votes[*index]);
        let most = first.filter(|index| self.votes[*index] > 0 && self.votes[*index] >= self.none);
        most.into_iter().collect()
    }

    /// The reason of the part that has one of these labels with the highest confidence; of
    /// the first part without labels, if the document has none.
    fn reason(&self, has: &[usize]) -> String {
        let best = self.parts.iter().filter_map(|part| {
            let of_document = part.labels.iter().filter(|(index, _)| has.contains(index));
            let confidences = of_document.map(|(_, confidence)| *confidence);
            let highest = match has.is_empty() {
                true => part.labels.is_empty().then_some(0.0),
                false => confidences.max_by(f64::total_cmp),
            };
            highest.map(|confidence| (confidence, part))
        });
        let best = best.max_by(|(left, first), (right, second)| {
            let by_number = second.number.cmp(&first.number);
            left.total_cmp(right).then(by_number)
        });
        best.map_or_else(String::new, |(_, part)| part.reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(labels: &[v1::Label], multi_label: bool) -> LabelChoice<'_> {
        LabelChoice {
            labels,
            multi_label,
            allow_none: true,
            include_reason: true,
        }
    }

    fn labels() -> [v1::Label; 2] {
        ["a", "b"].map(|name| v1::Label {
            name: name.to_owned(),
            ..v1::Label::default()
        })
    }

    fn part(label: &[&str], a: f64, b: f64) -> v1::ClassifyResponse {
        let confidences = [("a", a), ("b", b)].map(|(label, confidence)| v1::LabelConfidence {
            label: label.to_owned(),
            confidence,
        });
        v1::ClassifyResponse {
            labels: label.iter().map(|it| (*it).to_owned()).collect(),
            confidences: confidences.to_vec(),
            reason: format!("{label:?} {a} {b}"),
            ..v1::ClassifyResponse::default()
        }
    }

    fn result(multi_label: bool, parts: &[(v1::ClassifyResponse, u64)]) -> v1::ClassifyResponse {
        let labels = labels();
        let votes = |order: &mut dyn Iterator<Item = usize>| {
            let mut votes = LabelVotes::new(choice(&labels, multi_label));
            for number in order {
                let (part, tokens) = parts[number].clone();
                votes.add(part, number as i64, tokens);
            }
            votes.result()
        };
        let result = votes(&mut (0..parts.len()));
        assert_eq!(votes(&mut (0..parts.len()).rev()), result, "in any order");
        result
    }

    #[test]
    fn one_label_is_that_of_most_tokens() {
        let parts = [
            (part(&["a"], 0.9, 0.1), 100),
            (part(&["b"], 0.2, 0.6), 300),
            (part(&["a"], 0.8, 0.2), 100),
        ];
        let result = result(false, &parts);
        assert_eq!(result.labels, ["b"]);
        assert!((result.confidences[0].confidence - 0.46).abs() < 1e-9);
        assert!((result.confidences[1].confidence - 0.42).abs() < 1e-9);
        assert_eq!(result.reason, r#"["b"] 0.2 0.6"#);
    }

    #[test]
    fn none_is_a_vote_and_the_first_label_wins_a_tie() {
        let none = (part(&[], 0.3, 0.1), 300);
        let tie = [(part(&["b"], 0.0, 1.0), 100), (part(&["a"], 1.0, 0.0), 100)];
        assert_eq!(result(false, &tie).labels, ["a"]);
        let with_none = [tie[0].clone(), none, tie[1].clone()];
        let nothing = result(false, &with_none);
        assert_eq!(nothing.labels, [""; 0]);
        assert_eq!(nothing.reason, "[] 0.3 0.1");
    }

    #[test]
    fn several_labels_are_those_of_any_part() {
        let parts = [
            (part(&["a"], 0.9, 0.1), 100),
            (part(&[], 0.1, 0.4), 900),
            (part(&["a", "b"], 0.5, 0.7), 10),
        ];
        let result = result(true, &parts);
        assert_eq!(result.labels, ["a", "b"]);
        assert_eq!(result.confidences[0].confidence, 0.9);
        assert_eq!(result.confidences[1].confidence, 0.7);
        assert_eq!(result.reason, r#"["a"] 0.9 0.1"#);
    }
}
