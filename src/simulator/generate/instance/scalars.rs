//! Numbers, texts and truth values.

use super::{
    super::{
        found::{is_date, is_email, names},
        keywords::{is_confidence, text_of},
        pattern,
        prompt::{MARK, shortened},
        sentences::sentences,
        words::stems,
    },
    Filling,
};
use serde_json::{Map, Number, Value, json};
use std::collections::HashSet;

/// Maximum characters of a text that fills a field.
const FIELD: usize = 160;

impl Filling<'_> {
    pub(super) fn number(&self, schema: &Map<String, Value>, name: &str, integer: bool) -> Value {
        let bound = |keyword| schema.get(keyword).and_then(Value::as_f64);
        let step = bound("multipleOf").filter(|step| *step > 0.0);
        // The least distance from a bound that is itself excluded.
        let apart = step.unwrap_or(if integer { 1.0 } else { 1e-6 });
        let least = bound("minimum")
            .unwrap_or(f64::MIN)
            .max(bound("exclusiveMinimum").map_or(f64::MIN, |it| it + apart));
        let most = bound("maximum")
            .unwrap_or(f64::MAX)
            .min(bound("exclusiveMaximum").map_or(f64::MAX, |it| it - apart));
        let confident = !integer && is_confidence(name, text_of(schema, "description"));
        let wanted = if confident {
            self.chosen
                .as_ref()
                .map_or(0.5, |(scores, _)| scores.share(scores.best()))
        } else {
            self.number_in_text(integer).unwrap_or(1.0)
        };
        let mut value = wanted.max(least).min(most);
        if let Some(step) = step {
            value = (value / step).ceil() * step;
            if value > most {
                value -= step;
            }
        } else if integer {
            value = if value < least.ceil() {
                least.ceil()
            } else {
                value.trunc().max(least.ceil())
            };
        }
        // A figure that is whole is written so, whatever the type.
        if value.fract() == 0.0 && value.abs() < 9e15 {
            return json!(value as i64);
        }
        Number::from_f64(value).map_or_else(|| json!(1), Value::Number)
    }

    fn number_in_text(&self, integer: bool) -> Option<f64> {
        self.prompt
            .subject
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()))
            .filter_map(|word| word.replace(',', "").parse::<f64>().ok())
            .find(|number| number.abs() < 1e15 && (!integer || number.fract() == 0.0))
    }

    pub(super) fn boolean(&self, schema: &Map<String, Value>, name: &str) -> Value {
        let about = format!(
            "{} {}",
            name.replace('_', " "),
            text_of(schema, "description")
        );
        json!(stems(&about).any(|stem| self.words.affinity(&stem) > 0.0))
    }

    pub(super) fn string(&self, schema: &Map<String, Value>, name: &str) -> String {
        if let Some(text) = schema
            .get("format")
            .and_then(Value::as_str)
            .and_then(|format| self.formatted(format))
        {
            return text;
        }
        let pattern = schema.get("pattern").and_then(Value::as_str);
        if let Some(text) = pattern.and_then(pattern::example) {
            return text;
        }
        let mut text = if self.marked {
            let about = format!(
                "{} {}",
                name.replace('_', " "),
                text_of(schema, "description")
            );
            format!("{MARK}{}", self.sentence_about(&about))
        } else {
            self.argument(name)
        };
        let length = |keyword| {
            schema
                .get(keyword)
                .and_then(Value::as_u64)
                .map(|it| it as usize)
        };
        if let Some(most) = length("maxLength") {
            text = text.chars().take(most).collect();
        }
        if let Some(least) = length("minLength") {
            let missing = least.saturating_sub(text.chars().count());
            text.extend(std::iter::repeat_n('.', missing));
        }
        text
    }

    fn formatted(&self, format: &str) -> Option<String> {
        let found = |is: fn(&str) -> bool| {
            let words = self.prompt.subject.split_whitespace();
            words
                .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
                .find(|word| is(word))
                .map(str::to_owned)
        };
        let or = |text: &str| Some(text.to_owned());
        match format {
            "date-time" => or("2026-01-01T12:00:00Z"),
            "date" => found(is_date).or_else(|| or("2026-01-01")),
            "time" => or("12:00:00Z"),
            "duration" => or("P1D"),
            "email" => found(is_email).or_else(|| or("someone@example.com")),
            "hostname" => or("example.com"),
            "uri" => or("https://example.com/"),
            "ipv4" => or("192.0.2.1"),
            "ipv6" => or("2001:db8::1"),
            "uuid" => or("00000000-0000-4000-8000-000000000000"),
            _ => None,
        }
    }

    /// The sentence of the text that shares most words with the description of
    /// a field.
    fn sentence_about(&self, about: &str) -> String {
        let about: HashSet<String> = stems(about).collect();
        let mut best = (0, String::new());
        for sentence in sentences(&self.prompt.subject) {
            let shared = 1 + stems(&sentence).filter(|stem| about.contains(stem)).count();
            if shared > best.0 {
                best = (shared, sentence);
            }
        }
        shortened(&best.1, FIELD)
    }

    /// What the user's text may want for an argument: what it quotes, the
    /// last name in it, or all of it.
    fn argument(&self, name: &str) -> String {
        let text = &self.prompt.whole;
        if let Some(quoted) = text.split('"').nth(1).filter(|it| !it.is_empty()) {
            return shortened(quoted, FIELD);
        }
        let name = name.to_lowercase();
        let wants_name = [
            "location", "city", "place", "country", "name", "person", "ticker",
        ]
        .iter()
        .any(|word| name.contains(word));
        let names = names(text);
        match names.last() {
            Some(last) if wants_name => last.clone(),
            _ => shortened(text, FIELD),
        }
    }
}
