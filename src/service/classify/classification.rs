//! Parses the model's answer and checks it against the contract.

use super::schema::{LabelChoice, confidence_key};
use crate::{
    claude::{answer::Message, json_string},
    proto::v1,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// What the model decided.
#[derive(Debug, PartialEq)]
pub struct Classification {
    /// The chosen labels, in the order of the request.
    pub labels: Vec<String>,
    /// One confidence per label, in the order of the request.
    pub confidences: Vec<v1::LabelConfidence>,
    /// Empty unless requested.
    pub reason: String,
}

/// How an answer breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// The model refused, with the policy category if the API reported one.
    Refused(Option<String>),
    /// The answer was truncated by `max_tokens` or by the context window.
    Cut,
    /// The answer does not match what was requested.
    Mismatch(&'static str),
}

const OTHER_SCHEMA: Breach = Breach::Mismatch("it does not match the requested schema");

/// The answer as defined by the schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer<'a> {
    /// Any text, of which an escape may be half of a character.
    #[serde(default, borrow)]
    reason: Option<&'a RawValue>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    labels: Option<Vec<String>>,
    confidences: HashMap<String, f64>,
}

/// Parses an answer.
///
/// # Errors
/// When it breaks the contract. Nothing is guessed to fix it: the caller may
/// ask once more.
pub fn read(message: &Message, choice: LabelChoice<'_>) -> Result<Classification, Breach> {
    match message.stop_reason.as_deref() {
        Some("refusal") => {
            let details = message.stop_details.as_ref();
            return Err(Breach::Refused(details.and_then(|it| it.category.clone())));
        }
        Some("max_tokens" | "model_context_window_exceeded") => return Err(Breach::Cut),
        _ => {}
    }
    let text = message.text();
    let answer: Answer<'_> = serde_json::from_str(&text).map_err(|_| OTHER_SCHEMA)?;
    Ok(Classification {
        labels: chosen(&answer, choice)?,
        confidences: confidences(&answer.confidences, choice.labels)?,
        reason: reason(answer.reason, choice)?,
    })
}

fn chosen(answer: &Answer<'_>, choice: LabelChoice<'_>) -> Result<Vec<String>, Breach> {
    let chosen: Vec<&str> = match (&answer.labels, &answer.label) {
        (Some(labels), None) if choice.multi_label => labels.iter().map(String::as_str).collect(),
        (None, label) if !choice.multi_label => label.as_deref().into_iter().collect(),
        _ => return Err(Breach::Mismatch("it does not name the chosen labels")),
    };
    if chosen.is_empty() && !choice.allow_none {
        return Err(Breach::Mismatch("it chose no label"));
    }
    let in_set = |name: &&str| choice.labels.iter().any(|label| label.name == *name);
    if !chosen.iter().all(in_set) {
        return Err(Breach::Mismatch("it chose a label outside the set"));
    }
    let in_order = choice
        .labels
        .iter()
        .filter(|label| chosen.contains(&label.name.as_str()));
    Ok(in_order.map(|label| label.name.clone()).collect())
}

fn confidences(
    given: &HashMap<String, f64>,
    labels: &[v1::Label],
) -> Result<Vec<v1::LabelConfidence>, Breach> {
    if given.len() != labels.len() {
        return Err(Breach::Mismatch(
            "it does not have one confidence per label",
        ));
    }
    labels
        .iter()
        .enumerate()
        .map(|(index, label)| match given.get(&confidence_key(index)) {
            Some(confidence) if (0.0..=1.0).contains(confidence) => Ok(v1::LabelConfidence {
                label: label.name.clone(),
                confidence: *confidence,
            }),
            Some(_) => Err(Breach::Mismatch("a confidence is not between 0 and 1")),
            None => Err(Breach::Mismatch(
                "it does not have one confidence per label",
            )),
        })
        .collect()
}

