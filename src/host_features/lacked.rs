//! What one host lacks.

use super::{LackRow, MessageFeature, Needs, lack_catalogue};
use crate::models::name_of;

/// What one host lacks: what the catalogue says of its kind, as its operator changes it.
#[derive(Debug, Clone, Default)]
pub struct LackedFeatures {
    all: Needs,
    /// Of those that some models have there: the rows with these models.
    by_model: Vec<&'static LackRow>,
}

impl LackedFeatures {
    /// What a host of a kind lacks, by the name of the kind; without what it `has`
    /// nevertheless, and with what it `lacks` in addition.
    pub fn of(kind: &str, has: &[MessageFeature], lacks: &[MessageFeature]) -> Self {
        let (mut all, mut by_model) = (Needs::default(), Vec::new());
        for row in lack_catalogue().of(kind) {
            all.insert(row.feature);
            // What the operator says holds for all models.
            if !row.but_for.is_empty() && !lacks.contains(&row.feature) {
                by_model.push(row);
            }
        }
        lacks.iter().for_each(|feature| all.insert(*feature));
        has.iter().for_each(|feature| all.remove(*feature));
        LackedFeatures { all, by_model }
    }

    /// Whether it lacks none of all features.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// One of the needs of a call for a model that the host lacks; `None` if it can serve
    /// it as far as is known.
    pub fn first_of(&self, needs: Needs, model: &str) -> Option<MessageFeature> {
        let lacked = self.all.and(needs);
        if lacked.is_empty() {
            return None;
        }
        lacked.iter().find(|feature| !self.has_for(*feature, model))
    }

    fn has_for(&self, feature: MessageFeature, model: &str) -> bool {
        let row = self.by_model.iter().find(|row| row.feature == feature);
        row.is_some_and(|row| row.but_for.iter().any(|one| one == name_of(model)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MessageFeature::{Citations, StructuredOutputs, WebSearch};

    fn needs(features: &[MessageFeature]) -> Needs {
        let mut needs = Needs::default();
        features.iter().for_each(|feature| needs.insert(*feature));
        needs
    }

    #[test]
    fn an_operator_overrides_the_catalogue() {
        let bedrock = |has: &[_], lacks: &[_]| LackedFeatures::of("bedrock_mantle", has, lacks);
        let both = needs(&[WebSearch, Citations]);
        assert_eq!(bedrock(&[], &[]).first_of(both, "m"), Some(WebSearch));
        assert_eq!(bedrock(&[WebSearch], &[]).first_of(both, "m"), None);
        let changed = bedrock(&[WebSearch], &[Citations]);
        assert_eq!(changed.first_of(both, "m"), Some(Citations));
        assert!(LackedFeatures::of("claude", &[], &[]).is_empty());
        assert!(!LackedFeatures::of("claude", &[], &[Citations]).is_empty());
    }

    #[test]
    fn a_feature_may_be_there_for_some_models() {
        let lacked = LackedFeatures::of("bedrock_runtime", &[], &[]);
        let schema = needs(&[StructuredOutputs]);
        for model in ["claude-haiku-4-5", "claude-haiku-4-5-20251001"] {
            assert_eq!(lacked.first_of(schema, model), None, "{model}");
        }
        for model in ["claude-haiku-5-5", "claude-not-known"] {
            let found = lacked.first_of(schema, model);
            assert_eq!(found, Some(StructuredOutputs), "{model}");
        }
        let lacked = LackedFeatures::of("bedrock_runtime", &[], &[StructuredOutputs]);
        let found = lacked.first_of(schema, "claude-haiku-4-5");
        assert_eq!(found, Some(StructuredOutputs));
    }
}
