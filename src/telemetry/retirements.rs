//! The warnings before a model retires.
//!
//! After its retirement the API answers 404 to each call. Until then nothing in its
//! answers says so, so the log names the model, the day and the replacement, once a
//! day, and a metric has the time of the retirement, for an alert. Only models that
//! the API has answered for, or that are configured, count: not those that a caller
//! names.

use crate::models::{Day, KnownModel, catalogue};
use parking_lot::Mutex;

/// The deprecated models that are used.
#[derive(Debug, Default)]
pub struct Retirements(Mutex<Vec<Used>>);

#[derive(Debug)]
struct Used {
    model: &'static KnownModel,
    /// When the log last named it.
    logged: Day,
}

// === impl Retirements ===

impl Retirements {
    /// A model is used. Takes no lock unless the model is deprecated.
    pub fn note(&self, id: &str) {
        let model = catalogue().find(id);
        if let Some((model, retires)) = model.and_then(|it| Some((it, it.lifecycle.retires?)))
            && self.is_due(model, Day::today())
        {
            tracing::warn!(
                model = model.name,
                retires = %retires,
                replacement = model.lifecycle.replacement,
                "a deprecated model is used; calls to it fail once it has retired"
            );
        }
    }

    /// Whether the log has not named a model on this day yet.
    fn is_due(&self, model: &'static KnownModel, today: Day) -> bool {
        let mut used = self.0.lock();
        match used.iter_mut().find(|it| it.model.name == model.name) {
            Some(one) => std::mem::replace(&mut one.logged, today) != today,
            None => {
                used.push(Used {
                    model,
                    logged: today,
                });
                true
            }
        }
    }

    /// The models that were used, and the Unix times in seconds at which they retire.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        let used = self.0.lock();
        let times = used.iter().filter_map(|it| {
            let retires = it.model.lifecycle.retires?;
            Some((it.model.name.as_str(), retires.begins()))
        });
        times.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_deprecated_model_is_logged_once_a_day() {
        let model = |id| catalogue().find(id).unwrap();
        let (opus, sonnet) = (model("claude-opus-4-5"), model("claude-sonnet-4-5"));
        let day = |number: u64| Day::since_1970(Duration::from_secs(number * 86_400));
        let retirements = Retirements::default();
        for (model, today, is_due) in [
            (opus, day(1), true),
            (opus, day(1), false),
            (sonnet, day(1), true),
            (opus, day(2), true),
            (opus, day(2), false),
        ] {
            assert_eq!(retirements.is_due(model, today), is_due, "{today}");
        }
    }

    #[test]
    fn only_deprecated_models_that_are_used_have_a_time() {
        let retirements = Retirements::default();
        for id in ["claude-opus-5-5", "invented", "claude-opus-4-5-20251101"] {
            retirements.note(id);
        }
        // The beginning of 2027-01-22.
        assert_eq!(retirements.all(), [("claude-opus-4-5", 1_800_576_000)]);
    }
}