fn reason(reason: Option<&RawValue>, choice: LabelChoice<'_>) -> Result<String, Breach> {
    match reason {
        Some(reason) if choice.include_reason => {
            json_string::decode(reason.get()).ok_or(OTHER_SCHEMA)
        }
        None if !choice.include_reason => Ok(String::new()),
        Some(_) => Err(Breach::Mismatch("it has a reason that was not requested")),
        None => Err(Breach::Mismatch("it has no reason")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn labels() -> Vec<v1::Label> {
        ["bug", "billing"]
            .map(|name| v1::Label {
                name: name.to_owned(),
                ..v1::Label::default()
            })
            .to_vec()
    }

    fn message(text: &str, stop_reason: &str) -> Message {
        let answer = json!({
            "id": "msg_1",
            "model": "m",
            "content": [{"type": "text", "text": text}],
            "stop_reason": stop_reason,
            "usage": {},
        });
        Message::read(answer.to_string().as_bytes()).unwrap()
    }

    fn read_text(
        text: &str,
        multi_label: bool,
        allow_none: bool,
    ) -> Result<Classification, Breach> {
        let labels = labels();
        let choice = LabelChoice {
            labels: &labels,
            multi_label,
            allow_none,
            include_reason: false,
        };
        read(&message(text, "end_turn"), choice)
    }

    #[test]
    fn labels_come_in_the_order_of_the_set_and_once() {
        let text =
            r#"{"labels":["billing","bug","billing"],"confidences":{"label_1":0.5,"label_2":1}}"#;
        let classification = read_text(text, true, false).unwrap();
        assert_eq!(classification.labels, ["bug", "billing"]);
        assert_eq!(classification.confidences[1].confidence, 1.0);
    }

    #[test]
    fn every_breach_is_found() {
        let sure = r#""confidences":{"label_1":0.5,"label_2":0.5}"#;
        for wrong in [
            "The label is bug.".to_owned(),
            format!(r#"{{"label":"Bug",{sure}}}"#),
            format!(r#"{{"label":"fraud",{sure}}}"#),
            format!(r#"{{"label":null,{sure}}}"#),
            format!(r#"{{"labels":["bug"],{sure}}}"#),
            format!(r#"{{"label":"bug","reason":"why",{sure}}}"#),
            r#"{"label":"bug","confidences":{"label_1":0.5}}"#.to_owned(),
            r#"{"label":"bug","confidences":{"label_1":0.5,"label_2":1.5}}"#.to_owned(),
            r#"{"label":"bug"}"#.to_owned(),
        ] {
            let breach = read_text(&wrong, false, false).unwrap_err();
            assert!(matches!(breach, Breach::Mismatch(_)), "{wrong}: {breach:?}");
        }
        let none = format!(r#"{{"label":null,{sure}}}"#);
        assert_eq!(read_text(&none, false, true).unwrap().labels, [""; 0]);
    }

    #[test]
    fn a_reason_may_have_half_of_a_character() {
        let labels = labels();
        let choice = LabelChoice {
            labels: &labels,
            multi_label: false,
            allow_none: false,
            include_reason: true,
        };
        let read_reason = |reason: &str| {
            let sure = r#""confidences":{"label_1":0.5,"label_2":0.5}"#;
            let text = format!(r#"{{"reason":{reason},"label":"bug",{sure}}}"#);
            read(&message(&text, "end_turn"), choice).map(|it| it.reason)
        };
        let half = read_reason(r#""\ud83d \ud83d\ude00 \"why\"""#);
        assert_eq!(half.unwrap(), "\u{FFFD} 😀 \"why\"");
        for wrong in ["7", "null", "[]"] {
            assert!(read_reason(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_cut_or_refused_answer_is_a_breach_even_if_it_reads_well() {
        let text = r#"{"label":"bug","confidences":{"label_1":1,"label_2":0}}"#;
        let labels = labels();
        let choice = LabelChoice {
            labels: &labels,
            multi_label: false,
            allow_none: false,
            include_reason: false,
        };
        assert_eq!(read(&message(text, "max_tokens"), choice), Err(Breach::Cut));
        assert_eq!(
            read(&message(text, "refusal"), choice),
            Err(Breach::Refused(None))
        );
    }

    proptest! {
        /// Whatever the model writes, only labels of the request are returned.
        #[test]
        fn never_a_wrong_label(
            names in prop::collection::vec("[a-z]{1,4}|bug|billing", 0..4),
            sure in prop::collection::vec(-1.0..2.0f64, 0..4),
            multi_label: bool,
            allow_none: bool,
        ) {
            let confidences: serde_json::Map<_, _> = sure
                .iter()
                .enumerate()
                .map(|(index, sure)| (confidence_key(index), json!(sure)))
                .collect();
            let text = json!({"labels": names, "confidences": confidences}).to_string();
            if let Ok(classification) = read_text(&text, multi_label, allow_none) {
                let set = ["bug", "billing"];
                prop_assert!(classification.labels.iter().all(|name| set.contains(&name.as_str())));
                prop_assert!(allow_none || !classification.labels.is_empty());
                prop_assert_eq!(classification.confidences.len(), 2);
            }
        }
    }
}
